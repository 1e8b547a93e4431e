# SPDX-License-Identifier: Apache-2.0
"""Every feature of squashfs 4.0, each in an image that has it, against the kernel's own mount."""

import io
import os
import random
import re
import stat
import tarfile

import harness
import same_as_kernel
from harness.observe import Directory, answer

NOBODY = 65534
ENTRIES = 100_000


def mksquashfs(t, tree, *options, name="image.sqfs"):
    image = t.scratch / name
    t.run(["mksquashfs", tree, image, "-noappend", "-quiet", "-no-progress", *options], timeout=300)
    return image


def empty_folder(t, name="tree"):
    folder = t.scratch / name
    folder.mkdir()
    return folder


def check_image(t, image, inspect=lambda mnt: None):
    """Compares all of IMAGE with the kernel's mount, and lets INSPECT see ours."""
    harness.need_root()
    ours, theirs = same_as_kernel.mounted_twice(t, image)
    with ours as mnt, theirs as kernel:
        same_as_kernel.check(t, mnt, kernel)
        t.equal(same_as_kernel.statfs(mnt), same_as_kernel.statfs(kernel), "statfs")
        inspect(mnt)


def assorted_files(root, block_size):
    """Sizes around the borders of blocks; noise, text, and both with holes."""
    rng = random.Random(block_size)
    sizes = {edge + more for edge in (0, block_size, 3 * block_size) for more in (-1, 0, 1, 700)}
    for size in sorted(size for size in sizes if size >= 0):
        (root / f"noise-{size}").write_bytes(rng.randbytes(size))
        (root / f"text-{size}").write_bytes((b"a line of text %d\n" % size * (size // 10 + 1))[:size])
        with open(root / f"islands-{size}", "wb") as file:
            file.seek(size)
            file.write(rng.randbytes(1 + size % 5))
            file.truncate(size + 2 * block_size)


def test_compressors(t):
    offered = t.run(["mksquashfs", "-help"], expect=None)
    tree = empty_folder(t)
    assorted_files(tree, 131072)
    for compressor in ("gzip", "xz", "lzo", "lz4", "zstd"):
        t.contains(offered.stderr + offered.stdout, f"\t{compressor}")
        check_image(t, mksquashfs(t, tree, "-comp", compressor, name=f"{compressor}.sqfs"))


def test_filters_and_levels_of_compressors(t):
    tree = empty_folder(t)
    assorted_files(tree, 65536)
    for number, words in enumerate(("xz -Xbcj x86,arm,powerpc -Xdict-size 50%", "lz4 -Xhc",
                                    "gzip -Xcompression-level 1 -Xwindow-size 8",
                                    "gzip -Xstrategy huffman_only,run_length_encoded,fixed",
                                    "lzo -Xalgorithm lzo1x_1_11", "zstd -Xcompression-level 22")):
        check_image(t, mksquashfs(t, tree, "-b", "64K", "-comp", *words.split(), name=f"{number}.sqfs"))


def test_lzma_is_served_or_refused_by_name(t):
    """The library that reads metadata may lack it; Linux itself has never had it."""
    offered = t.run(["mksquashfs", "-help"], expect=None)
    if not re.search(r"^\s*lzma$", offered.stdout + offered.stderr, re.M):
        harness.skip("this mksquashfs was built without lzma")
    image = mksquashfs(t, empty_folder(t), "-comp", "lzma")
    done = t.run([harness.binary("xaasfs"), image, empty_folder(t, "mnt")], expect=1)
    t.contains(done.stderr, "-comp zstd")


def test_layouts(t):
    """Block sizes, with and without fragments, and with each part stored as it is."""
    for number, words in enumerate(("-b 4K", "-b 8K -always-use-fragments", "-b 1M -no-fragments",
                                    "-b 16K -noI -noD -noF -noX", "-b 4K -noD", "-b 32K -noF",
                                    "-b 128K -no-exports -noId", "-b 64K -no-sparse",
                                    "-b 16K -no-duplicates -tailends")):
        tree = empty_folder(t, f"tree{number}")
        assorted_files(tree, int(words.split()[1].replace("K", "").replace("1M", "1024")) << 10)
        check_image(t, mksquashfs(t, tree, *words.split(), name=f"{number}.sqfs"))


def test_an_offset(t):
    tree = empty_folder(t)
    assorted_files(tree, 4096)
    image = mksquashfs(t, tree, "-offset", "512")
    harness.need_root()
    with t.mount(image, options=["offset=512"]) as mnt, \
            harness.kernel_squashfs(t, image, offset=512) as kernel:
        same_as_kernel.check(t, mnt, kernel)


def test_nothing_but_a_root(t):
    tree = empty_folder(t)
    check_image(t, mksquashfs(t, tree), lambda mnt: t.equal(os.listdir(mnt), [], "the root"))
    (tree / "empty").touch()
    (tree / "folder").mkdir()
    check_image(t, mksquashfs(t, tree, name="two.sqfs"))


HUGE = (6 << 30) + 12345
ISLANDS = (0, (1 << 32) - 3, (1 << 32) + (7 << 20) - 1, 5 << 30, HUGE - 9)


def test_files_over_four_gibibytes(t):
    harness.need_root()
    tree = empty_folder(t)
    with open(tree / "huge", "wb") as file:
        file.truncate(HUGE)
        for place in ISLANDS:
            file.seek(place)
            file.write(b"island %010d"[:HUGE - place] % place if place < HUGE - 9 else b"the end!\n")
    ours, theirs = same_as_kernel.mounted_twice(t, mksquashfs(t, tree, "-b", "1M"))
    with ours as mnt, theirs as kernel, open(mnt / "huge", "rb") as mine, \
            open(kernel / "huge", "rb") as other:
        for field in ("st_size", "st_blocks", "st_ino"):
            t.equal(*(getattr(os.fstat(file.fileno()), field) for file in (mine, other)), field)
        for place in ISLANDS:
            for start in range(max(place - 5000, 0), place + 5000, 2500):
                t.equal(os.pread(mine.fileno(), 4000, start), os.pread(other.fileno(), 4000, start),
                        f"bytes at {start}")
        t.true(any(os.pread(mine.fileno(), 9, HUGE - 9)), "no island at the end")
        places, at = [], 0
        while isinstance(at, int):
            places.append(at)
            at = answer(os.lseek, mine.fileno(), os.lseek(mine.fileno(), at, os.SEEK_HOLE), os.SEEK_DATA)
        t.equal(places, sorted({place >> 20 << 20 for place in ISLANDS}), "where data is")


def test_extended_inodes(t):
    """Links to and attributes of each kind of file make each kind of extended inode."""
    tree = empty_folder(t)
    (tree / "regular").write_bytes(b"x" * 200000)
    (tree / "symlink").symlink_to("regular")
    (tree / "directory").mkdir()
    os.mkfifo(tree / "fifo")
    for name, kind in (("socket", stat.S_IFSOCK), ("character", stat.S_IFCHR), ("block", stat.S_IFBLK)):
        os.mknod(tree / name, kind | 0o640, os.makedev(259, 70000))
    for path in list(tree.iterdir()):
        os.setxattr(path, "trusted.kind", path.name.encode(), follow_symlinks=False)
        if path.name != "directory":
            os.link(path, tree / "directory" / path.name, follow_symlinks=False)

    def inspect(mnt):
        for path in mnt.iterdir():
            t.equal(os.getxattr(path, "trusted.kind", follow_symlinks=False), path.name.encode())
        # squashfs-tools 4.5 keeps links of regular files only.
        st = (mnt / "regular").stat()
        t.equal((st.st_nlink, st.st_ino), (2, (mnt / "directory/regular").stat().st_ino), "links")

    check_image(t, mksquashfs(t, tree), inspect)


def test_owners(t):
    """As many different ids as an image can hold, most of which need more than 16 bits."""
    harness.need_root()
    tree = empty_folder(t)
    for n in range(32_000):
        os.mknod(tree / str(n))
        os.chown(tree / str(n), 100_000 + n, 2**32 - 2 - n)

    def inspect(mnt):
        st = (mnt / "29999").lstat()
        t.equal((st.st_uid, st.st_gid), (129_999, 2**32 - 30_001), "owners")

    check_image(t, mksquashfs(t, tree), inspect)


def test_times(t):
    """Seconds are unsigned and 32 bits: 1970 to 2106."""
    tree = empty_folder(t)
    for seconds in (-2**31, -1, 0, 1, 2**31 - 1, 2**31, 2**32 - 1):
        (tree / str(seconds)).touch()
        os.utime(tree / str(seconds), (1, seconds))

    def inspect(mnt):
        t.equal({name: (mnt / name).lstat().st_mtime_ns for name in ("0", "2147483648", "4294967295")},
                {"0": 0, "2147483648": 2**31 * 10**9, "4294967295": (2**32 - 1) * 10**9}, "times")

    check_image(t, mksquashfs(t, tree), inspect)


def every_byte():
    return bytes(byte for byte in range(1, 256) if byte != ord("/"))


def test_names_of_any_bytes(t):
    tree = os.fsencode(empty_folder(t))
    rng = random.Random(1)
    names = {every_byte() + b"x", every_byte()[::-1], b"\xff" * 255, b"\x01" * 255, b"-", b"...", b" ",
             b"\n", b"\\", "é".encode(), "e\u0301".encode(), "ﬃ".encode("utf-16-le").replace(b"\0", b"")}
    names |= {bytes(rng.choices(every_byte(), k=rng.randint(1, 255))) for _ in range(500)}
    for name in names:
        open(os.path.join(tree, name), "wb").close()

    def inspect(mnt):
        root = os.fsencode(mnt)
        t.equal(set(os.listdir(root)), names, "names")
        for name in names:
            t.true(stat.S_ISREG(os.lstat(os.path.join(root, name)).st_mode), f"{name!r} is not found")
            for other in (name[:-1], name[:200] + b"\x02", name.swapcase()):
                if other not in (b"", b".", b"..", *names):
                    t.equal(answer(os.lstat, os.path.join(root, other)), "ENOENT", f"{other!r}")

    check_image(t, mksquashfs(t, os.fsdecode(tree)), inspect)


def test_long_targets(t):
    tree = empty_folder(t)
    for size in (1, 59, 60, 255, 4094, 4095):
        os.symlink(b"\xfe" * size, os.fsencode(tree / str(size)))
    check_image(t, mksquashfs(t, tree), lambda mnt: t.equal(
        os.readlink(os.fsencode(mnt / "4095")), b"\xfe" * 4095, "the longest target"))


LEVELS = 2000


def test_a_deep_tree(t):
    harness.need_root()
    tree = empty_folder(t)
    here = os.open(tree, os.O_RDONLY)
    for level in range(LEVELS):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    with open(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=here), "wb") as leaf:
        leaf.write(b"found")
    os.close(here)
    # Paths of 4,000 bytes are just short enough when they do not begin at the root.
    t.run(["mksquashfs", "tree", "image.sqfs", "-quiet", "-no-progress"])
    t.run(["rm", "-r", tree])
    ours, theirs = same_as_kernel.mounted_twice(t, t.scratch / "image.sqfs")
    with ours as mnt, theirs as kernel:
        seen = []
        for root in (mnt, kernel):
            os.chdir(root)
            for level in range(LEVELS):
                st = os.stat(".")
                seen.append((root == mnt, level, st.st_ino, st.st_nlink, os.listdir(".")))
                os.chdir("d")
            t.equal(open("leaf", "rb").read(), b"found")
            t.equal(os.lstat("..").st_ino, seen[-1][2], "the folder above")
            t.true(len(os.getcwd()) > 2 * LEVELS, "getcwd")
            for level in range(LEVELS):
                os.chdir("..")
            t.equal(os.getcwd(), str(root), "the way back")
            os.chdir("/")
        t.equal([row[1:] for row in seen if row[0]], [row[1:] for row in seen if not row[0]], "levels")


def tar_with_attributes():
    """Attributes that file systems on disks do not hold, as sqfstar takes them from a tar file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        def add(name, attributes):
            member = tarfile.TarInfo(name)
            member.pax_headers = {f"SCHILY.xattr.{key}": value for key, value in attributes.items()}
            tar.addfile(member)
        add("large", {"user.large": "v" * 65536, "trusted.large": "w" * 40000, "security.l": "x" * 30000})
        add("long", {f"user.{'n' * 250}": "the longest name", f"trusted.{'n' * 247}": "here too"})
        add("many", {f"user.{number:04}": str(number) * 9 for number in range(1000)})
        add("same-1", {"user.shared": "s" * 3000, "user.own": "1"})
        add("same-2", {"user.shared": "s" * 3000, "user.own": "2"})
        add("same-3", {"user.shared": "s" * 3000, "user.own": "1"})
        add("none", {})
    return out.getvalue()


def test_attributes(t):
    image = t.scratch / "image.sqfs"
    t.run([harness.need_command("sqfstar"), image], stdin=tar_with_attributes(), binary=True)

    def inspect(mnt):
        t.equal(os.getxattr(mnt / "large", "user.large"), b"v" * 65536, "the largest value")
        t.equal(len(os.listxattr(mnt / "many")), 1000, "attributes of one file")
        names = harness.as_user(NOBODY, os.listxattr, mnt / "large")
        t.equal(sorted(names), ["security.l", "user.large"], "what a user sees listed")

    check_image(t, image, inspect)


# ---- a large directory ----

_large = None


def large_directory(t):
    """An image with /d of 100,000 entries, whose directory has an index. Made once."""
    global _large
    if _large is None:
        tree = empty_folder(t)
        (tree / "d").mkdir()
        for n in range(ENTRIES):
            os.mknod(tree / f"d/{n:06}-{'n' * (n % 40)}")
        _large = mksquashfs(t, tree).read_bytes()
    image = t.scratch / "large.sqfs"
    image.write_bytes(_large)
    return image


def test_a_large_directory(t):
    harness.need_root()
    ours, theirs = same_as_kernel.mounted_twice(t, large_directory(t))
    with ours as mnt, theirs as kernel:
        seen = []
        for root in (mnt, kernel):
            with Directory(root / "d") as listing:
                seen.append(list(listing))
        t.equal(len(seen[0]), ENTRIES + 2, "entries")
        t.equal(seen[0], seen[1], "listing")
        for name, inode, _ in seen[0][2:]:
            t.equal(os.lstat(os.path.join(os.fsencode(mnt), b"d", name)).st_ino, inode, name)
        # The kernel's own takes its time for each.
        for name, _, _ in random.Random(2).sample(seen[0], 500):
            t.equal(*(harness.observe(os.path.join(os.fsencode(root), b"d", name))["st_ino"]
                      for root in (mnt, kernel)), name)
            t.equal(answer(os.lstat, os.path.join(os.fsencode(mnt), b"d", name + b"~")), "ENOENT")


def test_places_in_a_large_directory(t):
    rng = random.Random(3)
    with t.mount(large_directory(t)) as mnt:
        with Directory(mnt / "d") as listing, Directory(mnt / "d") as other:
            order, places = [], []
            while True:
                places.append(listing.tell())
                entry = listing.read()
                if entry is None:
                    break
                order.append(entry[0])
            t.equal(len(set(order)), ENTRIES + 2, "entries")
            t.equal(len(set(places)), ENTRIES + 3, "places")
            for number in [*rng.sample(range(ENTRIES + 3), 3000), ENTRIES + 2, 0, ENTRIES + 1]:
                # A place of one stream means the same in each.
                for stream in (listing, other):
                    stream.seek(places[number])
                    rest = [stream.read() for _ in range(rng.randint(1, 3))]
                    t.equal([entry and entry[0] for entry in rest],
                            [*order[number:number + len(rest)], None, None, None][:len(rest)],
                            f"entries from {number} on")


def test_listing_while_the_kernel_forgets(t):
    harness.need_root()
    with t.mount(large_directory(t)) as mnt:
        with Directory(mnt / "d") as listing:
            seen = []
            for number, entry in enumerate(listing):
                seen.append(entry[0])
                if number % (ENTRIES // 8) == 0:
                    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as drop:
                        drop.write("2")
        t.equal((len(seen), len(set(seen))), (ENTRIES + 2, ENTRIES + 2), "entries, different ones")


if __name__ == "__main__":
    harness.main()
