# SPDX-License-Identifier: Apache-2.0
"""What the tests of pack and inspect share: mounting an image without xaasfs, describing a tree,
building fat ELFs."""

import contextlib
import errno
import hashlib
import os
import stat
import subprocess

import harness


def pack(t, *arguments, **how):
    return t.run([harness.binary("xaas"), "pack", *arguments], **how)


@contextlib.contextmanager
def plain_mount(t, image, exact=False):
    """IMAGE through the kernel's squashfs, or squashfuse where that is not allowed and EXACT (which
    xattrs there are) does not matter: squashfuse takes trusted.* for security.* and vice versa."""
    folder = t.scratch / f"{os.path.basename(image)}.mnt"
    folder.mkdir(exist_ok=True)
    by_kernel = t.run(["mount", "-t", "squashfs", "-o", "loop,ro", image, folder], expect=None)
    if by_kernel.returncode != 0:
        if exact:
            harness.skip(f"the kernel cannot mount squashfs here: {by_kernel.stderr.strip()}")
        harness.need_fuse()
        t.run([harness.need_command("squashfuse"), image, folder])
    try:
        yield folder
    finally:
        t.run(["umount", folder], expect=None)


def describe(path):
    """Everything about a file that an image should keep; times in whole seconds."""
    info = os.lstat(path)
    seen = {"mode": stat.filemode(info.st_mode), "uid": info.st_uid, "gid": info.st_gid,
            "mtime": info.st_mtime_ns // 10**9}
    if stat.S_ISLNK(info.st_mode):
        seen["target"] = os.readlink(path)
    elif stat.S_ISREG(info.st_mode):
        seen["size"] = info.st_size
        seen["links"] = info.st_nlink
        with open(path, "rb") as file:
            seen["content"] = hashlib.file_digest(file, "sha256").hexdigest()
    elif stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        seen["device"] = info.st_rdev
    seen["xattrs"] = xattrs(path)
    return seen


def xattrs(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return {}  # what the kernel says of an image that has none at all
    return {name: os.getxattr(path, name, follow_symlinks=False)
            for name in sorted(names) if name != "security.selinux"}


def tree(top):
    """Path below TOP (bytes) -> description, TOP itself without its xattrs (which are not kept)."""
    top = os.fsencode(top)
    found = {b".": {**describe(top), "xattrs": {}}}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, top)] = describe(path)
    return found


def compare(t, wanted, seen):
    for path in sorted(set(wanted) | set(seen)):
        t.equal(seen.get(path), wanted.get(path), f"{path!r}")


class Fat:
    """Compiles small programs and gives them records, as capture does."""

    def __init__(self, t):
        self.t = t
        self.clang = harness.need_command("clang-19")
        self.maker = harness.binary("make-fat-elf")
        self.folder = t.scratch / "fat"
        self.folder.mkdir(exist_ok=True)

    def object(self, name, source, *flags):
        path = self.folder / f"{name}.c"
        path.write_text(source)
        result = self.folder / f"{name}.o"
        self.t.run([self.clang, "-O2", "-fPIC", "-ffat-lto-objects", "-flto=thin", *flags, "-c",
                    path, "-o", result])
        return result

    def link(self, name, objects, *flags):
        result = self.folder / name
        self.t.run([self.clang, *objects, *flags, "-o", result])
        return result

    def elf(self, plain, target, parts):
        target.parent.mkdir(parents=True, exist_ok=True)
        self.t.run([self.maker, plain, target, *parts])
        return target

    def library(self, soname):
        listing = subprocess.run(["gcc", f"-print-file-name={soname}"], capture_output=True,
                                 text=True, check=True)
        return os.path.realpath(listing.stdout.strip())
