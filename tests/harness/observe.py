# SPDX-License-Identifier: Apache-2.0
"""Everything that a file system tells about what is in it, so that two of them can be compared.

    seen = harness.observe(mnt / "usr")      field -> value, or the name of the error
    for path, field, ours, theirs in harness.differences(mnt, other): ...
    harness.kernel_squashfs(t, image)        context manager: the kernel's own mount of IMAGE
    harness.as_user(uid, function)           what FUNCTION returns in a process of that user
"""

import contextlib
import ctypes
import errno
import hashlib
import mmap
import os
import pickle
import stat
import traceback

from .binaries import need_root
from .outcome import TestFailure, skip

_STAT = ("st_mode", "st_ino", "st_nlink", "st_uid", "st_gid", "st_rdev", "st_size", "st_blksize",
         "st_blocks", "st_atime_ns", "st_mtime_ns", "st_ctime_ns")
_PIECE = 1 << 20


class _Dirent(ctypes.Structure):
    _fields_ = [("ino", ctypes.c_uint64), ("next", ctypes.c_int64), ("size", ctypes.c_uint16),
                ("type", ctypes.c_uint8), ("name", ctypes.c_char * 256)]


_libc = ctypes.CDLL(None, use_errno=True)
_libc.opendir.restype = _libc.readdir.restype = _libc.mmap.restype = ctypes.c_void_p
_libc.opendir.argtypes = [ctypes.c_char_p]
_libc.readdir.argtypes = _libc.closedir.argtypes = [ctypes.c_void_p]
_libc.telldir.argtypes = [ctypes.c_void_p]
_libc.telldir.restype = ctypes.c_long
_libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                       ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


class Directory:
    """opendir(3) and its relatives, which Python itself hides."""

    def __init__(self, path):
        self._stream = _libc.opendir(os.fsencode(path))
        if not self._stream:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _libc.closedir(self._stream)

    def read(self):
        """(name, inode, type) of the next entry, or None at the end."""
        ctypes.set_errno(0)
        place = _libc.readdir(self._stream)
        if not place:
            if ctypes.get_errno():
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            return None
        entry = ctypes.cast(place, ctypes.POINTER(_Dirent)).contents
        return entry.name, entry.ino, entry.type

    def __iter__(self):
        return iter(self.read, None)

    def tell(self):
        return _libc.telldir(self._stream)

    def seek(self, place):
        _libc.seekdir(self._stream, place)


def answer(call, *arguments, **how):
    """What CALL returns, or the name of its error."""
    try:
        return call(*arguments, **how)
    except OSError as error:
        return errno.errorcode[error.errno]


def observe(path):
    """What all calls that take PATH itself say, by field. Nothing is followed."""
    path = os.fsencode(path)
    st = os.lstat(path)
    seen = {field: getattr(st, field) for field in _STAT}
    names = answer(os.listxattr, path, follow_symlinks=False)
    seen["listxattr"] = names
    for name in names if isinstance(names, list) else ["user.none"]:
        seen[name] = answer(os.getxattr, path, name, follow_symlinks=False)
    if stat.S_ISLNK(st.st_mode):
        seen["readlink"] = os.readlink(path)
    elif stat.S_ISDIR(st.st_mode):
        with Directory(path) as listing:
            seen["listing"] = list(listing)
    elif stat.S_ISREG(st.st_mode):
        with open(path, "rb", buffering=0) as file:
            seen["content"] = _digest(file)
            seen["seek"] = seeks(file, st.st_size)
            seen["mapped"] = _mapped(file, st.st_size)
    return seen


def _digest(file):
    digest = hashlib.sha256()
    while piece := file.read(_PIECE):
        digest.update(piece)
    return digest.hexdigest()


def seek_places(size):
    return sorted({0, 1, size // 2, max(size - 1, 0), size, size + 1})


def seeks(file, size):
    """Where data and holes begin at and around both ends and in the middle."""
    return [answer(os.lseek, file.fileno(), place, whence)
            for whence in (os.SEEK_DATA, os.SEEK_HOLE) for place in seek_places(size)]


def _mapped(file, size):
    """The last page with what a mapping shows behind the end of the file."""
    if size == 0:
        return None
    at = (size - 1) // mmap.PAGESIZE * mmap.PAGESIZE
    # mmap.mmap maps nothing behind the end.
    page = _libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_PRIVATE, file.fileno(), at)
    if page == ctypes.c_void_p(-1).value:
        return errno.errorcode[ctypes.get_errno()]
    content = ctypes.string_at(page, mmap.PAGESIZE)
    _libc.munmap(page, mmap.PAGESIZE)
    return content


def as_user(uid, function, *arguments):
    """FUNCTION's answer from a child that is user and group UID and nothing else."""
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(readable)
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            with open(writable, "wb") as pipe:
                pickle.dump(function(*arguments), pipe)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writable)
    with open(readable, "rb") as pipe:
        result = pipe.read()
    if os.waitpid(child, 0)[1] != 0:
        raise TestFailure(f"{function.__name__} failed as user {uid}")
    return pickle.loads(result)


def walk(root):
    """All paths below ROOT, as bytes relative to it, in the order of the listings; b"" first."""
    def below(relative):
        yield relative
        with os.scandir(os.path.join(os.fsencode(root), relative)) as entries:
            for entry in list(entries):
                path = os.path.join(relative, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    yield from below(path)
                else:
                    yield path
    return below(b"")


def differences(one, other):
    """(path, field, all seen in ONE, all seen in OTHER) for each field that is not the same."""
    for path in sorted({*walk(one), *walk(other)}):
        ours, theirs = (_observe_if_there(root, path) for root in (one, other))
        for field in sorted(ours.keys() | theirs.keys()):
            if ours.get(field) != theirs.get(field):
                yield path, field, ours, theirs


def _observe_if_there(root, path):
    seen = answer(observe, os.path.join(os.fsencode(root), path))
    return {"exists": seen} if isinstance(seen, str) else seen


@contextlib.contextmanager
def kernel_squashfs(t, image, offset=0):
    """The kernel's own mount of IMAGE, with the options that ours has by itself. For root. Skips where the kernel has no squashfs, or none
    with the compressor of this image."""
    need_root()
    folder = t.scratch / f"kernel-{image.name}"
    folder.mkdir()
    done = t.run(["mount", "-t", "squashfs", "-o", f"loop,ro,nosuid,nodev,offset={offset}", image, folder],
                 expect=None)
    if done.returncode != 0:
        skip(f"this kernel does not mount {image.name}: {done.stderr.strip().splitlines()[0]}")
    try:
        yield folder
    finally:
        # A child that was killed a moment ago may still be on its way out of the folder.
        t.run(["umount", "-l", folder])
