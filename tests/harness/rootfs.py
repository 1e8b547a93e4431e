# SPDX-License-Identifier: Apache-2.0
"""A root file system just large enough to run given programs in a container."""

import os
import pathlib
import re
import shutil
import subprocess

from .outcome import TestFailure

# Container engines mount on these and look users and hosts up in those (facts: podman's
# `--rootfs` wants mtab, hosts, hostname and resolv.conf to exist).
_FOLDERS = ("dev", "proc", "sys", "run", "tmp", "etc", "root", "home", "var/tmp", "mnt",
            "usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/local/bin", "usr/local/lib")
_MERGED = ("bin", "sbin", "lib", "lib64")
_FILES = {
    "passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "group": "root:x:0:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost\n",
    "hostname": "localhost\n",
    "resolv.conf": "",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}


class RootFs:
    """rootfs.path is the folder. Paths given to its methods are absolute, as seen from inside."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        for folder in _FOLDERS:
            (self.path / folder).mkdir(parents=True, exist_ok=True)
        for name in _MERGED:
            if not (self.path / name).is_symlink():
                (self.path / name).symlink_to(f"usr/{name}")
        (self.path / "tmp").chmod(0o1777)
        (self.path / "var/tmp").chmod(0o1777)
        for name, text in _FILES.items():
            (self.path / "etc" / name).write_text(text)
        mtab = self.path / "etc/mtab"
        if not mtab.is_symlink():
            mtab.symlink_to("../proc/self/mounts")

    def inside(self, path):
        """The path on this machine of PATH inside."""
        return self.path / str(path).lstrip("/")

    def add(self, path, source):
        """Copies the file SOURCE to PATH."""
        target = self.inside(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        return target

    def add_commands(self, *names):
        """Copies programs of this machine to /usr/bin; libraries come with add_libraries()."""
        for name in names:
            source = shutil.which(name)
            if not source:
                raise TestFailure(f"{name} is not installed")
            self.add(f"/usr/bin/{name}", os.path.realpath(source))
            if name in ("sh", "dash"):
                self.add("/usr/bin/sh", os.path.realpath(source))

    def add_libraries(self, library_path=""):
        """Copies from this machine whatever the ELF files inside still need, to where they look."""
        for program in self._elf_files():
            listing = subprocess.run(
                ["ldd", str(program)], capture_output=True, text=True, timeout=60,
                env={**os.environ, "LD_LIBRARY_PATH": library_path} if library_path else None)
            for line in listing.stdout.splitlines():
                if "not found" in line:
                    raise TestFailure(f"{program} needs {line.split()[0]}, which is not installed")
                match = re.search(r"(?:=> )?(/\S+) \(0x", line)
                if not match or match[1].startswith(f"{self.path.resolve()}/"):
                    continue
                if not self.inside(match[1]).exists():
                    self.add(match[1], os.path.realpath(match[1]))

    def _elf_files(self):
        for folder, _, names in os.walk(self.path):
            for name in names:
                path = pathlib.Path(folder, name)
                if path.is_file() and not path.is_symlink():
                    with open(path, "rb") as file:
                        # Shared libraries and executables; relocatable objects need nothing.
                        head = file.read(18)
                    if head[:4] == b"\x7fELF" and head[16] in (2, 3):
                        yield path
