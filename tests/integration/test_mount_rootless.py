# SPDX-License-Identifier: Apache-2.0
"""Mounts of ordinary users: through fusermount3, and in a user namespace of their own."""

import os
import pathlib

import harness

NOBODY = 65534


# Runs as an ordinary user in a mount namespace where /dev/fuse is open to all, as on sites.
AS_USER = """
set -e
mknod {scratch}/fuse c 10 229
chmod 666 {scratch}/fuse
mount --bind {scratch}/fuse /dev/fuse
exec setpriv --reuid {user} --regid {user} --clear-groups sh -c '{command}'
"""


def as_user(t, command):
    for folder in (t.scratch, *t.scratch.parents):
        if folder == pathlib.Path("/tmp"):
            break
        folder.chmod(0o755)
    script = AS_USER.format(scratch=t.scratch, user=NOBODY, command=command)
    return t.run(["unshare", "-m", "sh", "-c", script], expect=None, timeout=60)


def test_an_ordinary_user(t):
    harness.need_root()
    harness.need_fusermount()
    image = t.squashfs({"a": b"served"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    os.chown(mnt, NOBODY, NOBODY)
    done = as_user(t, f"{harness.binary_for_anyone(t, 'xaasfs')} {image} {mnt} && cat {mnt}/a && fusermount3 -u {mnt}")
    t.equal((done.returncode, done.stdout), (0, "served"), done.stderr)
    t.wait_until(lambda: not harness.processes_of(image), "its end")


def test_a_user_namespace(t):
    harness.need_root()
    image = t.squashfs({"a": b"served"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    os.chown(mnt, NOBODY, NOBODY)
    inner = f"{harness.binary_for_anyone(t, 'xaasfs')} {image} {mnt} && cat {mnt}/a && umount {mnt}"
    done = as_user(t, f'unshare -Urm sh -c "{inner}"')
    if "unshare" in done.stderr and "not permitted" in done.stderr:
        harness.skip("this kernel gives ordinary users no user namespaces")
    t.equal((done.returncode, done.stdout), (0, "served"), done.stderr)
    t.wait_until(lambda: not harness.processes_of(image), "its end")


def test_no_permission_is_named(t):
    harness.need_root()
    image = t.squashfs({"a": b"a"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    os.chown(mnt, NOBODY, NOBODY)
    for folder in (t.scratch,):
        folder.chmod(0o755)
    script = f"""
mknod -m 600 {t.scratch}/fuse c 10 229
mount --bind {t.scratch}/fuse /dev/fuse
exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups {harness.binary_for_anyone(t, 'xaasfs')} {image} {mnt}
"""
    done = t.run(["unshare", "-m", "sh", "-c", script], expect=None)
    t.equal(done.returncode, 1)
    t.contains(done.stderr, "/dev/fuse")
    t.contains(done.stderr, "chmod 666")


harness.main()
