# SPDX-License-Identifier: Apache-2.0
"""A program of somebody else's, built twice: plainly with clang, and captured, packed and mounted.

    program = harness.BuiltTwice(t, "zlib")
    program.build([["./configure"], ["make"]])
    root = t.rootfs()
    root.add("/usr/bin/tool", program.captured / "tool")
    with harness.serve(t, root) as served:
        served.run(["tool"]).stdout == t.run([program.plain / "tool"]).stdout
"""

import contextlib
import os
import shlex
import shutil

from .binaries import binary, need_command
from .debian import debian_source
from .outcome import TestFailure


class BuiltTwice:
    """plain and captured are two copies of the source of a Debian package, built by build()."""

    def __init__(self, t, package, tar_only=False, source=None):
        """SOURCE: a folder with what is to be built instead of the package's usual version."""
        self._t = t
        self._folder = t.scratch / (source.name if source else "")
        self._folder.mkdir(exist_ok=True)
        source = source or debian_source(package, tar_only)
        self.plain = self._folder / "plain"
        self.captured = self._folder / "captured"
        for copy in (self.plain, self.captured):
            shutil.copytree(source, copy, symlinks=True)

    def write(self, path, text):
        """Puts one more file into both copies: a test program, or the configuration of a build."""
        for copy in (self.plain, self.captured):
            (copy / path).write_text(text, encoding="utf-8")

    def build(self, steps, timeout=900):
        """Runs STEPS (lists of words) in both copies. Returns what `xaas build` said at its end.

        The plain build gets clang by every name that builds use, so that both come from the same compiler; the
        captured one gets no hint at all.
        """
        script = " && ".join(shlex.join(map(str, step)) for step in steps)
        names = self._folder / "plain-names"
        names.mkdir(exist_ok=True)
        for name in ("cc", "gcc", "c++", "g++"):
            compiler = need_command("clang++-19" if "+" in name else "clang-19")
            if not (names / name).exists():
                (names / name).symlink_to(compiler)
        self._t.run(["sh", "-c", script], cwd=self.plain, timeout=timeout,
                    env={"PATH": f"{names}:{os.environ['PATH']}"})
        done = self._t.run([binary("xaas"), "build", "--", "sh", "-c", script],
                           cwd=self.captured, timeout=timeout)
        return done.stderr


class Served:
    def __init__(self, t, mountpoint):
        self._t = t
        self.path = mountpoint

    def run(self, command, expect=0, timeout=300, bind=(), **how):
        """Runs COMMAND in a container (bubblewrap) whose root is the mount, in /tmp.

        BIND: folders of this machine that appear at the same path inside.
        """
        words = ["bwrap", "--ro-bind", self.path, "/", "--proc", "/proc", "--dev", "/dev",
                 "--tmpfs", "/tmp", "--unshare-all", "--chdir", "/tmp", "--die-with-parent"]
        for folder in bind:
            words += ["--bind", folder, folder]
        return self._t.run([*words, *command], expect=expect, timeout=timeout, **how)

    def state(self, path):
        return os.getxattr(self.path / path.lstrip("/"), "user.xaasfs.state").decode()

    def expect_native(self, *paths):
        """Fails unless each of PATHS was compiled for this host and is being served as such."""
        for path in paths:
            state = self.state(path)
            if not state.startswith("native "):
                raise TestFailure(f"{path} is served as '{state}', not native")


@contextlib.contextmanager
def serve(t, rootfs, pack_options=(), mount_options=()):
    """Packs ROOTFS (with the libraries that it needs) and mounts it."""
    need_command("bwrap")
    rootfs.add_libraries()
    image = t.scratch / "image.sqfs"
    t.run([binary("xaas"), "pack", *pack_options, rootfs.path, image], timeout=600)
    with t.mount(image, options=mount_options) as mountpoint:
        yield Served(t, mountpoint)
