# SPDX-License-Identifier: Apache-2.0
"""xaas pack, of any root file system: what survives, what is reproducible, what is refused."""

import io
import os
import random
import shutil
import signal
import socket
import tarfile
import time

import harness
from packing import compare, pack, plain_mount, tree

OLD = 1_000_000_000


def set_xattr(path, name, value, **how):
    try:
        os.setxattr(path, name, value, **how)
    except OSError:
        harness.skip(f"the scratch folder's file system does not store {name}")


def make_tree(top):
    """Every kind of file that a user may make; root makes more of it (make_root_tree)."""
    for folder in ("bin", "etc", "lib/deep/er", "pä th\n2", "empty"):
        (top / folder).mkdir(parents=True)
    (top / "etc/file").write_bytes(b"hello\n")
    (top / "etc/nothing").touch()
    (top / "lib/big").write_bytes(random.Random(1).randbytes(1 << 20) + bytes(300000) + b"x")
    (top / "etc/bytes\udcff\udcfe").write_bytes(b"name is no UTF-8")
    (top / "lib/link").symlink_to("../etc/file")
    (top / "lib/broken").symlink_to("x" * 900)
    (top / "lib/bytes").symlink_to(os.fsdecode(b"to \xff\xfe"))
    os.link(top / "etc/bytes\udcff\udcfe", top / "zz\udcfflink")
    os.link(top / "etc/file", top / "bin/zlink")
    os.link(top / "lib/link", top / "lib/link to a link", follow_symlinks=False)
    os.link(top / "etc/file", top / "a-link-before-it")
    os.mkfifo(top / "lib/fifo")
    deep = top / "/".join(["n" * 200] * 6)
    deep.mkdir(parents=True)
    (deep / ("f" * 255)).write_bytes(b"far away")
    with open(top / "lib/sparse", "wb") as file:
        file.truncate(30 << 20)
        file.seek(11_000_001)
        file.write(b"island")
    os.chmod(top / "lib/deep", 0o1777)
    os.chmod(top / "lib/big", 0o2711)
    set_xattr(top / "etc/file", "user.binary", bytes(range(256)))
    set_xattr(top / "etc/nothing", "user.empty", b"")
    set_xattr(top / "lib/deep", "user.folder", b"line\nline=x\n")
    for path in (top / "etc/file", top / "empty", top / "lib/link"):
        os.utime(path, (5, 5), follow_symlinks=False)
    os.utime(top / "lib/big", ns=(0, OLD * 10**9 + 999_999_999))
    os.chmod(top, 0o751)


def make_root_tree(top):
    make_tree(top)
    for path, owner in (("etc/file", (70000, 80000)), ("lib/link", (7, 8)), ("empty", (1, 2)),
                        ("lib/deep", (4294967294, 3000000000))):
        os.chown(top / path, *owner, follow_symlinks=False)
    os.mknod(top / "lib/character", 0o20640, os.makedev(1, 259))
    os.mknod(top / "lib/block", 0o60600, os.makedev(200, 70000))
    shutil.copy("/bin/true", top / "bin/capable")
    set_xattr(top / "bin/capable", "security.capability",
              bytes.fromhex("0100000200200000000000000000000000000000"))
    set_xattr(top / "etc/file", "trusted.only.root", b"\0\1")
    set_xattr(top / "lib/link", "trusted.on.a.link", b"x", follow_symlinks=False)
    os.chmod(top / "bin/capable", 0o6755)
    os.chown(top, 12, 13)
    os.chmod(top, 0o751)


def rootfs(t, make=make_tree):
    top = t.scratch / "rootfs"
    top.mkdir()
    make(top)
    return top


def newest(top):
    return max(entry["mtime"] for entry in tree(top).values())


def wanted(top):
    """What the image must show: the tree, but for the root's time, which is the image's."""
    files = tree(top)
    files[b"."]["mtime"] = newest(top)
    return files


def test_everything_survives(t):
    harness.need_root()
    top = rootfs(t, make_root_tree)
    t.equal(pack(t, top, t.scratch / "i.sqfs").stderr, "", "messages")
    with plain_mount(t, t.scratch / "i.sqfs", exact=True) as mnt:
        compare(t, wanted(top), tree(mnt))
        t.true(not (mnt / ".xaas").exists(), "an image without bitcode has no /.xaas")
        names = ("etc/file", "bin/zlink", "a-link-before-it")
        t.equal(len({os.stat(mnt / name).st_ino for name in names}), 1, "inodes of hard links")
        t.true(os.stat(mnt / "lib/sparse").st_blocks * 512 < 1 << 20, "the sparse file was filled")


def test_everything_survives_xaasfs(t):
    harness.need_root()
    harness.need_fuse()
    top = rootfs(t, make_root_tree)
    pack(t, top, t.scratch / "i.sqfs")
    with t.mount(t.scratch / "i.sqfs") as mnt:
        seen = tree(mnt)
        for path, entry in seen.items():
            entry["xattrs"] = {name: value for name, value in entry["xattrs"].items()
                               if not name.startswith("user.xaasfs.")}
        compare(t, wanted(top), seen)


def test_user_packs_what_is_his(t):
    top = rootfs(t)
    as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if os.geteuid() != 0:
        as_user = []
    else:
        os.chmod(t.scratch, 0o777)
        for folder, folders, files in os.walk(top):
            for name in [".", *folders, *files]:
                os.chown(os.path.join(folder, name), 65534, 65534, follow_symlinks=False)
                os.utime(os.path.join(folder, name), (OLD, OLD), follow_symlinks=False)
    t.run([*as_user, harness.binary("xaas"), "pack", top, t.scratch / "user.sqfs"])
    pack(t, top, t.scratch / "root.sqfs")
    t.equal((t.scratch / "user.sqfs").read_bytes(), (t.scratch / "root.sqfs").read_bytes(),
            "the image does not depend on who packs")
    pack(t, "--all-root", top, t.scratch / "all.sqfs")
    listing = t.run(["unsquashfs", "-lln", t.scratch / "all.sqfs"]).stdout
    t.true(" 0/0 " in listing and "65534" not in listing, "--all-root")


def as_tar(t, top, name, *flags):
    path = t.scratch / name
    t.run(["tar", "--format=pax", "--xattrs", "--xattrs-include=*", *flags, "-cf", path, "-C", top, "."])
    return path


def test_same_tree_same_bytes(t):
    top = rootfs(t, make_root_tree if os.geteuid() == 0 else make_tree)
    reference = t.scratch / "reference.sqfs"
    pack(t, top, reference)
    images = {"again": top, "tar": as_tar(t, top, "plain.tar"),
              "sparse tar": as_tar(t, top, "sparse.tar", "--sparse"),
              "compressed tar": as_tar(t, top, "packed.tar.zst", "--zstd")}
    copy = t.scratch / "copy"
    t.run(["cp", "-a", top, copy])
    images["copy"] = copy
    for what, source in images.items():
        image = t.scratch / "other.sqfs"
        pack(t, source, image)
        t.equal(image.read_bytes(), reference.read_bytes(), f"image of the {what}")
    with open(t.scratch / "plain.tar", "rb") as stream:
        t.true(not t.start([harness.binary("xaas"), "pack", "--quiet", "-", t.scratch / "stdin.sqfs"],
                           stdin=stream).wait(60), "a tar on stdin")
    t.equal((t.scratch / "stdin.sqfs").read_bytes(), reference.read_bytes(), "image of stdin")
    t.run(["taskset", "-c", str(min(os.sched_getaffinity(0))), harness.binary("xaas"), "pack", top,
           t.scratch / "one-core.sqfs"])
    t.equal((t.scratch / "one-core.sqfs").read_bytes(), reference.read_bytes(), "image by one core")


def test_source_date_epoch(t):
    top = rootfs(t)
    pack(t, top, t.scratch / "i.sqfs", env={"SOURCE_DATE_EPOCH": str(OLD - 5)})
    t.contains(t.run(["unsquashfs", "-stat", t.scratch / "i.sqfs"], env={"TZ": "UTC"}).stdout,
               "Sun Sep  9 01:46:35 2001")
    with plain_mount(t, t.scratch / "i.sqfs") as mnt:
        t.equal(int(os.stat(mnt / "lib/big").st_mtime), OLD - 5, "a later time")
        t.equal(int(os.stat(mnt / "etc/file").st_mtime), 5, "an earlier time")
    wrong = pack(t, top, t.scratch / "no.sqfs", env={"SOURCE_DATE_EPOCH": "yesterday"}, expect=1)
    t.contains(wrong.stderr, "SOURCE_DATE_EPOCH")


def test_exclude(t):
    top = rootfs(t)
    pack(t, "--exclude", "lib/*", "--exclude", "/etc/file", "--exclude=n*", top, t.scratch / "i.sqfs")
    with plain_mount(t, t.scratch / "i.sqfs") as mnt:
        seen = set(tree(mnt))
        t.true(b"lib" in seen and b"etc/nothing" in seen, "too much was left out")
        t.true(not any(path.startswith((b"lib/", b"n")) for path in seen), "too little was left out")
        t.true(b"etc/file" not in seen, "a leading slash is the root")
        t.equal((mnt / "bin/zlink").read_bytes(), b"hello\n", "another name of an excluded file")
        t.equal(os.stat(mnt / "bin/zlink").st_nlink, 2, "names of it")


def test_exclude_from_tar(t):
    archive = as_tar(t, rootfs(t), "a.tar", "--sort=name")
    pack(t, "--exclude", "a-link*", "--exclude", "bin", archive, t.scratch / "i.sqfs")
    with plain_mount(t, t.scratch / "i.sqfs") as mnt:
        t.equal((mnt / "etc/file").read_bytes(), b"hello\n", "data that stood under an excluded name")


def write_tar(path, entries):
    """ENTRIES: (name, type, target or content)."""
    with tarfile.open(path, "w") as archive:
        for name, kind, content in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            if kind == tarfile.REGTYPE:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.linkname = content
                archive.addfile(info)
    return path


def test_odd_tars(t):
    regular, link, symbolic = tarfile.REGTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE
    good = write_tar(t.scratch / "good.tar", [
        ("a/b/first", regular, b"old"), ("./a//b/first", regular, b"new"), ("/abs", regular, b"abs"),
        ("z", link, "./a/b/first"), ("a/b/link", link, "z")])
    pack(t, good, t.scratch / "good.sqfs")
    with plain_mount(t, t.scratch / "good.sqfs") as mnt:
        t.equal((mnt / "a/b/first").read_bytes(), b"new", "what the tar said last")
        t.equal((mnt / "abs").read_bytes(), b"abs", "an absolute name")
        t.equal(os.stat(mnt / "z").st_nlink, 3, "links")
        t.equal(oct(os.stat(mnt / "a").st_mode), oct(0o40755), "a folder that the tar left out")
    bad = {"leaves": [("../out", regular, b"")], "hard link": [("l", link, "nowhere")],
           "is not a folder": [("lib", symbolic, "usr/lib"), ("lib/x", regular, b"")]}
    for reason, entries in bad.items():
        done = pack(t, write_tar(t.scratch / "bad.tar", entries), t.scratch / "bad.sqfs", expect=1)
        t.contains(done.stderr, reason)
        t.true(not (t.scratch / "bad.sqfs").exists(), "an image of a bad tar")
    (t.scratch / "text").write_text("no tar at all\n" * 1000)
    pack(t, t.scratch / "text", t.scratch / "bad.sqfs", expect=1)
    data = good.read_bytes()
    (t.scratch / "cut.tar").write_bytes(data[:1200])
    pack(t, t.scratch / "cut.tar", t.scratch / "bad.sqfs", expect=1)


def test_refusals(t):
    top = rootfs(t)
    folder = t.scratch / "folder"
    folder.mkdir()
    t.contains(pack(t, top, folder, expect=1).stderr, "something else than a file")
    t.contains(pack(t, top, "/dev/null", expect=1).stderr, "something else than a file")
    t.contains(pack(t, top, t.scratch / "no/i.sqfs", expect=1).stderr, "No such file")
    t.contains(pack(t, t.scratch / "nothing", t.scratch / "i.sqfs", expect=1).stderr, "nothing")
    t.contains(pack(t, folder, t.scratch / "i.sqfs", expect=1).stderr, "is empty")
    t.contains(pack(t, "--level", "23", top, t.scratch / "i.sqfs", expect=2).stderr, "--level 23")
    t.contains(pack(t, "--leen", top, t.scratch / "i.sqfs", expect=2).stderr, "--lean")
    t.contains(pack(t, top, expect=2).stderr, "IMAGE.sqfs is missing")
    t.contains(pack(t, top, "a", "b", expect=2).stderr, "one operand too many")
    pack(t, top, top / "own.sqfs")
    t.contains(pack(t, top, top / "own.sqfs", expect=1).stderr, "--exclude own.sqfs")
    pack(t, "--exclude", "own.sqfs", top, top / "own.sqfs")
    (top / ".xaas").mkdir()
    t.contains(pack(t, top, t.scratch / "i.sqfs", expect=1).stderr, "/.xaas already")
    pack(t, "--exclude", ".xaas", top, t.scratch / "i.sqfs")


def test_folder_by_symbolic_link(t):
    top = rootfs(t)
    (t.scratch / "link").symlink_to(top)
    pack(t, t.scratch / "link", t.scratch / "link.sqfs")
    pack(t, top, t.scratch / "folder.sqfs")
    t.equal((t.scratch / "link.sqfs").read_bytes(), (t.scratch / "folder.sqfs").read_bytes(), "image")


def test_sockets_are_named(t):
    top = rootfs(t)
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(top)
        listener.bind("s")
        os.chdir("/")
        t.contains(pack(t, top, t.scratch / "i.sqfs").stderr, "1 socket was left out")


def test_no_mksquashfs(t):
    done = pack(t, rootfs(t), t.scratch / "i.sqfs", env={"PATH": "/nowhere"}, expect=1)
    t.contains(done.stderr, "install squashfs-tools")


def test_replaces_in_one_step(t):
    top = rootfs(t)
    image = t.scratch / "out/i.sqfs"
    image.parent.mkdir()
    image.write_bytes(b"old")
    with open(image, "rb") as before:
        pack(t, "-q", top, image)
        t.equal(before.read(), b"old", "who had the old image open")
    t.equal(image.read_bytes()[:4], b"hsqs", "the new image")
    t.equal(os.listdir(image.parent), ["i.sqfs"], "what is in the folder")
    t.equal(oct(os.stat(image).st_mode & 0o777), oct(0o644), "its mode")


def children(process):
    try:
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
            return [int(number) for number in file.read().split()]
    except FileNotFoundError:
        return []


def name_of(number):
    try:
        with open(f"/proc/{number}/comm", encoding="ascii") as file:
            return file.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None


def wait_for(t, what, condition):
    deadline = time.monotonic() + 60
    while not condition():
        t.true(time.monotonic() < deadline, f"{what} did not happen in a minute")
        time.sleep(0.01)


def test_killed_in_the_middle(t):
    top = t.scratch / "rootfs"
    top.mkdir()
    (top / "noise").write_bytes(os.urandom(64 << 20))
    image = t.scratch / "out/i.sqfs"
    image.parent.mkdir()
    image.write_bytes(b"old")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        process = t.start([harness.binary("xaas"), "pack", "--level", "22", top, image])
        writer = []
        wait_for(t, "mksquashfs", lambda: writer.extend(
            child for child in children(process) if name_of(child) == "mksquashfs") or writer)
        process.send_signal(number)
        t.equal(process.wait(30), -number, "how it ended")
        wait_for(t, "the end of mksquashfs", lambda: name_of(writer[0]) != "mksquashfs")
        t.equal(os.listdir(image.parent), ["i.sqfs"], "what is in the folder")
        t.equal(image.read_bytes(), b"old", "the old image")


NO_TMPFILE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
int openat64(int folder, const char *path, int flags, ...)
{
        int (*real)(int, const char *, int, int) = dlsym(RTLD_NEXT, "openat64");
        va_list arguments;
        va_start(arguments, flags);
        int mode = va_arg(arguments, int);
        va_end(arguments);
        if ((flags & O_TMPFILE) == O_TMPFILE) {
                errno = EOPNOTSUPP;
                return -1;
        }
        return real(folder, path, flags, mode);
}
"""


def test_without_unnamed_files(t):
    """NFS and Lustre have none; here their answer is given by a preloaded library."""
    (t.scratch / "no.c").write_text(NO_TMPFILE)
    t.run([harness.need_command("cc"), "-shared", "-fPIC", "no.c", "-o", "no.so"])
    env = {"LD_PRELOAD": str(t.scratch / "no.so"), "ASAN_OPTIONS": "verify_asan_link_order=0"}
    top = rootfs(t)
    image = t.scratch / "out/i.sqfs"
    image.parent.mkdir()
    pack(t, top, image, env=env)
    pack(t, top, t.scratch / "reference.sqfs")
    t.equal(image.read_bytes(), (t.scratch / "reference.sqfs").read_bytes(), "the image")
    t.equal(os.listdir(image.parent), ["i.sqfs"], "what is in the folder")
    (top / "noise").write_bytes(os.urandom(64 << 20))
    process = t.start([harness.binary("xaas"), "pack", "--level", "22", top, image], env=env)
    wait_for(t, "the temporary file", lambda: len(os.listdir(image.parent)) == 2)
    process.send_signal(signal.SIGTERM)
    t.equal(process.wait(30), -signal.SIGTERM, "how it ended")
    t.equal(os.listdir(image.parent), ["i.sqfs"], "what is in the folder")


def test_disk_full(t):
    harness.need_root()
    top = t.scratch / "rootfs"
    top.mkdir()
    (top / "noise").write_bytes(random.Random(3).randbytes(4 << 20))
    small = t.scratch / "small"
    small.mkdir()
    if t.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", small], expect=None).returncode:
        harness.skip("this root may not mount a tmpfs")
    try:
        done = pack(t, top, small / "i.sqfs", expect=1)
        t.contains(done.stderr, "No space left")
        t.equal(os.listdir(small), [], "what is left")
        done = pack(t, as_tar(t, top, "a.tar"), t.scratch / "i.sqfs", env={"TMPDIR": str(small)},
                    expect=1)
        t.contains(done.stderr, "TMPDIR")
    finally:
        t.run(["umount", small])


def test_unreadable_file(t):
    """Nothing may be missing from an image silently."""
    top = t.scratch / "rootfs"
    top.mkdir()
    (top / "secret").write_bytes(b"x" * 100)
    os.chmod(top / "secret", 0)
    command = [harness.binary("xaas"), "pack", top, t.scratch / "i.sqfs"]
    if os.geteuid() == 0:
        os.chmod(t.scratch, 0o777)
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
    t.contains(t.run(command, expect=1).stderr, "secret")
    t.true(not (t.scratch / "i.sqfs").exists(), "an image with a file missing")


def test_files_that_are_almost_equal(t):
    """squashfs-tools 4.5.1 stores some such files wrong if it looks for duplicates (seen with blocks of 4 KiB)."""
    top = t.scratch / "almost"
    top.mkdir()
    for seed in range(6):
        rng = random.Random(seed)
        bases = [rng.randbytes(300_000) for _ in range(2)]
        for number in range(40):
            content = bytearray(rng.choice(bases)[:rng.choice([rng.randrange(11, 300_000), 140_000, 140_000])])
            kind = rng.randrange(4)
            if kind == 0:
                content[:1 << 17] = bytes(min(len(content), 1 << 17))
            if kind <= 2:
                content[rng.choice([-1, rng.randrange(len(content))])] ^= 1
            (top / f"{seed}-{number}").write_bytes(content)
    pack(t, top, t.scratch / "almost.sqfs")
    with plain_mount(t, t.scratch / "almost.sqfs") as mnt:
        compare(t, tree(top), tree(mnt))


harness.main()
