# SPDX-License-Identifier: Apache-2.0
"""Images with one thing wrong in each, mounted for real: refused with a message, or served except for
what is damaged, which is EIO; never a crash, a hang or a leak."""

import json
import os
import pathlib
import struct
import zlib

import harness
from hostile_images import (BLOCK, DIRECTORY, LONG_FILE, NONE, RAW_DATA, RAW_METADATA, inode, metadata, sample, text,
                            write)

HUGE = 0xffffffff
HUGE64 = 0xffffffffffffffff

# What has to come of it: no mount; everything can be read; or reading just these paths is EIO.
REFUSED = "refused"
SERVED = frozenset()


def eio(*paths):
    return frozenset(paths)


# ---- one lie each: functions that change a model ----

def superblock(**lies):
    return lambda model: model.lies.update(lies)


def field(name, **lies):
    return lambda model: model.inodes[name].lies.update(lies)


def header(directory, **lies):
    return lambda model: model.header_lies.update({directory: lies})


def entry(directory, name, **lies):
    return lambda model: model.entry_lies.update({(directory, name): lies})


def named(directory, number, name):
    """Entry NUMBER of DIRECTORY has another name, which may be none."""
    def change(model):
        _, child = model.listings[directory][number]
        model.listings[directory][number] = (name, child)
    return change


def listed(directory, name, child):
    """DIRECTORY lists CHILD, too."""
    return lambda model: model.listings[directory].append((name, child))


def table(name, content):
    """A whole table: bytes, its header included."""
    return lambda model: model.tables.update({name: content})


def compressed(name, make):
    """A whole table: what MAKE makes of zeroes, as one compressed block."""
    return table(name, struct.pack("<H", len(make)) + make)


def stored(number, content):
    """Data block NUMBER."""
    def change(model):
        model.blocks[number] = content
    return change


def fragment(content=None, **lies):
    def change(model):
        model.fragment = content if content is not None else model.fragment
        model.fragment_lies.update(lies)
    return change


def xattr(**lies):
    return lambda model: model.xattr_lies.update(lies)


def xattr_set(**lies):
    return lambda model: model.xattr_set_lies.update(lies)


def target(content, size=None):
    def change(model):
        model.inodes["link"].tail = content
        model.inodes["link"].fields["size"] = len(content) if size is None else size
    return change


def chain_of_directories(model):
    """Deep, but no loop: each holds the next one."""
    above = "nested"
    for number in range(9, 59):
        name = f"deeper-{number}"
        model.inodes[name] = inode(DIRECTORY, number, 0o755, nlink=2)
        model.listings[above] = [(b"deeper", name)]
        model.listings[name] = []
        above = name


SUPERBLOCKS = {
    "version-3": (REFUSED, superblock(major=3)),
    "version-4.1": (REFUSED, superblock(minor=1)),
    "compressor-0": (REFUSED, superblock(compressor=0)),
    "compressor-7": (REFUSED, superblock(compressor=7)),
    "block-size-0": (REFUSED, superblock(block_size=0)),
    "block-size-1": (REFUSED, superblock(block_size=1, block_log=0)),
    "block-size-no-power-of-two": (REFUSED, superblock(block_size=5000)),
    "block-size-2-mib": (REFUSED, superblock(block_size=2 << 20, block_log=21)),
    "block-size-4-gib": (REFUSED, superblock(block_size=HUGE)),
    "block-log-other": (SERVED, superblock(block_log=31)),
    "more-bytes-than-the-file": (REFUSED, superblock(used=1 << 20)),
    "all-bytes-there-are": (REFUSED, superblock(used=HUGE64)),
    "fewer-bytes-than-the-data": (REFUSED, superblock(used=1000)),
    "no-bytes": (REFUSED, superblock(used=0)),
    "one-inode-more": (SERVED, superblock(inodes=9)),
    "one-inode-less": (REFUSED, superblock(inodes=7)),
    "no-inodes": (REFUSED, superblock(inodes=0)),
    "root-behind-the-table": (REFUSED, superblock(root=0x2000)),
    "root-offset-behind-the-block": (REFUSED, superblock(root=0xffff)),
    "root-far-away": (REFUSED, superblock(root=0xffffffff0000)),
    "root-wraps": (REFUSED, superblock(root=HUGE64)),
    "root-in-the-middle-of-an-inode": (REFUSED, superblock(root=7)),
    "fragments-4-billion": (REFUSED, superblock(fragments=HUGE)),
    "fragments-one-more": (REFUSED, superblock(fragments=513)),
    "no-owners": (REFUSED, superblock(ids=0)),
    "owners-65535": (REFUSED, superblock(ids=65535)),
    "xattr-sets-4-billion": (REFUSED, superblock(xattr_sets=HUGE)),
}
for name in ("inode_table", "directory_table", "fragment_table", "id_table", "xattr_table"):
    label = name.replace("_", "-")
    SUPERBLOCKS[f"{label}-behind-the-end"] = (REFUSED, superblock(**{name: 1 << 30}))
    SUPERBLOCKS[f"{label}-negative"] = (REFUSED, superblock(**{name: HUGE64 - 1}))
    SUPERBLOCKS[f"{label}-on-the-superblock"] = (REFUSED, superblock(**{name: 0}))
for name in ("fragment_block", "id_block", "xattr_set_block"):
    SUPERBLOCKS[f"{name.replace('_', '-')}-behind-the-end"] = (REFUSED, superblock(**{f"{name}_at": 1 << 30}))
    SUPERBLOCKS[f"{name.replace('_', '-')}-negative"] = (REFUSED, superblock(**{f"{name}_at": HUGE64 - 1}))

TABLES = {}
for name in ("inode_table", "directory_table", "fragment_block", "id_block", "xattr_block", "xattr_set_block"):
    label = name.replace("_", "-")
    TABLES[f"{label}-of-zeroes"] = (REFUSED, table(name, bytes(300)))
    TABLES[f"{label}-empty"] = (REFUSED, table(name, metadata(b"")))
    # Of the inodes and directories nothing is left; the other tables are read for zeroes.
    TABLES[f"{label}-too-large"] = (
        REFUSED if name in ("inode_table", "directory_table") else
        eio("file", "noted") if name == "fragment_block" else SERVED,
        table(name, struct.pack("<H", 0x7fff | RAW_METADATA) + bytes(40000)))
    TABLES[f"{label}-no-zlib"] = (REFUSED, compressed(name, b"x" * 100))
    TABLES[f"{label}-bomb"] = (REFUSED, compressed(name, zlib.compress(bytes(1 << 24))))
    TABLES[f"{label}-half-a-stream"] = (REFUSED, compressed(name, zlib.compress(os.urandom(200))[:100]))

INODES = {
    "type-0": (REFUSED, field("device", type=0)),
    "type-15": (REFUSED, field("device", type=15)),
    "directory-called-file": (REFUSED, field("d", type=2)),
    "file-called-directory": (SERVED, field("deep", type=1)),
    "owner-not-in-the-table": (REFUSED, field("device", uid=1)),
    "group-not-in-the-table": (REFUSED, field("device", gid=65535)),
    "no-links": (SERVED, field("file", nlink=0)),
    "number-of-another": (SERVED, field("file", number=7)),
    "file-of-4-gib": (REFUSED, field("file", size=HUGE)),
    "file-of-exabytes": (REFUSED, field("noted", size=1 << 62)),
    "file-of-negative-size": (REFUSED, field("noted", size=HUGE64)),
    "file-larger-than-its-tail": (eio("noted"), field("noted", size=300)),
    "sparse-more-than-the-file": (SERVED, field("noted", sparse=HUGE64)),
    "blocks-behind-the-end": (REFUSED, field("deep", start=1 << 30)),
    "block-too-large": (REFUSED, field("deep", blocks=[BLOCK + 1])),
    "block-huge": (REFUSED, field("deep", blocks=[RAW_DATA - 1])),
    "block-with-unknown-bits": (REFUSED, field("deep", blocks=[HUGE])),
    "block-too-short": (eio("d/deep"), field("deep", blocks=[10])),
    "raw-block-too-short": (eio("d/deep"), field("deep", blocks=[10 | RAW_DATA])),
    "compressed-block-called-raw": (SERVED, field("deep", size=10, blocks=[20 | RAW_DATA])),
    "blocks-on-the-superblock": (eio("d/deep"), field("deep", start=0)),
    "fragment-that-is-not-there": (REFUSED, field("file", fragment=1)),
    "fragment-negative": (REFUSED, field("file", fragment=NONE - 1)),
    "fragment-offset-behind-its-data": (eio("file"), field("file", offset=3000)),
    "fragment-offset-behind-its-block": (REFUSED, field("file", offset=BLOCK)),
    "fragment-offset-wraps": (REFUSED, field("file", offset=HUGE)),
    "xattr-set-that-is-not-there": (REFUSED, field("noted", xattr=1)),
    "xattr-set-negative": (REFUSED, field("noted", xattr=NONE - 1)),
    "link-to-nothing": (REFUSED, target(b"", 0)),
    "link-of-64-kib": (REFUSED, target(b"x", 65536)),
    "link-of-4-gib": (REFUSED, target(b"x", HUGE)),
    "link-of-5000-bytes": (REFUSED, target(b"x" * 5000)),
    "link-with-nul": (REFUSED, target(b"fi\0e")),
    "link-to-itself": (SERVED, target(b"link")),
    "link-out-of-the-image": (SERVED, target(b"../../../../etc/passwd")),
}

DIRECTORIES = {
    "directory-larger-than-its-list": (REFUSED, field("d", size=60000)),
    "directory-smaller-than-its-list": (SERVED, field("d", size=20)),
    "directory-of-no-size": (SERVED, field("nested", size=0)),
    "directory-of-4-gib": (REFUSED, field("nested", size=65535)),
    "directory-offset-behind-its-block": (REFUSED, field("d", offset=65535)),
    "directory-block-far-away": (REFUSED, field("d", start=0x7fffffff)),
    "directory-with-another-parent": (SERVED, field("d", parent=77)),
    "entries-4-billion": (REFUSED, header("d", count=HUGE)),
    "entries-257": (REFUSED, header("d", count=256)),
    "entries-of-another-block": (REFUSED, header("d", start=0x10000)),
    "entries-of-a-block-far-away": (REFUSED, header("d", start=HUGE)),
    "entry-offset-behind-its-block": (REFUSED, entry("d", b"deep", offset=65535)),
    "entry-in-the-middle-of-an-inode": (REFUSED, entry("d", b"deep", offset=5)),
    "entry-of-no-number": (REFUSED, entry("d", b"deep", number=-7)),
    "entry-of-a-number-behind-the-last": (REFUSED, entry("d", b"nested", number=2)),
    "entry-with-the-number-of-the-next": (SERVED, entry("d", b"deep", number=1)),
    "entry-with-the-number-of-its-directory": (REFUSED, entry("d", b"deep", number=-5)),
    "entry-with-the-number-of-the-root": (REFUSED, entry("d", b"deep", number=-6)),
    "entry-of-another-type": (SERVED, entry("d", b"deep", type=5)),
    "name-longer-than-its-list": (REFUSED, entry("d", b"nested", size=250)),
    "name-of-64-kib": (REFUSED, entry("d", b"deep", size=65535)),
    "name-of-257-bytes": (REFUSED, named("d", 0, b"n" * 257)),
    "name-of-5000-bytes": (REFUSED, named("d", 0, b"n" * 5000)),
    "name-of-255-bytes": (SERVED, named("d", 0, b"d" * 255)),
    "name-with-slash": (REFUSED, named("d", 0, b"d/p")),
    "name-that-climbs": (REFUSED, named("d", 0, b"../../etc/passwd")),
    "name-absolute": (REFUSED, named("d", 0, b"/etc/passwd")),
    "name-with-nul": (REFUSED, named("d", 0, b"de\0p")),
    "name-dot": (REFUSED, named("d", 0, b".")),
    "name-dot-dot": (REFUSED, named("d", 0, b"..")),
    "name-that-drives-a-terminal": (SERVED, named("d", 0, b"\x1b]0;gotcha\a")),
    "names-unsorted": (SERVED, named("d", 0, b"zzzz")),
    "name-twice": (REFUSED, named("d", 0, b"nested")),
    "directory-lists-the-root": (REFUSED, listed("d", b"up", "root")),
    "directory-lists-itself": (REFUSED, listed("nested", b"self", "nested")),
    "directory-lists-the-one-above": (REFUSED, listed("nested", b"up", "d")),
    "directory-in-two-places": (REFUSED, listed("root", b"second", "nested")),
    "root-lists-itself": (REFUSED, listed("root", b"root", "root")),
    "directories-50-deep": (SERVED, chain_of_directories),
}

DATA = {
    "no-zlib": (eio("d/deep"), stored(2, b"\x78" + b"y" * 50)),
    "zeroes": (eio("d/deep"), lambda model: (stored(2, bytes(50))(model), field("deep", blocks=[50])(model))),
    "bomb": (eio("d/deep"), stored(2, zlib.compress(bytes(1 << 20)))),
    "one-byte-too-few": (eio("d/deep"), stored(2, zlib.compress(text(b"deep ", 999)))),
    "one-byte-more-than-a-block": (eio("d/deep"), stored(2, zlib.compress(bytes(BLOCK + 1)))),
    "half-a-stream": (eio("d/deep"), stored(2, zlib.compress(os.urandom(900))[:450])),
    "in-the-middle": (eio("file"), stored(1, b"\x78" + b"y" * 50)),
    "fragment-no-zlib": (eio("file", "noted"), fragment(b"\x78" + b"y" * 50)),
    "fragment-bomb": (eio("file", "noted"), fragment(zlib.compress(bytes(1 << 20)))),
    "fragment-too-short-for-one": (eio("noted"), fragment(zlib.compress(text(b"tail ", 300)))),
    "fragment-of-nothing": (eio("file", "noted"), fragment(size=0)),
    "fragment-raw": (eio("noted"), fragment(text(b"tail ", 310), size=310 | RAW_DATA)),
    "fragment-behind-the-end": (REFUSED, fragment(start=1 << 30)),
    "fragment-position-wraps": (REFUSED, fragment(start=HUGE64)),
    "fragment-too-large": (REFUSED, fragment(size=BLOCK + 1)),
    "fragment-on-the-superblock": (eio("file", "noted"), fragment(start=0)),
    "fragment-over-a-block": (SERVED, lambda model: fragment(start=96, size=BLOCK | RAW_DATA)(model)),
}

XATTRS = {
    "type-unknown": (REFUSED, xattr(kind=7)),
    "value-elsewhere-but-not-there": (REFUSED, xattr(kind=0x100)),
    "name-of-64-kib": (REFUSED, xattr(name_size=65535)),
    "name-of-nothing": (REFUSED, xattr(name_size=0)),
    "value-of-4-gib": (REFUSED, xattr(value_size=HUGE)),
    "value-of-64-kib": (REFUSED, xattr(value_size=65537)),
    "value-longer-than-its-table": (REFUSED, xattr(value_size=60000)),
    "set-of-4-billion": (REFUSED, xattr_set(count=HUGE)),
    "set-of-one-more": (SERVED, xattr_set(count=2)),
    "set-far-away": (REFUSED, xattr_set(place=0xffffffff0000)),
    "set-offset-behind-its-block": (REFUSED, xattr_set(place=0xffff)),
    "set-place-negative": (REFUSED, xattr_set(place=HUGE64)),
    "set-size-other": (SERVED, xattr_set(size=HUGE)),
}

WALK = pathlib.Path(__file__).with_name("hostile_walk.py")


def messages(text_):
    """The mount's own lines: in a sanitized build the indexer, which may crash, has its say as well."""
    return [line for line in text_.splitlines() if line.startswith("xaasfs: ")]


def check_message(t, message, image):
    t.contains(message, str(image))
    t.true("; " in message, f"it does not say what to do: {message}")
    t.true(message.isprintable(), f"it could drive a terminal: {message!r}")


def expect_refusal(t, image, mnt):
    done = t.run([harness.binary("xaasfs"), image, mnt], expect=None, timeout=60)
    t.true(not os.path.ismount(mnt), "it is mounted")
    t.equal(done.returncode, 1, f"status ({done.stderr})")
    said = messages(done.stderr)
    t.equal(len(said), 1, f"messages in {done.stderr}")
    check_message(t, said[0], image)


def expect_errors(t, image, paths):
    mount = t.mount(image)
    seen = json.loads(t.run(["python3", WALK, mount.path], timeout=60).stdout)
    t.equal(seen, {path: "EIO" for path in paths}, "what cannot be read")
    complaints = messages(mount.log)
    t.equal(bool(complaints), bool(paths), f"messages ({complaints})")
    for complaint in complaints:
        check_message(t, complaint, image)
    t.equal(os.stat(mount.path).st_ino, 1)
    mount.stop()


def try_all(t, damages):
    harness.need_fuse()
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    wrong = []
    for name, (outcome, change) in damages.items():
        model = sample()
        change(model)
        image = t.scratch / f"{name}.sqfs"
        image.write_bytes(write(model))
        try:
            if outcome == REFUSED:
                expect_refusal(t, image, mnt)
            else:
                expect_errors(t, image, outcome)
        except (harness.TestFailure, AssertionError) as failure:
            wrong.append(f"{name}: {failure}")
            if os.path.ismount(mnt):
                t.run(["umount", mnt])
    t.true(not wrong, "\n".join(wrong))


def test_superblocks(t):
    try_all(t, SUPERBLOCKS)


def test_tables(t):
    try_all(t, TABLES)


def test_inodes(t):
    try_all(t, INODES)


def test_directories(t):
    try_all(t, DIRECTORIES)


def test_data(t):
    try_all(t, DATA)


def test_xattrs(t):
    try_all(t, XATTRS)


def file_of_holes(model):
    """150 KB of metadata are a list of 34 million holes: more than an index may be."""
    holes = 34_000_000
    model.inodes["holes"] = inode(LONG_FILE, 9, size=holes * BLOCK)
    model.inodes["holes"].lies["block_list"] = bytes(4 * holes)
    model.listings["root"].insert(3, (b"holes", "holes"))


def test_what_would_take_all_memory(t):
    if "-fsanitize" in (harness.BUILD / "build.ninja").read_text():
        harness.skip("a sanitized indexer has no limit of memory")
    try_all(t, {"inodes-4-billion": (REFUSED, superblock(inodes=HUGE)), "file-of-holes": (REFUSED, file_of_holes)})


def test_every_length(t):
    """Cut short anywhere, it is refused: nothing is served of an image that is not all there."""
    harness.need_fuse()
    whole = write(sample())
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    image = t.scratch / "cut.sqfs"
    for size in [*range(0, 97, 8), *range(97, len(whole), 331), len(whole) - 1]:
        image.write_bytes(whole[:size])
        expect_refusal(t, image, mnt)
        image.write_bytes(whole[:size] + bytes(len(whole) - size))
        done = t.run([harness.binary("xaasfs"), "-f", image, mnt], expect=None, timeout=60) if size < 4700 else None
        t.true(done is None or done.returncode == 1, "zeroes were mounted")


def test_cut_while_mounted(t):
    image = t.scratch / "image.sqfs"
    model = sample()
    image.write_bytes(write(model))
    mount = t.mount(image)
    os.truncate(image, 1000)
    seen = json.loads(t.run(["python3", WALK, mount.path], timeout=60).stdout)
    t.equal(seen, {"d/deep": "EIO", "file": "EIO", "noted": "EIO"})
    for complaint in messages(mount.log):
        check_message(t, complaint, image)
    mount.stop()


def test_the_sample_is_honest(t):
    image = t.scratch / "image.sqfs"
    image.write_bytes(write(sample()))
    with t.mount(image) as mnt:
        t.equal((mnt / "file").read_bytes(),
                text(b"raw ", BLOCK) + bytes(BLOCK) + text(b"compressed ", BLOCK) + text(b"tail ", 300))
        t.equal((mnt / "link").read_bytes(), (mnt / "file").read_bytes())
        t.equal((mnt / "d/deep").read_bytes(), text(b"deep ", 1000))
        t.equal((mnt / "noted").read_bytes(), text(b"noted ", 200))
        t.equal(os.getxattr(mnt / "noted", "user.note"), b"a value")
        t.equal(sorted(os.listdir(mnt)), ["d", "device", "file", "link", "noted"])
    expect_errors(t, image, SERVED)


harness.main()
