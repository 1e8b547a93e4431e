# SPDX-License-Identifier: Apache-2.0
"""A mount point given as /dev/fd/N: somebody else opens /dev/fuse and mounts, xaasfs serves."""

import ctypes
import os
import signal
import subprocess

import harness

MS_RDONLY, MS_NOSUID, MS_NODEV = 1, 2, 4


def mount_it_ourselves(t, mnt):
    """What a container engine does as root. An open /dev/fuse that is mounted on MNT."""
    harness.need_root()
    harness.need_fuse()
    mnt.mkdir()
    fuse = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,default_permissions"
    if libc.mount(b"engine", os.fsencode(mnt), b"fuse.xaasfs", MS_RDONLY | MS_NOSUID | MS_NODEV,
                  options.encode()) != 0:
        raise OSError(ctypes.get_errno(), "mount")
    return fuse


def serve(t, image, fuse, *arguments, **how):
    process = t.start([harness.binary("xaasfs"), *arguments, image, f"/dev/fd/{fuse}"],
                      pass_fds=[fuse], **how)
    os.close(fuse)
    return process


def test_served_in_background_and_foreground(t):
    image = t.squashfs({"a": b"served", "d/b": b"b"})
    for number, arguments in enumerate(((), ("-f",), ("-f", "-s"), ("-o", "noclone_fd"))):
        mnt = t.scratch / f"mnt{number}"
        process = serve(t, image, mount_it_ourselves(t, mnt), *arguments)
        # Whoever comes early waits in the kernel.
        t.equal((mnt / "a").read_bytes(), b"served", arguments)
        t.equal(sorted(path.name for path in mnt.rglob("*")), ["a", "b", "d"])
        t.run(["umount", mnt])
        t.equal(process.wait(60), 0)
        t.wait_until(lambda: not harness.processes_of(image), "its end")


def test_one_signal_ends_it(t):
    image = t.squashfs({"a": b"served"})
    mnt = t.scratch / "mnt"
    process = serve(t, image, mount_it_ourselves(t, mnt), "-f")
    t.equal((mnt / "a").read_bytes(), b"served")
    os.kill(process.pid, signal.SIGTERM)
    t.equal(process.wait(60), 0)
    t.true(os.path.ismount(mnt), "it unmounted what others have mounted")


def test_nothing_that_it_starts_keeps_a_dead_mount_alive(t):
    image = t.squashfs({"a": b"served"})
    mnt = t.scratch / "mnt"
    process = serve(t, image, mount_it_ourselves(t, mnt), "-f")
    t.equal((mnt / "a").read_bytes(), b"served")
    process.kill()
    process.wait(60)
    said = t.run(["cat", mnt / "b"], expect=1).stderr
    t.true("not connected" in said or "connection abort" in said, said)
    t.wait_until(lambda: not harness.processes_of(image), "the end of all")


def test_descriptors_that_cannot_be_served(t):
    harness.need_fuse()
    image = t.squashfs({"a": b"a"})
    with open("/dev/fuse", "r+b", buffering=0) as fuse, open(image, "rb") as file:
        for fd, passed, status, words in (
                (fuse.fileno(), [fuse.fileno()], 1, "nobody has mounted it"),
                (file.fileno(), [file.fileno()], 1, "no open /dev/fuse"),
                (fuse.fileno(), [], 1, "no open /dev/fuse"), (2, [], 1, "no open /dev/fuse"),
                ("x", [], 1, "no open /dev/fuse")):
            process = t.start([harness.binary("xaasfs"), image, f"/dev/fd/{fd}"], pass_fds=passed,
                              stderr=subprocess.PIPE, text=True)
            _, said = process.communicate(timeout=60)
            t.equal(process.returncode, status, said)
            t.contains(said, words)
            t.equal(len(said.splitlines()), 1, "lines")
    for option in ("timeout=3", "auto_unmount"):
        done = t.xaasfs("-o", option, image, "/dev/fd/3")
        t.equal(done.returncode, 2)
        t.contains(done.stderr, "whoever mounted")


# What engines do for ordinary users: fusermount3 sends back what it has opened and mounted.
WITH_FUSERMOUNT = """
import os, socket, subprocess, sys
xaasfs, image, mnt = sys.argv[1:]
ours, theirs = socket.socketpair()
subprocess.run(["fusermount3", "-o", "ro,nosuid,nodev,subtype=xaasfs", "--", mnt], check=True,
               env={**os.environ, "_FUSE_COMMFD": str(theirs.fileno())}, pass_fds=[theirs.fileno()])
fuse = socket.recv_fds(ours, 1, 1)[1][0]
os.set_inheritable(fuse, True)
process = subprocess.Popen([xaasfs, "-f", image, f"/dev/fd/{fuse}"], close_fds=False)
os.close(fuse)
print(open(mnt + "/a").read())
subprocess.run(["fusermount3", "-u", mnt], check=True)
sys.exit(process.wait(60))
"""


def test_through_fusermount(t):
    harness.need_root()
    harness.need_fusermount()
    image = t.squashfs({"a": b"served"})
    script = t.scratch / "engine.py"
    script.write_text(WITH_FUSERMOUNT)
    done = harness.as_site_user(t, f"python3 {script} {harness.binary_for_anyone(t, 'xaasfs')} "
                                f"{image} {harness.folder_of_site_user(t, 'mnt')}")
    t.equal((done.returncode, done.stdout), (0, "served\n"), done.stderr)


harness.main()
