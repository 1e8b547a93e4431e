# SPDX-License-Identifier: Apache-2.0
"""Right and wrong uses of a read-only file system: every call with what it answers.

Made for the tree of test_mount_exact.py.
"""

import array
import ctypes
import fcntl
import mmap
import os
import socket
import subprocess

from harness.observe import answer

_libc = ctypes.CDLL(None, use_errno=True)


KINDS = ["file", "unreadable", "for-group", "program", "set-user-id", "d", "d/in-closed", "d2",
         "empty", "sticky", "fifo", "socket", "null", "disk", "link", "loop", "dangling", "missing",
         "file/below", "link/below", "missing/below", "n" * 255, "n" * 256, "d2/" * 1400 + "f"]

OPEN_FLAGS = ["RDONLY", "WRONLY", "RDWR", "RDONLY TRUNC", "WRONLY APPEND", "WRONLY CREAT",
              "RDONLY CREAT", "WRONLY CREAT EXCL", "RDONLY DIRECTORY", "RDONLY NOFOLLOW", "PATH",
              "PATH NOFOLLOW", "RDWR TMPFILE", "RDONLY DIRECT", "RDONLY NOATIME", "RDONLY SYNC"]


def _checked(call, *arguments):
    """A function of the C library that Python does not offer."""
    ctypes.set_errno(0)
    result = call(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def _open(path, flags):
    # A fifo has nobody at its other end.
    number = os.O_NONBLOCK
    for flag in flags.split():
        number |= getattr(os, f"O_{flag}")
    os.close(os.open(path, number, 0o600))


def _with_descriptor(path, use, flags=os.O_RDONLY):
    fd = os.open(path, flags | os.O_NONBLOCK)
    try:
        return use(fd)
    finally:
        os.close(fd)


def _statx(path):
    """Which fields there are, attributes and the time of birth, as struct statx has them."""
    seen = ctypes.create_string_buffer(256)
    _checked(_libc.statx, -100, os.fsencode(path), 0x100, 0xfff, seen)
    return seen.raw[:4], seen.raw[8:16], seen.raw[56:64], seen.raw[80:96]


def _run(path):
    return subprocess.run([path], stdin=subprocess.DEVNULL, capture_output=True).returncode


def _connect(path):
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(path)


def _bind(path):
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(path)


def _map(protection, flags):
    def use(fd):
        size = min(os.fstat(fd).st_size, 100)
        if size == 0:
            return None  # nothing that Python would map
        with mmap.mmap(fd, size, prot=protection, flags=flags) as content:
            if protection & mmap.PROT_WRITE:
                content[0:3] = b"new"
            return content[:4]
    return use


def _ioctl(number, size=64):
    return lambda fd: fcntl.ioctl(fd, number, bytes(size)) and None


def _paths(root):
    """Whatever takes one path and may well be asked of any file."""
    for name in KINDS:
        path = f"{root}/{name}"
        for flags in OPEN_FLAGS:
            yield f"open {flags} {name[:20]}", lambda p=path, f=flags: _open(p, f)
        for mode in (os.F_OK, os.R_OK, os.W_OK, os.X_OK):
            yield f"access {mode} {name[:20]}", lambda p=path, m=mode: _checked(
                _libc.access, os.fsencode(p), m)
        for call, arguments in {
                os.stat: (), os.lstat: (), os.readlink: (), os.listdir: (), os.unlink: (),
                os.rmdir: (), os.mkdir: (), os.chmod: (0o600,), os.chown: (1, 1),
                os.lchown: (1, 1), os.utime: ((1, 1),), os.truncate: (3,), os.chdir: (),
                os.listxattr: (), os.removexattr: ("user.note",), os.mkfifo: (),
                os.mknod: (0o600,)}.items():
            yield (f"{call.__name__} {name[:20]}",
                   lambda c=call, p=path, a=arguments: _plain(c(p, *a)))
        for attribute in ("user.note", "user.none", "user.empty", "trusted.note", "security.note",
                          "system.posix_acl_access", "security.capability", "nonsense"):
            yield f"getxattr {attribute} {name[:20]}", lambda p=path, a=attribute: os.getxattr(p, a)
        yield (f"setxattr {name[:20]}", lambda p=path: os.setxattr(p, "user.note", b"new"))
        yield f"run {name[:20]}", lambda p=path: _run(p)
        yield f"statx {name[:20]}", lambda p=path: _statx(p)


def _plain(result):
    """Of a stat what does not tell which mount it was; a working folder is left at once."""
    os.chdir("/")
    if isinstance(result, os.stat_result):
        return tuple(result)[:2] + tuple(result)[3:]
    return sorted(result) if isinstance(result, list) else result


def _pairs(root):
    """Whatever takes two paths."""
    for source, target in (("file", "new"), ("file", "empty"), ("missing", "new"), ("d2", "d2/below"),
                           ("file", "d2"), ("d2", "file"), ("file", "file"), ("fifo", "sticky/new"),
                           ("file", "d2/same"), ("file", "d/new"), ("file", "missing/new")):
        for call in (os.rename, os.link, os.symlink):
            yield (f"{call.__name__} {source} {target}",
                   lambda c=call, s=source, d=target: c(f"{root}/{s}", f"{root}/{d}"))
    yield "link from elsewhere", lambda: os.link("/proc/self/exe", f"{root}/new")
    yield "rename from elsewhere", lambda: os.rename("/dev/null", f"{root}/new")
    yield "bind", lambda: _bind(f"{root}/new.socket")
    yield "bind on what is there", lambda: _bind(f"{root}/file")
    yield "connect", lambda: _connect(f"{root}/socket")
    yield "connect to a file", lambda: _connect(f"{root}/file")


def _descriptors(root):
    """What can be done with a file that is open."""
    read, write = mmap.PROT_READ, mmap.PROT_WRITE
    uses = {
        "read": lambda fd: os.read(fd, 10), "read nothing": lambda fd: os.read(fd, 0),
        "pread at the end": lambda fd: os.pread(fd, 10, 20000),
        "pread behind it": lambda fd: os.pread(fd, 10, 10**9),
        "pread far behind it": lambda fd: os.pread(fd, 10, 2**62),
        "preadv": lambda fd: os.preadv(fd, [bytearray(3), bytearray(9)], 5),
        "write": lambda fd: os.write(fd, b"x"), "ftruncate": lambda fd: os.ftruncate(fd, 3),
        "fchmod": lambda fd: os.fchmod(fd, 0o600), "fchown": lambda fd: os.fchown(fd, 1, 1),
        "futimens": lambda fd: os.utime(fd, (1, 1)), "fsync": os.fsync, "fdatasync": os.fdatasync,
        "syncfs": lambda fd: _checked(_libc.syncfs, fd),
        "fallocate": lambda fd: _checked(_libc.fallocate, fd, 0, ctypes.c_long(0), ctypes.c_long(9)),
        "fsetxattr": lambda fd: os.setxattr(fd, "user.note", b"new"),
        "flock": lambda fd: fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB),
        "lock for reading": lambda fd: fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB),
        "lock for writing": lambda fd: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB),
        "lease": lambda fd: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK),
        "fadvise": lambda fd: os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_WILLNEED),
        "readahead": lambda fd: _checked(_libc.readahead, fd, ctypes.c_long(0), 4096),
        "seek before the start": lambda fd: os.lseek(fd, -1, os.SEEK_SET),
        "seek from the end": lambda fd: os.lseek(fd, -5, os.SEEK_END),
        "seek far": lambda fd: os.lseek(fd, 2**62, os.SEEK_SET),
        "mmap": _map(read, mmap.MAP_PRIVATE), "mmap shared": _map(read, mmap.MAP_SHARED),
        "mmap to write in private": _map(read | write, mmap.MAP_PRIVATE),
        "mmap to write in common": _map(read | write, mmap.MAP_SHARED),
        "mmap to execute": _map(read | mmap.PROT_EXEC, mmap.MAP_PRIVATE),
        "sendfile": _sendfile, "copy_file_range": _copy_range, "splice": _splice,
        "listdir": lambda fd: sorted(os.listdir(fd)), "fchdir": lambda fd: _plain(os.fchdir(fd)),
        "FIGETBSZ": _ioctl(2), "FS_IOC_GETFLAGS": _ioctl(0x80086601),
        "FS_IOC_SETFLAGS": _ioctl(0x40086602), "FS_IOC_FIEMAP": _ioctl(0xc020660b),
        "FS_IOC_FSGETXATTR": _ioctl(0x801c581f), "FIBMAP": _ioctl(1), "an unknown ioctl": _ioctl(0x7777),
        "FIONREAD": _count_left,
    }
    for name in ("file", "sparse", "empty", "d2", "unreadable", "set-user-id"):
        for use, function in uses.items():
            yield f"{use} {name}", lambda n=name, f=function: _with_descriptor(f"{root}/{n}", f)
    for use in ("read", "fchmod", "fsync", "flock", "listdir", "fchdir"):
        yield f"{use} by O_PATH", lambda f=uses[use]: _with_descriptor(f"{root}/d2", f, os.O_PATH)


def _sendfile(fd):
    out = os.memfd_create("out")
    try:
        sent = os.sendfile(out, fd, 4090, 3000)
        return sent, os.pread(out, 9000, 0)
    finally:
        os.close(out)


def _copy_range(fd):
    out = os.open("/tmp", os.O_TMPFILE | os.O_RDWR, 0o600)
    try:
        return os.copy_file_range(fd, out, 3000, 10, 0), os.pread(out, 9000, 0)
    finally:
        os.close(out)


def _splice(fd):
    readable, writable = os.pipe()
    try:
        return os.read(readable, os.splice(fd, writable, 3000, offset_src=100))
    finally:
        os.close(readable)
        os.close(writable)


def _count_left(fd):
    left = array.array("i", [0])
    fcntl.ioctl(fd, 0x541b, left)
    return left[0]


def every_answer(root):
    """{what was called: what it returned or the name of its error}"""
    seen = {}
    for calls in (_paths(root), _pairs(root), _descriptors(root)):
        for name, call in calls:
            seen[name] = answer(call)
    return seen
