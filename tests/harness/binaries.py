# SPDX-License-Identifier: Apache-2.0
"""Where the programs under test are, and what they need of this machine."""

import os
import pathlib
import shutil

from .outcome import TestFailure, skip

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("XAASFS_BUILD", SOURCE / "build"))
# Programs of the build folder find their companions there.
os.environ.setdefault("XAASFS_LIBEXEC", str(BUILD / "libexec"))


def binary(name):
    """Path of the command NAME in the build folder."""
    for room in ("fs", "tools", "libexec", "jit", "formats", "tests"):
        path = BUILD / room / name
        if os.access(path, os.X_OK) and path.is_file():
            return path
    raise TestFailure(
        f"{name} is not in the build folder {BUILD}; build it with: meson compile -C {BUILD}")


def binary_for_anyone(t, name):
    """The same for tests that run it as another user, who may not reach the build folder.

    It is a copy in the test's scratch folder, which becomes readable for all, with its companions
    beside it; t.env leads every command of the test to them.
    """
    copies = t.scratch / "programs"
    if not copies.exists():
        t.scratch.chmod(0o755)
        shutil.copytree(BUILD / "libexec", copies / "libexec",
                        ignore_dangling_symlinks=True)
        t.env["XAASFS_LIBEXEC"] = str(copies / "libexec")
    if not (copies / name).exists():
        shutil.copy2(binary(name), copies / name)
    return copies / name


def need_command(name):
    """Path of a command of this machine."""
    return shutil.which(name) or skip(f"{name} is not installed; tools/setup installs what tests need")


def need_root():
    if os.geteuid() != 0:
        skip("this needs root; run tools/check as root to include it")


def fuse_problem():
    """Why this process cannot mount a FUSE file system, with the cure; None if it can."""
    if not os.path.exists("/dev/fuse"):
        return "/dev/fuse does not exist; load the module with `modprobe fuse`, or give the container --device /dev/fuse"
    if os.geteuid() == 0:
        if not _has_sys_admin():
            return "this root has no CAP_SYS_ADMIN, so it cannot mount; give the container --cap-add SYS_ADMIN"
        return None
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse is closed to this user; run as root, or once: sudo chmod 666 /dev/fuse"
    if not shutil.which("fusermount3"):
        return "neither root nor fusermount3 is available; run as root or install the package fuse3"
    return None


def need_fuse():
    problem = fuse_problem()
    if problem:
        skip(problem)


def need_fusermount():
    """For tests that mount as an ordinary user, with the set-user-id helper of libfuse."""
    need_command("fusermount3")
    if not os.path.exists("/etc/mtab"):
        skip("fusermount3 -u needs /etc/mtab; make it with: ln -s /proc/self/mounts /etc/mtab")


def _has_sys_admin():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) & (1 << 21))
    return False
