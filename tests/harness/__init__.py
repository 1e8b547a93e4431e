# SPDX-License-Identifier: Apache-2.0
"""What integration tests stand on: real commands, real mounts, nothing left behind.

A test file is a list of functions named test_*, each taking one argument, and ends with main():

    import harness

    def test_reads_back(t):
        image = t.squashfs({"greeting": b"hello\n"})
        with t.mount(image) as mnt:
            t.equal((mnt / "greeting").read_bytes(), b"hello\n")

    harness.main()

`t` (harness.Test, in runner.py) belongs to one function. It has
    t.scratch              an empty folder, removed afterwards unless the test fails
    t.cache                the private cache folder that every command of the test uses
    t.env                  the environment of those commands
    t.run(cmd, ...)        runs to the end; a status other than the expected one fails the test
    t.start(cmd, ...)      starts in the background; what still runs at the end is killed
    t.mount(image, ...)    context manager: xaasfs in the foreground of a child process (mount.py)
    t.xaasfs(argument, ...)       xaasfs in the background, as people type it; any status is accepted
    t.stats(path)          what a mount has counted so far (xaasfs --stats)
    t.wait_until(condition, what) polls, and fails the test if it takes for ever
    t.squashfs(tree, ...)  an image written by mksquashfs from a dictionary of files
    t.rootfs(name)         a minimal root file system for packing and containers (rootfs.py)
    t.equal, t.true, t.contains   checks that say what was seen

    harness.binary(name)   path of a command in the build folder
    harness.binary_for_anyone(t, name)   a copy of it for tests that become another user
    harness.processes_of(image)   process ids of xaasfs and what it started, by the image's path
    harness.as_site_user(t, command)   as an ordinary user where /dev/fuse is open (site_user.py)
    harness.skip(reason)   ends this function as skipped
    harness.need_fuse(), need_fusermount(), need_root(), need_command(name)   skip without it
    harness.BuiltTwice, harness.serve       the same program plain and through the mount (served.py)
    harness.debian_source(package)   unpacked source of a Debian package, fetched once (debian.py)
    harness.debian_versions(t, package)      two versions of it that follow each other
    harness.debian_root()  a small Debian root file system, fetched once
    harness.observe(path), harness.differences(one, other)   all that calls tell (observe.py)
    harness.Crowd          many processes that check all they read from one mount (crowd.py)
    harness.overlay(t, lower)   context manager: an overlay above a folder
    harness.kernel_squashfs(t, image)   the kernel's own mount of an image
    harness.as_user(uid, function)   what FUNCTION returns in a process of another user

A file that is run by hand takes names of functions as arguments, finds the build folder in
XAASFS_BUILD (default: `build` of the checkout) and keeps all scratch folders with --keep. It
exits 0 if all passed, 1 if one failed, 77 if all were skipped.
"""

from .binaries import (BUILD, SOURCE, binary, binary_for_anyone, need_command, need_fuse,
                       need_fusermount, need_root)
from .crowd import Crowd
from .debian import debian_root, debian_source, debian_versions
from .mount import Mount, overlay, processes_of
from .observe import as_user, differences, kernel_squashfs, observe
from .namespace import own_mounts
from .outcome import Skipped, TestFailure, skip
from .rootfs import RootFs
from .runner import Test, main
from .served import BuiltTwice, Served, serve
from .site_user import (SITE_USER, as_site_user, folder_of_site_user, need_user_namespaces,
                        open_scratch_for_anyone)

__all__ = [
    "BUILD", "BuiltTwice", "Crowd", "Mount", "RootFs", "SITE_USER", "SOURCE", "Served", "Skipped", "Test",
    "TestFailure", "as_site_user", "as_user", "binary", "binary_for_anyone", "debian_root",
    "debian_source", "debian_versions", "differences", "folder_of_site_user", "kernel_squashfs", "main",
    "need_command", "need_fuse", "need_fusermount", "need_root", "need_user_namespaces", "observe",
    "open_scratch_for_anyone", "overlay", "processes_of", "serve", "skip",
]
