# SPDX-License-Identifier: Apache-2.0
"""Mounts of ordinary users: through fusermount3, and in a user namespace of their own."""

import os

import harness
from harness.programs import cache_stats, programs

# What a user types to mount, and to unmount: by the set-user-id helper, and as one's own root.
WAYS = (("{}", "fusermount3 -u"), ("unshare -Urm sh -ec '{}'", "umount"))


def as_user_both_ways(t, script, **how):
    """Runs the shell SCRIPT ({xaasfs}, {mnt} and {unmount} are filled in) in both ways; yields what
    came of it."""
    harness.need_root()
    harness.need_fusermount()
    harness.need_user_namespaces(t)
    mnt = t.scratch / "mnt"
    if not mnt.exists():
        harness.folder_of_site_user(t, "mnt")
    for around, unmount in WAYS:
        command = script.format(xaasfs=harness.binary_for_anyone(t, "xaasfs"), mnt=mnt, unmount=unmount)
        yield harness.as_site_user(t, "set -e; " + around.format(command), **how)


def test_an_ordinary_user(t):
    image = t.squashfs({"a": b"served"})
    script = f"{{xaasfs}} {image} {{mnt}}; cat {{mnt}}/a; {{unmount}} {{mnt}}"
    for done in as_user_both_ways(t, script):
        t.equal((done.returncode, done.stdout), (0, "served"), done.stderr)
        t.equal(done.stderr, "")
        t.wait_until(lambda: not harness.processes_of(image), "its end")


def test_a_signal_detaches_and_those_inside_go_on(t):
    image = t.squashfs({"a": b"served"})
    script = (f"{{xaasfs}} -f {image} {{mnt}} & until test -e {{mnt}}/a; do sleep 0.01; done; exec 3<{{mnt}}/a; "
              "kill $!; while grep -q {mnt} /proc/self/mounts; do sleep 0.01; done; "
              "cat <&3; exec 3<&-; wait $!")
    for done in as_user_both_ways(t, script):
        t.equal((done.returncode, done.stdout), (0, "served"), done.stderr)


def test_killed_with_auto_unmount(t):
    image = t.squashfs({"a": b"served"})
    script = (f"{{xaasfs}} -f -o auto_unmount {image} {{mnt}} & until test -e {{mnt}}/a; do sleep 0.01; done; "
              "kill -9 $!; while grep -q {mnt} /proc/self/mounts; do sleep 0.01; done; ls {mnt}")
    for done in as_user_both_ways(t, script):
        t.equal((done.returncode, done.stdout), (0, ""), done.stderr)
        t.wait_until(lambda: not harness.processes_of(image), "its end")


def test_a_dead_mount_is_explained_and_cleaned(t):
    image = t.squashfs({"a": b"served"})
    script = (f"{{xaasfs}} -f {image} {{mnt}} & until test -e {{mnt}}/a; do sleep 0.01; done; kill -9 $!; "
              f"wait $! || true; {{xaasfs}} {image} {{mnt}} && exit 1; "
              f"{{xaasfs}} -o auto_unmount {image} {{mnt}}; cat {{mnt}}/a; {{unmount}} {{mnt}}")
    for done, cure in zip(as_user_both_ways(t, script), ("fusermount3 -uz", "umount -l")):
        t.equal((done.returncode, done.stdout), (0, "served"), done.stderr)
        t.contains(done.stderr, f"clean it up with `{cure}")
        t.contains(done.stderr, "took away the mount of a process that is gone")
        t.wait_until(lambda: not harness.processes_of(image), "its end")


def test_timeout(t):
    image = t.squashfs({"a": b"served"})
    harness.need_root()
    harness.folder_of_site_user(t, "mnt-unused")
    # A process in it keeps it while one that nobody uses goes; then it goes, too.
    gone = 'while grep -q " {mnt}%s " /proc/self/mounts; do sleep 0.1; done; '
    script = (f"{{xaasfs}} -o timeout=2 {image} {{mnt}}; cd {{mnt}}; cat a; "
              f"{{xaasfs}} -o timeout=2 {image} {{mnt}}-unused; {gone % '-unused'}"
              f'grep -q " {{mnt}} " /proc/self/mounts; cd /; {gone % ""}')
    for done in as_user_both_ways(t, script):
        t.equal((done.returncode, done.stdout), (0, "served"), done.stderr)
        t.wait_until(lambda: not harness.processes_of(image), "its end")


def test_programs_without_passthrough(t):
    """The kernel lets only real root pass opens through: that is said once and nothing fails."""
    image = t.scratch / "programs.sqfs"
    image.write_bytes(programs().image.read_bytes())
    cache = harness.folder_of_site_user(t, "user-cache")
    script = (f"{{xaasfs}} -f -o cache={cache} {image} {{mnt}} & until test -e {{mnt}}/usr; do sleep 0.01; done; "
              "{mnt}/usr/bin/hello; {mnt}/usr/bin/hello; cat {mnt}/usr/bin/hello {mnt}/usr/bin/slow | wc -c; "
              "{unmount} {mnt}; wait $!")
    size = None
    for done in as_user_both_ways(t, script):
        t.equal(done.returncode, 0, done.stderr)
        t.equal(done.stdout.count("42 "), 2, done.stdout)
        t.equal(done.stderr.count("not by passthrough"), 1, done.stderr)
        t.true("libfuse" not in done.stderr, done.stderr)
        t.equal(size or done.stdout.splitlines()[-1], done.stdout.splitlines()[-1], "bytes")
        size = done.stdout.splitlines()[-1]
    t.equal(cache_stats(t, cache, harness.SITE_USER)["compiles"], 3, "compiles of both mounts")


def test_other_users(t):
    image = t.squashfs({"open": b"open", "closed": b"closed"})
    (t.scratch / "fuse.conf").write_text("user_allow_other\n")
    conf = f"mount --bind {t.scratch}/fuse.conf /etc/fuse.conf"
    harness.need_root()
    harness.need_fusermount()
    mnt = harness.folder_of_site_user(t, "mnt")
    xaasfs = harness.binary_for_anyone(t, "xaasfs")
    for option, others in (("allow_other", "0, 12345"), ("allow_root", "0"), ("noatime", "")):
        # Root looks at it through the user's own mount namespace, in which it was made.
        look = f"""
import os, sys
for uid in (0, 12345):
    if os.fork() == 0:
        os.setuid(uid)
        try:
            print(uid, open("{mnt}/open").read())
        except PermissionError:
            pass
        os._exit(0)
    os.wait()
"""
        (t.scratch / "look.py").write_text(look)
        more = f"{conf}\nmkfifo -m 666 {t.scratch}/{option}\n(read line <{t.scratch}/{option}; " \
               f"python3 {t.scratch}/look.py >{t.scratch}/{option}.seen; echo >{t.scratch}/{option}) &"
        done = harness.as_site_user(
            t, f"{xaasfs} -o {option} {image} {mnt} && echo >{t.scratch}/{option} && "
            f"read line <{t.scratch}/{option}; fusermount3 -u {mnt}", more)
        t.equal(done.returncode, 0, done.stderr)
        seen = (t.scratch / f"{option}.seen").read_text().split("\n")[:-1]
        t.equal(", ".join(line.split()[0] for line in seen), others, option)
    done = harness.as_site_user(t, f"{xaasfs} -o allow_other {image} {mnt}")
    t.equal(done.returncode, 1)
    t.contains(done.stderr, "user_allow_other")


def test_no_permission_is_named(t):
    harness.need_root()
    image = t.squashfs({"a": b"a"})
    mnt = harness.folder_of_site_user(t, "mnt")
    done = harness.as_site_user(t, f"{harness.binary_for_anyone(t, 'xaasfs')} {image} {mnt}",
                                "chmod 600 /dev/fuse")
    t.equal(done.returncode, 1)
    t.contains(done.stderr, "/dev/fuse")
    t.contains(done.stderr, "chmod 666")


def test_what_only_root_may_honour(t):
    harness.need_root()
    harness.need_fusermount()
    image = t.squashfs({"a": b"a"})
    mnt = harness.folder_of_site_user(t, "mnt")
    done = harness.as_site_user(t, f"{harness.binary_for_anyone(t, 'xaasfs')} -o suid,dev {image} {mnt} && "
                                f"grep {mnt} /proc/self/mounts; fusermount3 -u {mnt}")
    t.contains(done.stdout, "nosuid,nodev")
    t.contains(done.stderr, "only root")


harness.main()
