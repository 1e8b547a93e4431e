# SPDX-License-Identifier: Apache-2.0
"""The memory of a mount is bounded by what was asked for, whatever is read and by however many."""

import os
import pathlib
import random
import re

import harness

MIB = 1 << 20
CACHE = 32 * MIB
MORE = 40 * MIB
FILES, FILE_SIZE = 48, 4 * MIB


def large_image(t, *options):
    """Six times what the cache may hold: noise, which is stored as it is, and text."""
    rng = random.Random(1)
    text = b"".join(b"%d bottles of water\n" % rng.randrange(10**6) for _ in range(50_000))
    tree = {}
    for number in range(FILES):
        noise = rng.randbytes(MIB)
        tree[f"{number}"] = (noise + text * 4)[:FILE_SIZE - number]
    return t.squashfs(tree, mksquashfs_options=["-comp", "lz4", *options])


def read_all(root, order):
    for path in order:
        with open(root / path, "rb", buffering=0) as file:
            while file.read(MIB):
                pass
            # What the kernel keeps would hide the mount.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def peak(pid):
    """Bytes."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def check_peak(t, image, readers, options=()):
    # meson has malloc write to all that it gives away, which is then no longer untouched.
    mount = t.mount(image, options=[f"cache_size={CACHE}", *options], env={"MALLOC_PERTURB_": "0"})
    paths = sorted(os.listdir(mount.path))
    children = []
    for number in range(readers):
        order = random.Random(number).sample(paths, len(paths) if readers < 8 else len(paths) // 4)
        child = os.fork()
        if child == 0:
            try:
                read_all(mount.path, order)
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    for child in children:
        t.equal(os.waitpid(child, 0)[1], 0, "status of a reader")
    print(f"{readers} readers, {' '.join(options)}: {peak(mount.pid) / MIB:.1f} MiB")
    t.true(peak(mount.pid) <= CACHE + MORE, f"{readers} readers: {peak(mount.pid) / MIB:.1f} MiB")
    mount.stop()


def test_few_and_many_readers(t):
    image = large_image(t)
    for readers in (1, 4, 64):
        check_peak(t, image, readers)


def test_large_blocks(t):
    image = large_image(t, "-b", "1M")
    for readers in (1, 64):
        check_peak(t, image, readers)


def test_blocks_that_are_stored_as_they_are(t):
    check_peak(t, large_image(t, "-noD", "-noF"), 64)


def test_many_threads(t):
    check_peak(t, large_image(t), 64, ["max_threads=100"])


if __name__ == "__main__":
    harness.main()
