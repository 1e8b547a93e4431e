# SPDX-License-Identifier: Apache-2.0
"""How a mount comes to its end: asked to, unused, or killed; and what is left of it."""

import ctypes
import errno
import os
import signal
import subprocess

import harness

# What users of a mount get whose process is gone: the second while it is going.
DEAD = (errno.ENOTCONN, errno.ECONNABORTED)


def test_background_and_every_way_to_end(t):
    harness.need_fuse()
    image = t.squashfs({"a": b"served"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()

    def main_process():
        return min(harness.processes_of(image))

    ways = [lambda: t.run(["umount", mnt]), lambda: t.run(["fusermount3", "-u", mnt]),
            lambda: os.kill(main_process(), signal.SIGTERM),
            lambda: os.kill(main_process(), signal.SIGINT)]
    for end in ways:
        done = t.xaasfs(image, mnt)
        t.equal(done.returncode, 0, done.stderr)
        t.equal((mnt / "a").read_bytes(), b"served")
        end()
        t.wait_until(lambda: not harness.processes_of(image), "its end")
        t.true(not os.path.ismount(mnt), "it is still mounted")


def test_sigterm_detaches_and_those_inside_go_on(t):
    image = t.squashfs({"a": b"served", "big": b"x" * 1000000})
    mount = t.mount(image)
    with open(mount.path / "big", "rb") as file:
        os.kill(mount.pid, signal.SIGTERM)
        t.wait_until(lambda: not os.path.ismount(mount.path), "detaching")
        t.equal(len(file.read()), 1000000)
        t.true(harness.processes_of(image), "it ended under its user")
    t.wait_until(lambda: not harness.processes_of(image), "its end")


def test_a_second_sigterm_ends_it(t):
    image = t.squashfs({"big": b"x" * 1000000})
    mount = t.mount(image)
    file = os.open(mount.path / "big", os.O_RDONLY)
    os.kill(mount.pid, signal.SIGTERM)
    t.wait_until(lambda: not os.path.ismount(mount.path), "detaching")
    os.kill(mount.pid, signal.SIGTERM)
    t.wait_until(lambda: not harness.processes_of(image), "its end")
    t.true("umount" not in mount.log, mount.log)
    try:
        os.close(file)
    except OSError as error:
        t.true(error.errno in DEAD, str(error))


def test_an_aborted_connection_leaves_no_dead_mount(t):
    harness.need_root()
    image = t.squashfs({"a": b"served"})
    mount = t.mount(image)
    abort = f"/sys/fs/fuse/connections/{os.minor(mount.path.stat().st_dev)}/abort"
    t.run(["unshare", "-m", "sh", "-ec",
           f"test -e {abort} || mount -t fusectl fusectl /sys/fs/fuse/connections; echo 1 >{abort}"])
    t.wait_until(lambda: mount.ended, "its end")
    t.true(not os.path.ismount(mount.path), "a dead mount is left")


def test_dead_mount_says_how_to_clean_up(t):
    image = t.squashfs({"a": b"a"})
    mount = t.mount(image)
    mount.kill()
    done = t.xaasfs(image, mount.path)
    t.equal(done.returncode, 1)
    t.contains(done.stderr, "umount -l" if os.geteuid() == 0 else "fusermount3 -uz")
    t.true(not harness.processes_of(image), "something outlived the mount")


def test_a_dead_mount_that_was_looked_at_is_recognised(t):
    image = t.squashfs({"a": b"a"})
    mount = t.mount(image)
    # From here on the kernel answers this by itself, whoever is dead.
    mount.path.stat()
    mount.kill()
    done = t.xaasfs(image, mount.path)
    t.equal(done.returncode, 1)
    t.contains(done.stderr, "auto_unmount")


def test_killed_with_auto_unmount_leaves_nothing(t):
    image = t.squashfs({"a": b"served"})
    mount = t.mount(image, options=["auto_unmount"])
    user = t.start(["sh", "-c", "read line; cat a"], cwd=mount.path, stdin=subprocess.PIPE,
                   stderr=subprocess.PIPE, text=True)
    mount.kill()
    t.wait_until(lambda: not os.path.ismount(mount.path), "unmounting")
    t.wait_until(lambda: not harness.processes_of(image), "its end")
    said = user.communicate("\n", timeout=60)[1]
    t.true(any(os.strerror(number) in said for number in DEAD), said)
    t.equal(list(mount.path.iterdir()), [], "what is at the mount point")


def test_auto_unmount_leaves_alone_what_is_not_its_own(t):
    harness.need_root()
    image = t.squashfs({"a": b"served"})
    mount = t.mount(image, options=["auto_unmount"])
    t.run(["umount", "-l", mount.path])
    t.run(["mount", "-t", "tmpfs", "tmpfs", mount.path])
    (mount.path / "other").write_bytes(b"")
    mount.kill()
    t.wait_until(lambda: not harness.processes_of(image), "its end")
    t.equal([path.name for path in mount.path.iterdir()], ["other"])


def one_after_the_other(t, options, end):
    """A mount that is stopped, unmounted, and replaced before END lets it go on. Whether both had the
    same number, which is up to the kernel: the lowest that is free."""
    image = t.squashfs({"a": b"served"}, f"{len(t.mounts)}.sqfs")
    last = t.mount(image, options=options)
    number = last.path.stat().st_dev
    os.kill(last.pid, signal.SIGSTOP)
    # umount(8) would ask the mount about itself first.
    t.equal(ctypes.CDLL(None).umount2(os.fsencode(last.path), 0), 0, "unmounting")
    following = t.mount(t.squashfs({"b": b"still"}, f"{len(t.mounts)}.sqfs"), mountpoint=last.path)
    same = following.path.stat().st_dev == number
    os.kill(last.pid, end)
    t.wait_until(lambda: last.ended and not harness.processes_of(image), "its end")
    t.equal((following.path / "b").read_bytes(), b"still", end.name)
    following.stop()
    return same


def test_the_next_mount_in_its_place_is_left_alone(t):
    harness.need_root()
    for options, end in ([], signal.SIGCONT), (["auto_unmount"], signal.SIGKILL):
        if not any(one_after_the_other(t, options, end) for _ in range(30)):
            harness.skip("other mounts come and go all the time and take the number")


def test_auto_unmount_ends_with_the_mount(t):
    image = t.squashfs({"a": b"served"})
    with t.mount(image, options=["auto_unmount"]) as mnt:
        t.equal((mnt / "a").read_bytes(), b"served")
    t.equal(harness.processes_of(image), [], "what still runs")


def test_auto_unmount_cleans_up_after_others(t):
    image = t.squashfs({"a": b"served"})
    dead = t.mount(image)
    dead.path.stat()
    dead.kill()
    done = t.xaasfs("-o", "auto_unmount", image, dead.path)
    t.equal(done.returncode, 0, done.stderr)
    t.contains(done.stderr, "took away the mount of a process that is gone")
    t.equal((dead.path / "a").read_bytes(), b"served")
    mounts = [line for line in open("/proc/self/mounts", encoding="utf-8") if str(dead.path) in line]
    t.equal(len(mounts), 1, "mounts")


def test_timeout_ends_an_unused_mount(t):
    image = t.squashfs({"a": b"served"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    done = t.xaasfs("-o", "timeout=0.2", image, mnt)
    t.equal(done.returncode, 0, done.stderr)
    t.wait_until(lambda: not harness.processes_of(image), "its end")
    t.true(not os.path.ismount(mnt), "it is still mounted")


def is_listed(mountpoint):
    """Whether something is mounted there, without looking at it, which would be use. Its process
    lives on while mount namespaces of others have copies."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        return any(f" {mountpoint} " in line for line in mounts)


# Each uses the folder it is given in one way and no other, until its input ends.
WAYS_OF_USING = {
    "an open file": "fd = os.open(mnt + '/a', os.O_RDONLY)",
    "a working folder": "os.chdir(mnt + '/d')",
    "a mapped file": """
fd = os.open(mnt + '/a', os.O_RDONLY)
memory = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
os.close(fd)
""",
    "a look now and then": """
def look():
    while True:
        os.stat(mnt + '/a')
        time.sleep(0.01)
threading.Thread(target=look, daemon=True).start()
""",
}


def wait_for_an_unused_one(t, image, seconds):
    """As long as a mount lasts that nobody uses: long enough for those that were mounted before with
    the same timeout to be found unused, however busy the machine is."""
    unused = t.mount(image, options=[f"timeout={seconds}"])
    t.wait_until(lambda: unused.ended, "the end of an unused mount")


def test_timeout_spares_a_mount_in_use(t):
    harness.need_root()
    image = t.squashfs({"a": b"served", "d/b": b"b"})
    users = []
    for what, script in WAYS_OF_USING.items():
        # A look now and then must come within this time even on a busy machine.
        mount = t.mount(image, options=["timeout=2"])
        user = t.start(["python3", "-c", "import mmap, os, sys, threading, time\nmnt = sys.argv[1]\n"
                        f"{script}\nprint('in it', flush=True)\nsys.stdin.read()", mount.path],
                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        t.equal(user.stdout.readline(), "in it\n", what)
        users.append((what, user, mount))
    wait_for_an_unused_one(t, image, 2)
    for what, user, mount in users:
        t.true(os.path.ismount(mount.path), f"{what} did not keep the mount")
        user.stdin.close()
        user.wait(60)
    for what, user, mount in users:
        t.wait_until(lambda: not is_listed(mount.path), f"unmounting after {what}")


def test_a_mount_on_top_says_what_it_hides(t):
    image = t.squashfs({"a": b"served"})
    mount = t.mount(image)
    done = t.xaasfs(image, mount.path)
    t.equal(done.returncode, 0, done.stderr)
    t.contains(done.stderr, "an image is mounted there already")
    t.run(["umount", mount.path])
    t.equal((mount.path / "a").read_bytes(), b"served")


def test_timeout_ends_no_mount_on_top(t):
    harness.need_root()
    image = t.squashfs({"a": b"served"})
    mount = t.mount(image, options=["timeout=2"])
    t.run(["mount", "-t", "tmpfs", "tmpfs", mount.path])
    # Nobody uses that one either, and it is not ours.
    wait_for_an_unused_one(t, t.squashfs({"b": b""}, "other.sqfs"), 2)
    t.contains(open("/proc/self/mounts", encoding="utf-8").read(), f"tmpfs {mount.path} ")
    t.run(["umount", mount.path])
    t.wait_until(lambda: not harness.processes_of(image), "its end")


harness.main()
