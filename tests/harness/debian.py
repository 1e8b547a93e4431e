# SPDX-License-Identifier: Apache-2.0
"""Sources of Debian packages, as input that nobody tailored to xaasfs."""

import fcntl
import os
import pathlib
import subprocess

from .binaries import SOURCE
from .outcome import skip


def debian_source(package, tar_only=False):
    """The unpacked source of PACKAGE, which several tests share: build a copy, not in place.

    Fetched once, by tools/debian-source, into $XDG_CACHE_HOME/xaasfs-tests (the one of the person
    who runs the tests, not the test's private one). Skips if the archive cannot be reached.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    shelf = pathlib.Path(home) / "xaasfs-tests"
    shelf.mkdir(parents=True, exist_ok=True)
    folder = shelf / package
    with open(shelf / f"{package}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            command = [SOURCE / "tools/debian-source", *(["--tar-only"] if tar_only else []),
                       package, folder]
            fetched = subprocess.run(
                command, capture_output=True, text=True, timeout=600,
                env={**os.environ, "XAASFS_APT_STATE": str(shelf / "apt")})
            if fetched.returncode != 0:
                skip(fetched.stderr.strip().splitlines()[-1])
    return folder
