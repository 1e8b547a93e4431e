# SPDX-License-Identifier: Apache-2.0
"""What a mount tells about itself: counts that are exact where they can be."""

import json
import mmap
import os
import random

import harness

BLOCK = 131072


def status(t, path):
    return json.loads(t.run([harness.binary("xaasfs"), "--stats", "--json", path]).stdout)


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
        seen = status(t, mnt)
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
        first = status(t, mnt)["blocks"]
        read_directly(mnt / "big", 19)
        second = status(t, mnt)["blocks"]
    t.equal((first["decompressed"], first["decompressed_again"], first["evicted"]), (40, 20, 32))
    t.equal((first["hits"], first["misses"], first["bytes_held"]), (0, 40, 8 * BLOCK))
    t.equal((second["hits"], second["decompressed"]), (1, 40))


harness.main()
