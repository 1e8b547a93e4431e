# SPDX-License-Identifier: Apache-2.0
"""A mount that 64 processes use at once, some of which are killed, and its end under all of them.

XAASFS_STRESS_SECONDS=60 makes the first part a minute; by itself it is short enough for every run:

    XAASFS_STRESS_SECONDS=60 PYTHONPATH=tests python3 tests/integration/test_mount_stress.py
"""

import os
import random
import shutil
import signal

import harness
from harness.programs import cache_stats, programs

SECONDS = float(os.environ.get("XAASFS_STRESS_SECONDS", 15))
PORTABLE = ("hello", "slow", "libtwice.so")  # what they hold is not what was packed
OUTPUT = {"usr/bin/hello": b"42 ", "usr/bin/slow": b"slow 1\n"}

_crowded = None


def crowded_image(t):
    """(image, contents of its ordinary files): programs, and files of all sizes. Made once."""
    global _crowded
    if _crowded is None:
        rng = random.Random(5)
        root = t.scratch / "root"
        shutil.copytree(programs().root.path, root, symlinks=True)
        for number in range(150):
            size = rng.choice([0, 1, 4096, 131072, rng.randrange(3000), rng.randrange(2_000_000)])
            content = rng.randbytes(size) if rng.random() < 0.3 else \
                b"".join(b"line %d of %d\n" % (line, number) for line in range(size // 14))
            path = root / f"data/{number % 7}/{number}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        image = programs().folder / "crowded.sqfs"
        t.run([harness.binary("xaas"), "pack", root, image])
        _crowded = image, {
            str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*")
            if path.is_file() and not path.is_symlink() and path.name not in PORTABLE}
    return _crowded


def crowd_in(t, *options):
    """A mount with little room for blocks, and the crowd that will use it."""
    image, contents = crowded_image(t)
    mount = t.mount(image, options=[f"cache={t.cache}", "cache_size=4M", *options])
    return mount, harness.Crowd(t, mount.path, contents, OUTPUT)


def check_gone(t, mount):
    t.wait_until(lambda: not harness.processes_of(mount.path), "the end of the mount and its users")
    t.true(str(mount.path) not in open("/proc/self/mounts", encoding="utf-8").read(), "it is mounted")


def test_sixty_four_processes_while_programs_compile(t):
    mount, crowd = crowd_in(t, "patience=0.05")
    with crowd:
        for _ in range(5):
            crowd.go_on(SECONDS / 5)
            # So that there is always something to compile.
            t.run([harness.binary("xaas"), "cache", "clear", "--cache", t.cache])
        crowd.end()
    t.true(cache_stats(t)["compiles"] > 0, "nothing was compiled meanwhile")
    t.true("error" not in mount.log, mount.log)
    mount.stop()
    check_gone(t, mount)


def end_under_load(t, end, *options):
    mount, crowd = crowd_in(t, *options)
    with crowd:
        crowd.go_on(2)
        crowd.may_fail()
        end(mount)
        crowd.go_on(1)
        crowd.end()
    return mount


def test_a_busy_mount_stays_and_a_lazy_unmount_lets_go(t):
    harness.need_root()

    def end(mount):
        with open(mount.path / "data/0/0", "rb"):
            t.contains(t.run(["umount", mount.path], expect=32).stderr, "busy")
        t.run(["umount", "-l", mount.path])

    mount = end_under_load(t, end)
    t.equal(mount.wait(), 0, "status of the mount")
    check_gone(t, mount)


def test_sigterm_under_load(t):
    mount = end_under_load(t, lambda mount: os.kill(mount.pid, signal.SIGTERM))
    t.equal(mount.wait(), 0, "status of the mount")
    check_gone(t, mount)


def test_two_sigterms_under_load(t):
    def end(mount):
        os.kill(mount.pid, signal.SIGTERM)
        t.wait_until(lambda: not os.path.ismount(mount.path), "detaching")
        os.kill(mount.pid, signal.SIGTERM)

    mount = end_under_load(t, end)
    t.equal(mount.wait(), 0, "status of the mount")
    check_gone(t, mount)


def test_killed_under_load(t):
    """Nobody is left stuck, whether what they want is in memory or not."""
    for options in ([], ["patience=0"]):
        mount = end_under_load(t, lambda mount: mount.kill(), *options)
        mount.tear_down()
        check_gone(t, mount)


if __name__ == "__main__":
    harness.main()
