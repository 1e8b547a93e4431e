# SPDX-License-Identifier: Apache-2.0
"""Images without bitcode: what the mount shows is what is in them, and it comes and goes cleanly."""

import os
import pathlib
import random
import re
import resource
import signal
import stat
import struct
import subprocess
import time

import harness

NOBODY = 65534


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


def test_random_trees(t):
    seed = int(os.environ.get("XAASFS_TEST_SEED", time.time()))
    print(f"XAASFS_TEST_SEED={seed}")
    rng = random.Random(seed)
    for _ in range(3):
        tree = t.scratch / f"tree{rng.randrange(10**9)}"
        tree.mkdir()
        random_tree(tree, rng.random())
        image = t.scratch / f"{tree.name}.sqfs"
        t.run(["mksquashfs", tree, image, "-noappend", "-quiet", "-no-progress", "-no-duplicates",
               "-comp", rng.choice(["gzip", "xz", "lzo", "lz4", "zstd"]),
               "-b", rng.choice(["4096", "65536", "131072", "1048576"]),
               *rng.sample(["-no-fragments", "-always-use-fragments", "-noI", "-noD", "-no-exports"],
                           rng.randrange(3))])
        with t.mount(image) as mnt:
            t.equal(listing(mnt), listing(tree), "listing")
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
        done = xaasfs(t, image, mnt)
        t.equal(done.returncode, 1)
        t.contains(done.stderr, words)


def test_other_files_are_named(t):
    harness.need_fuse()
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    other = t.scratch / "other"
    for content, words in [(b"\x1f\x8b" + bytes(100), "gzip"), (b"\x7fELF" + bytes(100), "ELF"),
                           (bytes(257) + b"ustar" + bytes(100), "a tar archive"),
                           (bytes(1080) + b"\x53\xef" + bytes(100), "ext2/3/4"), (b"", "nothing is at")]:
        other.write_bytes(content)
        t.contains(xaasfs(t, other, mnt).stderr, words)


def test_nothing_is_written(t):
    image = t.squashfs({"a": b"a", "d/b": b"b"})
    cache = t.cache
    with t.mount(image) as mnt:
        for attempt in (lambda: (mnt / "a").write_bytes(b"x"), lambda: (mnt / "new").mkdir(),
                        lambda: (mnt / "a").unlink(), lambda: os.chmod(mnt / "a", 0)):
            try:
                attempt()
                t.true(False, "something was written")
            except OSError as error:
                t.contains(str(error), "Read-only file system")
        t.equal(list((mnt / "d").iterdir()), [mnt / "d/b"])
    t.true(not cache.exists(), "an image without bitcode made a cache folder")


def xaasfs(t, *arguments, **how):
    return t.run([harness.binary("xaasfs"), *arguments], expect=None, timeout=60, **how)


def test_refusals_say_why(t):
    harness.need_fuse()
    image = t.squashfs({"a": b"a"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    (t.scratch / "file").write_bytes(b"no image")
    for arguments, status, words in [
            ((image, mnt, "-o", "pateince=3"), 2, "did you mean patience?"),
            ((image, mnt, "-o", "offset"), 2, "needs a value"),
            ((image, mnt, "-o", "cache_size=many"), 2, "not a size"),
            ((image, mnt, "--wrong"), 2, "unknown option wrong"),
            ((image,), 2, "no mount point"),
            ((image, t.scratch / "none"), 1, "mkdir"),
            ((image, t.scratch / "file"), 1, "not a folder"),
            ((t.scratch / "none", mnt), 1, "No such file"),
            ((t.scratch / "file", mnt), 1, "not a squashfs image"),
            ((t.scratch, mnt), 1, "is a folder"),
            ((image, mnt, "-o", "offset=999999999"), 1, "nothing is at byte"),
    ]:
        done = xaasfs(t, *arguments)
        t.equal(done.returncode, status, f"status of {arguments}")
        t.contains(done.stderr, words)
        t.equal(len(done.stderr.splitlines()), 1, "lines")
        t.true(not os.path.ismount(mnt), "it is mounted")
    t.contains(xaasfs(t, "-V").stdout, "libfuse 3.")
    t.contains(xaasfs(t, "-h").stdout, "patience=")


def test_the_manual_has_every_option(t):
    manual = (harness.SOURCE / "man/xaasfs.1").read_text().replace("\\-", "-")
    usage = xaasfs(t, "--help").stdout
    names = re.findall(r"(?<=[ ,])-o ([a-z_]+)", usage) + re.findall(r"^  (--?\w+)", usage, re.M)
    t.true(len(names) > 12, names)
    for name in names:
        t.true(re.search(rf"[ \n]{name}\\?[= \n\"]", manual), f"{name} is not in xaasfs(1)")


def test_mount_command_and_fstab_options(t):
    harness.need_root()
    harness.need_command("mount.fuse3")
    image = t.squashfs({"a": b"served"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    # What mount(8) runs for `mount -t fuse.xaasfs`, except that it looks in fixed folders.
    t.run(["mount.fuse3", f"{harness.binary('xaasfs')}#{image}", mnt, "-o",
           "rw,allow_other,noauto,nofail,_netdev,x-systemd.automount,noexec"])
    t.equal((mnt / "a").read_bytes(), b"served")
    t.run(["umount", mnt])
    wait_until(t, lambda: not processes_of(image), "its end")


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
        done = xaasfs(t, damaged, mnt)
        t.equal(done.returncode, 1)
        t.contains(done.stderr, words)
        t.contains(done.stderr, str(damaged))


def processes_of(image):
    """Process ids of mounts of IMAGE; the spawner is a child with the same command line."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and str(image).encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def wait_until(t, condition, what):
    deadline = time.monotonic() + 60
    while not condition():
        t.true(time.monotonic() < deadline, f"{what} did not happen")
        time.sleep(0.02)


def test_background_and_every_way_to_end(t):
    harness.need_fuse()
    image = t.squashfs({"a": b"served"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()

    def main_process():
        return min(processes_of(image))

    ways = [lambda: t.run(["umount", mnt]), lambda: t.run(["fusermount3", "-u", mnt]),
            lambda: os.kill(main_process(), signal.SIGTERM),
            lambda: os.kill(main_process(), signal.SIGINT)]
    for end in ways:
        done = xaasfs(t, image, mnt)
        t.equal(done.returncode, 0, done.stderr)
        t.equal((mnt / "a").read_bytes(), b"served")
        end()
        wait_until(t, lambda: not processes_of(image), "its end")
        t.true(not os.path.ismount(mnt), "it is still mounted")


def test_sigterm_detaches_and_those_inside_go_on(t):
    image = t.squashfs({"a": b"served", "big": b"x" * 1000000})
    mount = t.mount(image)
    with open(mount.path / "big", "rb") as file:
        os.kill(mount.pid, signal.SIGTERM)
        wait_until(t, lambda: not os.path.ismount(mount.path), "detaching")
        t.equal(len(file.read()), 1000000)
        t.true(processes_of(image), "it ended under its user")
    wait_until(t, lambda: not processes_of(image), "its end")


def test_a_second_sigterm_ends_it(t):
    image = t.squashfs({"big": b"x" * 1000000})
    mount = t.mount(image)
    file = os.open(mount.path / "big", os.O_RDONLY)
    os.kill(mount.pid, signal.SIGTERM)
    wait_until(t, lambda: not os.path.ismount(mount.path), "detaching")
    os.kill(mount.pid, signal.SIGTERM)
    wait_until(t, lambda: not processes_of(image), "its end")
    t.true("umount" not in mount.log, mount.log)
    try:
        os.close(file)
    except OSError as error:
        t.contains(str(error), "not connected")


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


def test_dead_mount_says_how_to_clean_up(t):
    image = t.squashfs({"a": b"a"})
    mount = t.mount(image)
    mount.kill()
    done = xaasfs(t, image, mount.path)
    t.equal(done.returncode, 1)
    t.contains(done.stderr, "umount -l" if os.geteuid() == 0 else "fusermount3 -uz")
    t.true(not processes_of(image), "something outlived the mount")


def test_overlay_above(t):
    harness.need_root()
    image = t.squashfs({"d/a": b"lower" * 1000, "d/b": b"b"})
    with t.mount(image) as mnt:
        for name in ("upper", "work", "merged"):
            (t.scratch / name).mkdir()
        t.run(["mount", "-t", "overlay", "overlay", "-o",
               f"lowerdir={mnt},upperdir={t.scratch}/upper,workdir={t.scratch}/work",
               t.scratch / "merged"])
        try:
            merged = t.scratch / "merged"
            t.equal((merged / "d/a").read_bytes(), b"lower" * 1000)
            with open(merged / "d/a", "ab") as file:
                file.write(b"more")
            t.equal((merged / "d/a").read_bytes(), b"lower" * 1000 + b"more")
            t.equal((mnt / "d/a").read_bytes(), b"lower" * 1000)
        finally:
            t.run(["umount", t.scratch / "merged"])


# Runs as an ordinary user in a mount namespace where /dev/fuse is open to all, as on sites.
AS_USER = """
set -e
mknod {scratch}/fuse c 10 229
chmod 666 {scratch}/fuse
mount --bind {scratch}/fuse /dev/fuse
exec setpriv --reuid {user} --regid {user} --clear-groups sh -c '{command}'
"""


def as_user(t, command):
    for folder in (t.scratch, *t.scratch.parents):
        if folder == pathlib.Path("/tmp"):
            break
        folder.chmod(0o755)
    script = AS_USER.format(scratch=t.scratch, user=NOBODY, command=command)
    return t.run(["unshare", "-m", "sh", "-c", script], expect=None, timeout=60)


def test_an_ordinary_user(t):
    harness.need_root()
    harness.need_fusermount()
    image = t.squashfs({"a": b"served"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    os.chown(mnt, NOBODY, NOBODY)
    done = as_user(t, f"{harness.binary_for_anyone(t, 'xaasfs')} {image} {mnt} && cat {mnt}/a && fusermount3 -u {mnt}")
    t.equal((done.returncode, done.stdout), (0, "served"), done.stderr)
    wait_until(t, lambda: not processes_of(image), "its end")


def test_a_user_namespace(t):
    harness.need_root()
    image = t.squashfs({"a": b"served"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    os.chown(mnt, NOBODY, NOBODY)
    inner = f"{harness.binary_for_anyone(t, 'xaasfs')} {image} {mnt} && cat {mnt}/a && umount {mnt}"
    done = as_user(t, f'unshare -Urm sh -c "{inner}"')
    if "unshare" in done.stderr and "not permitted" in done.stderr:
        harness.skip("this kernel gives ordinary users no user namespaces")
    t.equal((done.returncode, done.stdout), (0, "served"), done.stderr)
    wait_until(t, lambda: not processes_of(image), "its end")


def test_no_permission_is_named(t):
    harness.need_root()
    image = t.squashfs({"a": b"a"})
    mnt = t.scratch / "mnt"
    mnt.mkdir()
    os.chown(mnt, NOBODY, NOBODY)
    for folder in (t.scratch,):
        folder.chmod(0o755)
    script = f"""
mknod -m 600 {t.scratch}/fuse c 10 229
mount --bind {t.scratch}/fuse /dev/fuse
exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups {harness.binary_for_anyone(t, 'xaasfs')} {image} {mnt}
"""
    done = t.run(["unshare", "-m", "sh", "-c", script], expect=None)
    t.equal(done.returncode, 1)
    t.contains(done.stderr, "/dev/fuse")
    t.contains(done.stderr, "chmod 666")


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
