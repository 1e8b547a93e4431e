# SPDX-License-Identifier: Apache-2.0
"""The demo's program, built in every way that is compared, each in a minimal root file system."""

import os
import pathlib
import shutil
import subprocess

from harness import SOURCE, Mount, RootFs, binary

PROGRAM = "usr/bin/seiche"
LIBRARY = "usr/lib/libseiche.so.1"
CLANG = {"CC": "clang-19", "CXX": "clang++-19"}


class Bench:
    """Everything below one folder, made anew: builds, roots, images, a private cache, a mount point."""

    def __init__(self, folder, verbose=False):
        self.folder = pathlib.Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.cache = self.folder / "cache"
        self.env = {**os.environ, "XAASFS_CACHE": str(self.cache)}
        self._verbose = verbose

    def run(self, command, **how):
        """Runs COMMAND to its end; a failure ends the program with the command's own words."""
        command = [str(word) for word in command]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              **{"env": self.env, **how})
        if self._verbose:
            print(f"$ {' '.join(command)}\n{done.stdout}", end="", flush=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}\nfailed with status {done.returncode}:\n{done.stdout}")
        return done.stdout

    def build(self, name, flags, capture=False, compilers=None, app="seiche"):
        """Builds APP (of tests/apps) and installs it into a root of its own; returns the root."""
        root = RootFs(self.folder / name)
        make = ["make", "-s", "-C", SOURCE / "tests/apps" / app, f"BUILD={self.folder / name}.build",
                f"CFLAGS={flags}", f"CXXFLAGS={flags}", f"DESTDIR={root.path}", "PREFIX=/usr",
                "install"]
        variables = [f"{key}={value}" for key, value in (compilers or {}).items()]
        capturing = [binary("xaas"), "build", "--"] if capture else []
        self.run([*capturing, *make, *variables])
        root.add_commands("sh")
        root.add_libraries()
        return root.path

    def pack(self, root, name, *options):
        image = self.folder / name
        self.run([binary("xaas"), "pack", *options, root, image])
        return image

    def mount(self, image, name="mnt", options=()):
        return Mount(image, self.folder / name, self.env, self.folder / f"{name}.log", options)

    def empty_cache(self):
        shutil.rmtree(self.cache, ignore_errors=True)
