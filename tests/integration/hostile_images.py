# SPDX-License-Identifier: Apache-2.0
"""A small squashfs image of which every field can lie.

sample() is an honest image as plain fields; write() makes bytes of it, whose metadata is stored as it
is. A model's `lies` are what write() puts in the place of what it computed. The format is that of the
kernel's fs/squashfs/squashfs_fs.h.
"""

import struct
import zlib
from types import SimpleNamespace

BLOCK = 4096
RAW_DATA = 1 << 24       # in the size of a data block: it is stored as it is
METADATA_BLOCK = 8192    # bytes, decompressed
RAW_METADATA = 1 << 15   # in the size of a metadata block: it is stored as it is
NONE = 0xffffffff
NO_TABLE = 0xffffffffffffffff

DIRECTORY, FILE, SYMLINK, DEVICE, LONG_DIRECTORY, LONG_FILE = 1, 2, 3, 5, 8, 9

# What follows the fields that all inodes have, by type.
LAYOUTS = {
    DIRECTORY: ("<IIHHI", ["start", "nlink", "size", "offset", "parent"]),
    FILE: ("<IIII", ["start", "fragment", "offset", "size"]),
    SYMLINK: ("<II", ["nlink", "size"]),
    DEVICE: ("<II", ["nlink", "rdev"]),
    LONG_DIRECTORY: ("<IIIIHHI", ["nlink", "size", "start", "parent", "indexes", "offset", "xattr"]),
    LONG_FILE: ("<QQQIIII", ["start", "size", "sparse", "nlink", "fragment", "offset", "xattr"]),
}
SUPERBLOCK = ("<4s4I6H8Q", [
    "magic", "inodes", "mtime", "block_size", "fragments", "compressor", "block_log", "flags", "ids",
    "major", "minor", "root", "used", "id_table", "xattr_table", "inode_table", "directory_table",
    "fragment_table", "export_table"])


def text(word, size):
    return (word * (size // len(word) + 1))[:size]


def inode(type_, number, mode=0o644, **fields):
    return SimpleNamespace(type=type_, lies={}, fields={
        "mode": mode, "uid": 0, "gid": 0, "mtime": 1, "number": number, "nlink": 1, "xattr": NONE,
        "fragment": NONE, "offset": 0, "start": 0, "sparse": 0, "parent": 1, "indexes": 0, **fields},
        blocks=[], tail=b"")


def sample():
    """The root has d/ (with deep and the empty nested/), device, file, link (to file) and noted, which
    has an extended attribute. file has a raw block, a hole, a compressed one and a tail."""
    model = SimpleNamespace(lies={}, tables={}, header_lies={}, entry_lies={}, fragment_lies={},
                            xattr_set_lies={}, xattr_lies={})
    model.blocks = [text(b"raw ", BLOCK), zlib.compress(text(b"compressed ", BLOCK)),
                    zlib.compress(text(b"deep ", 1000))]
    model.fragment = zlib.compress(text(b"tail ", 300) + text(b"noted ", 200))
    model.inodes = {
        "root": inode(DIRECTORY, 1, 0o755, nlink=3, parent=9),
        "d": inode(DIRECTORY, 2, 0o755, nlink=3),
        "device": inode(DEVICE, 3, rdev=0x103),
        "file": inode(FILE, 4, fragment=0, size=3 * BLOCK + 300),
        "link": inode(SYMLINK, 5, size=4),
        "noted": inode(LONG_FILE, 6, size=200, fragment=0, offset=300, xattr=0),
        "deep": inode(FILE, 7, size=1000),
        "nested": inode(DIRECTORY, 8, 0o755, nlink=2, parent=2),
    }
    model.inodes["file"].blocks = [0, None, 1]
    model.inodes["deep"].blocks = [2]
    model.inodes["link"].tail = b"file"
    # Of each directory, its names and the inodes that they stand for.
    model.listings = {
        "root": [(b"d", "d"), (b"device", "device"), (b"file", "file"), (b"link", "link"), (b"noted", "noted")],
        "d": [(b"deep", "deep"), (b"nested", "nested")],
        "nested": [],
    }
    model.xattrs = [(0, b"note", b"a value")]  # 0: user.
    return model


def metadata(content):
    """CONTENT as metadata blocks; more than one block is compressed, and only its first one has anything
    that something else points to."""
    if len(content) <= METADATA_BLOCK:
        return struct.pack("<H", len(content) | RAW_METADATA) + content
    blocks = []
    for at in range(0, len(content), METADATA_BLOCK):
        stored = zlib.compress(content[at:at + METADATA_BLOCK])
        blocks.append(struct.pack("<H", len(stored)) + stored)
    return b"".join(blocks)


def block_list(model, inode_):
    if "block_list" in inode_.lies:
        return inode_.lies["block_list"]
    sizes = []
    for number in inode_.blocks:
        if number is None:
            sizes.append(0)
        else:
            stored = model.blocks[number]
            sizes.append(len(stored) | (RAW_DATA if stored[:1] != b"\x78" else 0))
    sizes = inode_.lies.get("blocks", sizes)
    return struct.pack(f"<{len(sizes)}I", *sizes)


def inode_bytes(model, inode_):
    fields = {**inode_.fields, **inode_.lies}
    layout, names = LAYOUTS[inode_.type]
    tail = inode_.tail
    if inode_.type in (FILE, LONG_FILE):
        tail = block_list(model, inode_)
    return struct.pack("<HHHHII", fields.get("type", inode_.type), *(
        fields[name] for name in ("mode", "uid", "gid", "mtime", "number"))) + \
        struct.pack(layout, *(fields[name] for name in names)) + tail


def listing_bytes(model, directory, places):
    listing = model.listings[directory]
    if not listing:
        return b""
    first = model.inodes[listing[0][1]].fields["number"]
    header = {"count": len(listing) - 1, "start": 0, "number": first, **model.header_lies.get(directory, {})}
    out = struct.pack("<III", header["count"], header["start"], header["number"])
    for name, child in listing:
        target = model.inodes[child]
        told = {"offset": places[child], "number": target.fields["number"] - first,
                "type": target.type if target.type < 8 else target.type - 7, "size": len(name) - 1,
                **model.entry_lies.get((directory, name), {})}
        out += struct.pack("<HhHH", told["offset"], told["number"], told["type"], told["size"]) + name
    return out


def xattr_bytes(model):
    out = b""
    for kind, name, value in model.xattrs:
        told = {"kind": kind, "name_size": len(name), "value_size": len(value), **model.xattr_lies}
        out += struct.pack("<HH", told["kind"], told["name_size"]) + name
        out += struct.pack("<I", told["value_size"]) + value
    return out


def place_data(model, image):
    """Appends blocks and the fragment; returns where the latter is."""
    starts = []
    for stored in model.blocks:
        starts.append(len(image))
        image += stored
    for inode_ in model.inodes.values():
        if inode_.blocks:
            inode_.fields["start"] = starts[inode_.blocks[0]]
    at = len(image)
    image += model.fragment
    return at


def tables_of(model, fragment_at):
    """The content of each metadata block, by table, and where the root's inode is."""
    places, at = {}, 0
    for name, inode_ in model.inodes.items():
        places[name] = at
        if inode_.type in (DIRECTORY, LONG_DIRECTORY):
            # Where its list is, is not known yet.
            inode_.fields["size"] = 0
        at += len(inode_bytes(model, inode_))
    directories = b""
    for name in model.listings:
        listing = listing_bytes(model, name, places)
        model.inodes[name].fields.update(offset=len(directories), size=len(listing) + 3)
        directories += listing
    xattrs = xattr_bytes(model)
    fragment = {"start": fragment_at, "size": len(model.fragment), **model.fragment_lies}
    xattr_set = {"place": 0, "count": len(model.xattrs), "size": len(xattrs), **model.xattr_set_lies}
    return places["root"], {
        "inode_table": b"".join(inode_bytes(model, inode_) for inode_ in model.inodes.values()),
        "directory_table": directories,
        "fragment_block": struct.pack("<QII", fragment["start"], fragment["size"], 0),
        "id_block": struct.pack("<I", 0),
        "xattr_block": xattrs,
        "xattr_set_block": struct.pack("<QII", xattr_set["place"], xattr_set["count"], xattr_set["size"]),
    }


def write(model):
    """The bytes of MODEL. model.tables replaces whole tables by bytes, header included."""
    image = bytearray(struct.calcsize(SUPERBLOCK[0]))
    fragment_at = place_data(model, image)
    root, contents = tables_of(model, fragment_at)
    starts = {}
    # The superblock knows the last three by a list, behind the table, of where its blocks are.
    lists = {"fragment_block": "fragment_table", "id_block": "id_table", "xattr_set_block": "xattr_table"}
    for name, content in contents.items():
        starts[name] = len(image)
        image += model.tables.get(name, metadata(content))
        if name in lists:
            starts[lists[name]] = len(image)
            if name == "xattr_set_block":
                image += struct.pack("<QII", starts["xattr_block"], model.lies.get("xattr_sets", 1), 0)
            image += struct.pack("<Q", model.lies.get(name + "_at", starts[name]))
    fields = {
        "magic": b"hsqs", "inodes": len(model.inodes), "mtime": 1, "block_size": BLOCK, "fragments": 1,
        "compressor": 1, "block_log": 12, "flags": 0, "ids": 1, "major": 4, "minor": 0, "root": root,
        "used": len(image), "export_table": NO_TABLE,
        **{name: starts[name] for name in SUPERBLOCK[1] if name in starts}, **model.lies}
    image[:struct.calcsize(SUPERBLOCK[0])] = struct.pack(
        SUPERBLOCK[0], *(fields[name] for name in SUPERBLOCK[1]))
    return bytes(image)
