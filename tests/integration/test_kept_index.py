# SPDX-License-Identifier: Apache-2.0
"""The index that one mount makes serves the next one; an image that changed is indexed anew."""

import json
import os
import shutil
import time

import harness

XAAS = harness.binary("xaas")


def settled(path):
    """Waits until a change of the file could not go unnoticed (formats/fmt_image_identity.h)."""
    while time.time() - os.stat(path).st_ctime < 2.1:
        time.sleep(0.05)
    return path


def counters(t):
    told = json.loads(t.run([XAAS, "cache", "stats", "--json"]).stdout)
    return told["index_hits"], told["index_misses"], told["indexes"]


def kept(t):
    return sorted((t.cache / "v1/indexes").iterdir())


def names(t, image, **how):
    """What the root of the mounted image lists. Ending the mount waits until its index is kept."""
    with t.mount(image, **how) as mnt:
        return sorted(os.listdir(mnt))


def without_indexer(t):
    folder = t.scratch / "libexec"
    folder.mkdir(exist_ok=True)
    t.env["XAASFS_LIBEXEC"] = str(folder)


def test_second_mount_needs_no_indexer(t):
    image = settled(t.squashfs({"one": b"1", "d/two": b"2" * 300000, "d/e/three": b""}))
    t.equal(names(t, image), ["d", "one"])
    t.equal(counters(t), (0, 1, 1))
    without_indexer(t)
    with t.mount(image) as mnt:
        t.equal((mnt / "d/two").read_bytes(), b"2" * 300000)
        t.equal(sorted(os.listdir(mnt / "d")), ["e", "two"])
    t.equal(counters(t), (1, 1, 1))
    other = t.scratch / "other.sqfs"
    shutil.copy2(image, other)
    refused = t.run([harness.binary("xaasfs"), other, t.scratch / "m"], expect=1)
    t.contains(refused.stderr, "cannot run")


def test_other_cache_other_offset(t):
    image = t.squashfs({"here": b""})
    shifted = t.scratch / "shifted"
    shifted.write_bytes(bytes(8192) + image.read_bytes())
    there = t.scratch / "there"
    settled(shifted)
    for _ in range(2):
        t.equal(names(t, shifted, options=["offset=8192", f"cache={there}"]), ["here"])
    t.equal(len(list((there / "v1/indexes").iterdir())), 1)
    t.true(not t.cache.exists(), "the default cache was used")


def test_changed_image(t):
    image = t.squashfs({"old": b"x"})
    first, second = image.read_bytes(), t.squashfs({"new": b"x"}, "second.sqfs").read_bytes()
    size = max(len(first), len(second))
    first, second = (content.ljust(size, b"\0") for content in (first, second))
    image.write_bytes(first)
    settled(image)
    t.equal(names(t, image), ["old"])
    # In place, as long as before, and as old as before as far as anybody can tell it.
    before = os.stat(image)
    with open(image, "r+b") as file:
        file.write(second)
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    t.equal((os.stat(image).st_ino, os.stat(image).st_size, os.stat(image).st_mtime_ns),
            (before.st_ino, before.st_size, before.st_mtime_ns))
    t.equal(names(t, image), ["new"])
    # Another one in its place.
    replacement = t.scratch / "replacement"
    replacement.write_bytes(first)
    os.utime(replacement, ns=(before.st_atime_ns, before.st_mtime_ns))
    replacement.rename(image)
    t.equal(names(t, image), ["old"])
    t.equal(counters(t)[:2], (0, 3))


def test_change_in_the_same_tick(t):
    image = t.squashfs({"fresh": b""})
    for _ in range(30):
        os.utime(image)
        with t.mount(image) as mnt:
            fresh = time.time() - os.stat(image).st_ctime < 1.9
            t.equal(os.listdir(mnt), ["fresh"])
        if fresh:
            t.equal(kept(t), [])
            return
        t.run([XAAS, "cache", "clear"])
    t.true(False, "this machine takes two seconds to mount anything")


def test_damage(t):
    image = settled(t.squashfs({f"file-{i}": b"%d" % i for i in range(200)}))
    expected = names(t, image)
    index, = kept(t)
    size = index.stat().st_size
    # The index's parts, and every field of what is behind it (cache/cache_index.c).
    places = [*range(0, size - 232, size // 23), *range(size - 232, size, 8)]
    t.true(len(places) > 45, "places")
    for place in places[::4] + places[-2:]:
        index, = kept(t)
        index.chmod(0o600)
        with open(index, "r+b") as file:
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ 0xff]))
        t.equal(names(t, image), expected, f"byte {place}")
    index, = kept(t)
    index.chmod(0o600)
    os.truncate(index, size // 2)
    t.equal(names(t, image), expected, "cut short")
    without_indexer(t)
    t.equal(names(t, image), expected, "made anew")


def test_cache_that_cannot_be_written(t):
    image = settled(t.squashfs({"a": b"a"}))
    t.equal(names(t, image), ["a"])
    blocked = t.scratch / "file"
    blocked.write_bytes(b"")
    for where in (blocked, "/proc/nothing"):
        with t.mount(image, options=[f"cache={where}"]) as mnt:
            t.equal(os.listdir(mnt), ["a"])
    if os.geteuid() != 0:
        return
    # Read-only: what is in it serves, and stays as it is.
    t.run(["mount", "--bind", t.cache, t.cache])
    try:
        t.run(["mount", "-o", "remount,bind,ro", t.cache])
        other = settled(t.squashfs({"b": b"b"}, "other.sqfs"))
        t.equal(names(t, other), ["b"])
        without_indexer(t)
        t.equal(names(t, image), ["a"])
        t.equal(len(kept(t)), 1)
    finally:
        t.run(["umount", "-l", t.cache])


def test_says_nothing_about_a_missing_cache(t):
    image = settled(t.squashfs({"a": b"a"}))
    mount = t.mount(image, options=["cache=/proc/nothing"])
    with mount:
        t.equal(mount.log, "")


def test_files_may_not_be_so_large(t):
    """A limit of the user's (ulimit -f) ends no mount."""
    image = settled(t.squashfs({f"file-{i}": b"" for i in range(1000)}))
    expected = names(t, image)
    index, = kept(t)
    size = index.stat().st_size
    mnt = t.scratch / "limited"
    mnt.mkdir()

    def mounted(limit, **how):
        return t.run(["prlimit", f"--fsize={limit}", harness.binary("xaasfs"),
                      "-o", f"cache={t.scratch}/other", image, mnt], **how)

    t.contains(mounted(1000, expect=1).stderr, "ulimit -f")
    # Room for the index in memory, but not for what is kept of it.
    mounted(size - 1)
    t.equal(sorted(os.listdir(mnt)), expected)
    t.run(["umount", mnt] if os.geteuid() == 0 else ["fusermount3", "-u", mnt])
    t.wait_until(lambda: not harness.processes_of(image), "its end")
    t.equal(list((t.scratch / "other/v1/indexes").iterdir()), [], "indexes")


def test_cache_commands_know_it(t):
    image = settled(t.squashfs({"a": b"a" * 100}))
    names(t, image)
    t.contains(t.run([XAAS, "cache", "stats"]).stdout, "image indexes    1 (")
    t.contains(t.run([XAAS, "cache", "verify"]).stdout, "1 checked, none damaged")
    index, = kept(t)
    index.chmod(0o600)
    with open(index, "r+b") as file:
        file.write(b"Y")
    verified = t.run([XAAS, "cache", "verify"], expect=1)
    t.contains(verified.stderr, f"indexes/{index.name}")
    t.equal(kept(t), [])
    names(t, image)
    t.run([XAAS, "cache", "gc", "--size", "1"])
    t.equal(kept(t), [])
    names(t, image)
    t.run([XAAS, "cache", "clear"])
    t.equal(kept(t), [])


def test_prewarm_leaves_it(t):
    image = settled(t.squashfs({"a": b"a"}))
    t.run([XAAS, "prewarm", image])
    t.equal(counters(t), (0, 1, 1))
    without_indexer(t)
    t.equal(names(t, image), ["a"])
    t.equal(counters(t), (1, 1, 1))


harness.main()
