# SPDX-License-Identifier: Apache-2.0
"""What a mount tells about itself: counts that are exact where they can be."""

import mmap
import os
import pathlib
import random
import subprocess

import harness
from harness.programs import HeldCompile, programs

BLOCK = 131072
NOBODY = 65534


def compressible(size, seed):
    """Bytes that every compressor makes smaller, and no two blocks are equal."""
    return random.Random(seed).randbytes(size // 2).hex().encode()


def read_directly(path, number):
    """Block NUMBER of PATH past the page cache: one request to the mount."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    try:
        with mmap.mmap(-1, BLOCK) as buffer:
            return os.preadv(fd, [buffer], number * BLOCK), bytes(buffer)
    finally:
        os.close(fd)


def big_image(t, n_blocks):
    return t.squashfs({"big": compressible(n_blocks * BLOCK, 1)},
                      mksquashfs_options=("-comp", "zstd", "-b", str(BLOCK)))


def test_each_block_is_decompressed_once(t):
    content = compressible(20 * BLOCK, 1)
    with t.mount(big_image(t, 20)) as mnt:
        for _ in range(2):
            for number in range(20):
                t.equal(read_directly(mnt / "big", number),
                        (BLOCK, content[number * BLOCK:(number + 1) * BLOCK]), "what was read")
        seen = t.stats(mnt)
    t.equal(seen["requests"]["read"]["count"], 40, "reads")
    t.equal(seen["bytes"]["replied"], 40 * BLOCK, "bytes replied")
    t.equal(seen["bytes"]["decompressed"], 20 * BLOCK, "bytes decompressed")
    blocks, ahead = seen["blocks"], seen["read_ahead"]
    t.equal((blocks["decompressed"], blocks["decompressed_again"], blocks["evicted"]), (20, 0, 0))
    t.equal(blocks["bytes_held"], 20 * BLOCK, "bytes held")
    t.equal(blocks["hits"] + blocks["waits"] + blocks["misses"], 40, "blocks asked for")
    # All were read, so whatever was made ahead was of use.
    t.equal(ahead["used"], ahead["decompressed"], "used of what was made ahead")
    t.equal(blocks["misses"] + ahead["decompressed"], 20, "blocks by who made them")


def test_a_small_cache_decompresses_again(t):
    # Eight blocks fit, and what was used longest ago goes first: in order, twice, nothing is found.
    with t.mount(big_image(t, 20), options=["cache_size=1M"]) as mnt:
        for _ in range(2):
            for number in range(20):
                read_directly(mnt / "big", number)
        first = t.stats(mnt)["blocks"]
        read_directly(mnt / "big", 19)
        second = t.stats(mnt)["blocks"]
    t.equal((first["decompressed"], first["decompressed_again"], first["evicted"]), (40, 20, 32))
    t.equal((first["hits"], first["misses"], first["bytes_held"]), (0, 40, 8 * BLOCK))
    t.equal((second["hits"], second["decompressed"]), (1, 40))


def test_every_request_is_counted_once(t):
    image = t.squashfs({"d/a": b"a" * 10000, "d/link": "a", "e": b"e"})
    with t.mount(image) as mnt:
        before = t.stats(mnt)["requests"]
        os.stat(mnt / "e")
        os.readlink(mnt / "d/link")
        os.statvfs(mnt)
        read_directly(mnt / "d/a", 0)
        for name in ("none", "nothing", "none"):
            t.true(not (mnt / name).exists(), "it exists")
        after = t.stats(mnt)["requests"]
    made = {kind: after[kind]["count"] - before[kind]["count"] for kind in after}
    # A name that is not there is remembered like one that is; the root is known from the first.
    t.equal({kind: made[kind] for kind in ("lookup", "readlink", "statfs", "open", "read", "ioctl",
                                           "readdir", "readdirplus")},
            {"lookup": 6, "readlink": 1, "statfs": 1, "open": 1, "read": 1, "ioctl": 1,
             "readdir": 0, "readdirplus": 0})
    for kind, request in after.items():
        t.true(request["p50_ns"] <= request["p90_ns"] <= request["p99_ns"] <= request["max_ns"],
               f"percentiles of {kind}: {request}")
        t.equal(request["max_ns"] > 0, request["count"] > (kind == "ioctl"), f"{kind} was timed")


def test_open_files_by_tier(t):
    mount = t.mount(programs().image, options=[f"cache={t.cache}"])
    first = t.stats(mount.path)
    t.true(first["programs"] > 0, "no programs")
    t.contains(first["passthrough"]["reason"], "no compiled program has been opened yet")
    hello = t.start([mount.path / "usr/bin/hello", "wait"], stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE)
    hello.stdout.readline()
    with open(mount.path / "etc/ordinary", "rb"):
        seen = t.stats(mount.path)
        passes = seen["passthrough"]["active"]
        t.equal(passes, "not by passthrough" not in mount.log, "passthrough")
        # The program and its library, of which passthrough maps the backing file itself; loader
        # and C library are the host's.
        t.equal(seen["open_files"],
                {"plain": 1, "native": 1 if passes else 2, "fast": 0, "baseline": 0,
                 "waiting": 0})
    hello.communicate(b"\n", timeout=60)
    t.wait_until(lambda: set(t.stats(mount.path)["open_files"].values()) == {0}, "closing")
    mount.stop()


def test_waiting_opens_are_shown_and_timed(t):
    mount = t.mount(programs().image, options=[f"cache={t.cache}"])
    slow = mount.path / "usr/bin/slow"
    openers = [t.start(["cat", slow], stdout=subprocess.DEVNULL) for _ in range(3)]
    held = HeldCompile(mount.pid)
    t.wait_until(lambda: t.stats(mount.path)["open_files"]["waiting"] == 3, "waiting")
    openers[0].kill()
    openers[0].wait(60)
    seen = t.stats(mount.path)
    t.equal((seen["open_files"]["waiting"], seen["opens_killed"]), (2, 1))
    t.equal(seen["requests"]["open"]["count"], 3, "opens that arrived")
    (compile,) = seen["compiles"]
    t.equal((compile["path"], compile["opens"]), ("/usr/bin/slow", 2))
    t.contains(t.run([harness.binary("xaas"), "status", slow]).stdout, " s; 2 opens wait\n")
    t.wait_until(lambda: t.stats(mount.path)["compiles"][0]["seconds"] > 0.3, "time passing")
    held.release()
    for opener in openers[1:]:
        t.equal(opener.wait(100), 0)
    # It is published after the answer.
    t.wait_until(lambda: t.stats(mount.path)["compiles"] == [], "its end")
    after = t.stats(mount.path)
    t.equal((after["programs_waited_for"], after["open_files"]["waiting"]), (0, 0))
    # From its arrival to its answer, not to its being parked.
    t.true(after["requests"]["open"]["max_ns"] > 0.3e9, after["requests"]["open"])
    mount.stop()


def test_an_answer_never_grows_too_large(t):
    # All the same program, so that one compile that is held keeps everybody waiting.
    slow = programs().root.inside("/usr/bin/slow").read_bytes()
    for folder, shown in (("bin", 16), ("/".join("x" * 200 for _ in range(8)), None)):
        root = t.scratch / f"root-{len(folder)}"
        (root / folder).mkdir(parents=True)
        paths = [f"{folder}/{number}" for number in range(18)]
        for path in paths:
            (root / path).write_bytes(slow)
            (root / path).chmod(0o755)
        image = t.scratch / f"{root.name}.sqfs"
        t.run([harness.binary("xaas"), "pack", "--quiet", root, image])
        mount = t.mount(image, options=[f"cache={t.scratch}/cache-{root.name}"])
        openers = [t.start(["cat", mount.path / path], stdout=subprocess.DEVNULL) for path in paths]
        held = HeldCompile(mount.pid)
        t.wait_until(lambda: t.stats(mount.path)["open_files"]["waiting"] == 18, "waiting")
        seen = t.stats(mount.path)
        t.equal((seen["programs_waited_for"], seen["programs_compiling"]), (18, 18))
        n = len(seen["compiles"])
        t.true(n == shown if shown else 0 < n < 16, f"{n} of them are shown")
        t.true({compile["path"] for compile in seen["compiles"]} <= {f"/{path}" for path in paths}, "paths")
        waited = [compile["seconds"] for compile in seen["compiles"]]
        t.equal(waited, sorted(waited, reverse=True), "order")
        t.contains(t.run([harness.binary("xaas"), "status", mount.path]).stdout,
                   f" and {18 - n} more\n")
        held.release()
        for opener in openers:
            t.equal(opener.wait(100), 0)
        mount.stop()


def test_baselines_and_what_is_read_of_programs(t):
    mount = t.mount(programs().image, options=[f"cache={t.cache}", "patience=0"])
    slow = mount.path / "usr/bin/slow"
    with open(slow, "rb") as file:
        size = len(file.read())
        seen = t.stats(mount.path)
    t.equal(seen["open_files"]["baseline"], 1, "open baselines")
    t.equal(seen["bytes"]["replied"], size, "bytes replied")
    mount.stop()


def test_any_folder_of_the_mount_answers(t):
    harness.need_root()
    image = t.squashfs({"d/a": b"a"})
    other = t.scratch / "other"
    other.mkdir()
    with t.mount(image) as mnt:
        for path in (mnt, mnt / "d", mnt / "d/a", f"{mnt}/d/"):
            t.equal(t.stats(path)["image"]["path"], str(image))
        done = t.run(["unshare", "-m", "sh", "-c",
                      f"mount --bind {mnt}/d {other} && {harness.binary('xaas')} status {other}"])
        t.contains(done.stdout, str(image))
        t.contains(done.stdout, "nothing in the image is compiled")


def let_others_in(t):
    for folder in (t.scratch, *t.scratch.parents):
        if folder == pathlib.Path("/tmp"):
            break
        folder.chmod(0o755)


def test_in_a_user_namespace(t):
    harness.need_root()
    image = t.squashfs({"a": b"a"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    os.chown(mnt, NOBODY, NOBODY)
    xaasfs = harness.binary_for_anyone(t, "xaasfs")
    inner = f"{xaasfs} {image} {mnt} && {xaasfs} --stats {mnt} && umount {mnt}"
    device = f"{t.scratch}/fuse"
    let_others_in(t)
    done = t.run(["unshare", "-m", "sh", "-c",
                  f"mknod -m 666 {device} c 10 229 && mount --bind {device} /dev/fuse && "
                  f"exec setpriv --reuid {NOBODY} --regid {NOBODY} "
                  f"--clear-groups unshare -Urm sh -c '{inner}'"], expect=None)
    if "unshare" in done.stderr and "not permitted" in done.stderr:
        harness.skip("this kernel gives ordinary users no user namespaces")
    t.equal(done.returncode, 0, done.stderr)
    t.contains(done.stdout, str(image))


def as_nobody(t, command):
    let_others_in(t)
    return t.run(["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", *command],
                 expect=None)


def test_who_may_look_may_ask(t):
    harness.need_root()
    image = t.squashfs({"a": b"a"})
    xaas = harness.binary_for_anyone(t, "xaas")
    with t.mount(image) as mnt:
        done = as_nobody(t, [xaas, "status", mnt])
        t.equal(done.returncode, 1)
        t.contains(done.stderr, "-o allow_other")
    with t.mount(image, options=["allow_other"]) as mnt:
        done = as_nobody(t, [xaas, "status", mnt])
        t.equal(done.returncode, 0, done.stderr)
        t.contains(done.stdout, str(image))


def test_what_is_no_mount_is_refused(t):
    image = t.squashfs({"a": b"a"})
    mount = t.mount(image)
    mount.kill()
    for path, words in [(mount.path, "the mount is dead"), (t.scratch, "no xaasfs is mounted there"),
                        (t.scratch / "none", "No such file"), ("/proc", "no xaasfs is mounted")]:
        for command in ([harness.binary("xaas"), "status"], [harness.binary("xaasfs"), "--stats"]):
            done = t.run([*command, path], expect=None)
            t.equal((done.returncode, done.stdout), (1, ""), f"{command} {path}")
            t.contains(done.stderr, words)
            t.contains(done.stderr, str(path))
            t.equal(len(done.stderr.splitlines()), 1, "lines")
    for wrong in (["--stats"], ["--json", mount.path], ["--stats", "a", "b"]):
        t.equal(t.run([harness.binary("xaasfs"), *wrong], expect=None).returncode, 2, wrong)


harness.main()
