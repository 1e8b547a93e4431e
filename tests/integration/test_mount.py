# SPDX-License-Identifier: Apache-2.0
"""Images without bitcode: what the mount shows is what is in them."""

import os
import pathlib
import random
import resource
import stat
import struct
import subprocess
import time

import harness


def random_tree(root, seed):
    """Files, links and special files with everything that squashfs keeps."""
    rng = random.Random(seed)
    folders = [root]
    for number in range(120):
        folder = rng.choice(folders)
        path = folder / f"{number}-{''.join(rng.choices('abcäß ,=', k=rng.randint(1, 20)))}"
        kind = rng.randrange(8)
        if kind == 0:
            path.mkdir()
            folders.append(path)
        elif kind == 1:
            path.symlink_to("x" * rng.randint(1, 200))
        elif kind == 2:
            os.mkfifo(path)
        else:
            size = rng.choice([0, 1, 4095, 131072, 131073, 500000, rng.randrange(300000)])
            content = rng.randbytes(size) if rng.random() < 0.3 else b"squash me " * (size // 10)
            path.write_bytes(content)
            if rng.random() < 0.2:
                with open(path, "r+b") as sparse:
                    sparse.truncate(size + 1000000)
            if rng.random() < 0.3:
                os.link(path, folder / f"link-{number}")
            if rng.random() < 0.3:
                try:
                    os.setxattr(path, "user.note", rng.randbytes(rng.randint(0, 3000)))
                except OSError:
                    pass
            if os.geteuid() == 0:
                os.chown(path, rng.randrange(2**32 - 1), rng.randrange(70000))
            path.chmod(rng.randrange(0o10000))
        if not path.is_symlink():
            os.utime(path, (1, rng.randrange(2**32)))


def listing(root):
    """path -> everything that stat, readlink and the xattr calls tell."""
    seen = {}
    inodes = {}
    for folder, folders, files in os.walk(root):
        for name in sorted(folders + files) + ["."]:
            path = pathlib.Path(folder, name)
            st = path.lstat()
            is_folder = stat.S_ISDIR(st.st_mode)
            names = os.listxattr(path, follow_symlinks=False)
            seen[str(path.relative_to(root))] = (
                oct(st.st_mode), st.st_uid, st.st_gid, int(st.st_mtime), st.st_rdev,
                0 if is_folder else st.st_nlink, 0 if is_folder else st.st_size,
                inodes.setdefault((st.st_dev, st.st_ino), str(path.relative_to(root))),
                os.readlink(path) if path.is_symlink() else None,
                {name: os.getxattr(path, name, follow_symlinks=False) for name in names})
    return seen


def compare_contents(t, source, mnt):
    for folder, _, files in os.walk(source):
        for name in files:
            path = pathlib.Path(folder, name)
            if not stat.S_ISREG(path.lstat().st_mode):
                continue
            other = mnt / path.relative_to(source)
            t.true(path.read_bytes() == other.read_bytes(), f"{other} differs from {path}")


def random_options(rng):
    """What mksquashfs may do with a tree, except what makes it another one."""
    words = ["-comp", rng.choice(["gzip", "xz", "lzo", "lz4", "zstd"]),
             "-b", rng.choice(["4096", "65536", "131072", "1048576"])]
    return words + rng.sample(
        ["-no-fragments", "-always-use-fragments", "-no-sparse", "-nopad", "-noI", "-noId", "-noD",
         "-noF", "-noX", "-no-exports", "-all-root"], rng.randrange(5))


def test_random_trees(t):
    """XAASFS_TEST_SEED=N does the same again; XAASFS_TEST_ROUNDS=N does it more often."""
    seed = int(os.environ.get("XAASFS_TEST_SEED", time.time()))
    print(f"XAASFS_TEST_SEED={seed}")
    rng = random.Random(seed)
    for _ in range(int(os.environ.get("XAASFS_TEST_ROUNDS", 3))):
        tree = t.scratch / f"tree{rng.randrange(10**9)}"
        tree.mkdir()
        random_tree(tree, rng.random())
        image = t.scratch / f"{tree.name}.sqfs"
        options = random_options(rng)
        print(f"mksquashfs {' '.join(options)}")
        # Looking for duplicates, squashfs-tools 4.5.1 can store a wrong tail.
        t.run(["mksquashfs", tree, image, "-noappend", "-quiet", "-no-progress", "-no-duplicates",
               *options])
        expected = listing(tree)
        if "-all-root" in options:
            expected = {path: (seen[0], 0, 0, *seen[3:]) for path, seen in expected.items()}
        with t.mount(image) as mnt:
            t.equal(listing(mnt), expected, "listing")
            compare_contents(t, tree, mnt)


def test_same_as_the_kernels_own(t):
    harness.need_root()
    tree = t.scratch / "tree"
    tree.mkdir()
    random_tree(tree, 7)
    os.mknod(tree / "device", stat.S_IFCHR | 0o600, os.makedev(10, 3))
    image = t.scratch / "image.sqfs"
    t.run(["mksquashfs", tree, image, "-quiet", "-no-progress", "-no-duplicates"])
    other = t.scratch / "kernel"
    other.mkdir()
    if t.run(["mount", "-t", "squashfs", "-o", "loop,ro", image, other], expect=None).returncode:
        harness.skip("this kernel does not mount squashfs from a loop device")
    try:
        with t.mount(image) as mnt:
            format_ = "%p %y %m %i %n %U %G %s %T@ %C@ %l\n"
            seen = [t.run(["find", ".", "-printf", format_], cwd=root).stdout for root in (mnt, other)]
            t.equal(sorted(seen[0].splitlines()), sorted(seen[1].splitlines()), "find")
            mine, theirs = os.statvfs(mnt), os.statvfs(other)
            t.equal((mine.f_bsize, mine.f_blocks, mine.f_files),
                    (theirs.f_bsize, theirs.f_blocks, theirs.f_files), "statfs")
    finally:
        t.run(["umount", other])


def test_large_directory_and_seekdir(t):
    names = [f"file-{number:05}" for number in range(20000)]
    image = t.squashfs({f"d/{name}": b"" for name in names})
    script = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for name in ("opendir", "readdir"): getattr(libc, name).restype = ctypes.c_void_p
libc.telldir.restype = ctypes.c_long
libc.telldir.argtypes = libc.readdir.argtypes = [ctypes.c_void_p]
libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
d = libc.opendir(sys.argv[1].encode())
def read():
    entry = libc.readdir(d)
    return ctypes.string_at(entry + 19).decode() if entry else None
order, places = [], []
while True:
    place = libc.telldir(d)
    name = read()
    if name is None: break
    order.append(name); places.append(place)
assert len(order) == 20002, len(order)
for i in (3, 19999, 0, 5000, 20001, 7777):
    libc.seekdir(d, places[i])
    assert read() == order[i], (i, order[i])
"""
    with t.mount(image) as mnt:
        t.equal(sorted(os.listdir(mnt / "d")), names, "names")
        t.run(["python3", "-c", script, mnt / "d"])


def test_holes_are_told(t):
    tree = t.scratch / "sparse.tree"
    tree.mkdir()
    with open(tree / "sparse", "wb") as file:
        file.write(b"a" * 200000)
        file.truncate(10_000_000)
    image = t.scratch / "sparse.sqfs"
    t.run(["mksquashfs", tree, image, "-quiet", "-no-progress"])
    with t.mount(image) as mnt:
        with open(mnt / "sparse", "rb") as file:
            hole = os.lseek(file.fileno(), 0, os.SEEK_HOLE)
            t.true(200000 <= hole < 300000, f"the hole starts at {hole}")
            try:
                os.lseek(file.fileno(), hole, os.SEEK_DATA)
                t.true(False, "there is data behind the hole")
            except OSError as error:
                t.contains(str(error), "No such device")
        t.run(["cp", mnt / "sparse", t.scratch / "copy"])
        t.equal((t.scratch / "copy").read_bytes(), (tree / "sparse").read_bytes())
        t.true((t.scratch / "copy").stat().st_blocks < 2000, "cp wrote the hole out")


def test_offset(t):
    plain = t.squashfs({"a": b"found"})
    image = t.scratch / "behind.img"
    image.write_bytes(b"\0" * 123456 + plain.read_bytes())
    with t.mount(image, options=["offset=123456"]) as mnt:
        t.equal((mnt / "a").read_bytes(), b"found")


def sif(content, fstype=1, parttype=2, kind=0x4004):
    """A SIF file with one partition, as apptainer lays it out."""
    start = 36864
    descriptor = struct.pack("<IBIIIqqqqqqq128s384s", kind, 1, 1, 1, 0, start, len(content),
                             len(content), 0, 0, 0, 0, b"squashfs-test",
                             struct.pack("<ii3s", fstype, parttype, b"02"))
    assert len(descriptor) == 585
    head = (b"#!/usr/bin/env run-singularity\n".ljust(32, b"\0") + b"SIF_MAGIC\0" + b"01\0" + b"02\0" +
            bytes(16))
    head += struct.pack("<8q", 0, 0, 47, 48, 4096, 48 * 585, start, len(content))
    return (head.ljust(4096, b"\0") + bytes(585) + descriptor).ljust(start, b"\0") + content


def test_sif(t):
    content = t.squashfs({"a": b"found"}).read_bytes()
    image = t.scratch / "image.sif"
    image.write_bytes(sif(content))
    with t.mount(image) as mnt:
        t.equal((mnt / "a").read_bytes(), b"found")
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    for bad, words in [(sif(content, fstype=2), "ext3"), (sif(content, fstype=4), "encrypted"),
                       (sif(content, parttype=3), "without a root"),
                       (sif(content)[:40000], "damaged"), (sif(content)[:4200], "damaged")]:
        image.write_bytes(bad)
        done = t.xaasfs(image, mnt)
        t.equal(done.returncode, 1)
        t.contains(done.stderr, words)


def test_other_files_are_named(t):
    harness.need_fuse()
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    other = t.scratch / "other"
    for content, words in [(b"\x1f\x8b" + bytes(100), "gzip"), (b"\x7fELF" + bytes(100), "ELF"),
                           (bytes(257) + b"ustar" + bytes(100), "a tar archive"),
                           (bytes(1080) + b"\x53\xef" + bytes(100), "ext2/3/4"), (b"", "it is empty")]:
        other.write_bytes(content)
        t.contains(t.xaasfs(other, mnt).stderr, words)


def test_nothing_is_written(t):
    image = t.squashfs({"a": b"a", "d/b": b"b"})
    with t.mount(image) as mnt:
        for attempt in (lambda: (mnt / "a").write_bytes(b"x"), lambda: (mnt / "new").mkdir(),
                        lambda: (mnt / "a").unlink(), lambda: os.chmod(mnt / "a", 0)):
            try:
                attempt()
                t.true(False, "something was written")
            except OSError as error:
                t.contains(str(error), "Read-only file system")
        t.equal(list((mnt / "d").iterdir()), [mnt / "d/b"])


def test_damaged_images_are_refused(t):
    harness.need_fuse()
    image = t.squashfs({f"d{n}/f": bytes([n]) * 5000 for n in range(50)})
    whole = image.read_bytes()
    used = int.from_bytes(whole[40:48], "little")
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    damaged = t.scratch / "damaged.sqfs"
    for content, words in [(whole[:used - 1], "damaged"),
                           (whole[:40] + b"\xff" * 56 + whole[96:], "damaged")]:
        damaged.write_bytes(content)
        done = t.xaasfs(damaged, mnt)
        t.equal(done.returncode, 1)
        t.contains(done.stderr, words)
        t.contains(done.stderr, str(damaged))


def test_open_programs_are_not_bounded_by_the_soft_limit_of_descriptors(t):
    image = t.squashfs({"a": b"a"})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard // 2, hard))
        mount = t.mount(image)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    t.equal(resource.prlimit(mount.pid, resource.RLIMIT_NOFILE), (hard, hard))
    mount.stop()


def test_overlay_above(t):
    harness.need_root()
    image = t.squashfs({"d/a": b"lower" * 1000, "d/b": b"b"})
    with t.mount(image) as mnt, harness.overlay(t, mnt) as merged:
        t.equal((merged / "d/a").read_bytes(), b"lower" * 1000)
        with open(merged / "d/a", "ab") as file:
            file.write(b"more")
        t.equal((merged / "d/a").read_bytes(), b"lower" * 1000 + b"more")
        t.equal((mnt / "d/a").read_bytes(), b"lower" * 1000)


def test_many_readers(t):
    rng = random.Random(1)
    files = {f"d{n % 7}/f{n}": rng.randbytes(1000) * rng.randrange(300) for n in range(200)}
    image = t.squashfs(files)
    with t.mount(image, options=["cache_size=1M"]) as mnt:
        # The page cache would hide the mount: each reader drops what it read.
        script = """
import os, sys, random
paths = sys.argv[1:]
random.Random(os.getpid()).shuffle(paths)
for path in paths:
    with open(path, "rb") as file:
        data = file.read()
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    print(path, len(data), sum(data[::997]))
"""
        paths = [str(mnt / name) for name in files]
        readers = [t.start(["python3", "-c", script, *paths], stdout=subprocess.PIPE, text=True)
                   for _ in range(8)]
        wanted = sorted(f"{mnt / name} {len(data)} {sum(data[::997])}" for name, data in files.items())
        for reader in readers:
            out, _ = reader.communicate(timeout=100)
            t.equal(sorted(out.splitlines()), wanted, "what a reader saw")


harness.main()
