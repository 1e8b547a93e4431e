# SPDX-License-Identifier: Apache-2.0
"""Sources and a root file system of Debian, as input that nobody tailored to xaasfs."""

import contextlib
import fcntl
import os
import pathlib
import platform
import shutil
import subprocess

from .binaries import SOURCE, need_command
from .outcome import Skipped, skip


def _shelf():
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    shelf = pathlib.Path(home) / "xaasfs-tests"
    shelf.mkdir(parents=True, exist_ok=True)
    return shelf


@contextlib.contextmanager
def _locked(path):
    with open(path, "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def debian_source(package, tar_only=False, suite=None):
    """The unpacked source of PACKAGE, which several tests share: build a copy, not in place.

    Of the suite that this machine runs, or of SUITE. Fetched once, by tools/debian-source, into
    $XDG_CACHE_HOME/xaasfs-tests (the one of the person who runs the tests, not the test's private
    one). Skips if the archive cannot be reached.
    """
    shelf = _shelf()
    folder = shelf / (f"{package}@{suite}" if suite else package)
    with _locked(shelf / f"{folder.name}.lock"):
        if not folder.exists():
            command = [SOURCE / "tools/debian-source", *(["--tar-only"] if tar_only else []),
                       *(["--suite", suite] if suite else []), package, folder]
            fetched = subprocess.run(
                command, capture_output=True, text=True, timeout=600,
                env={**os.environ, "XAASFS_APT_STATE": str(shelf / "apt")})
            if fetched.returncode != 0:
                skip(fetched.stderr.strip().splitlines()[-1])
    return folder


def debian_versions(t, package):
    """(older, newer): the sources of two versions of PACKAGE that follow each other, not to be built in place.

    What the suite has that this machine runs, and its security update. Where there is none, the suite's
    own without and with the newest of the patches that Debian applies.
    """
    newer = debian_source(package)
    with contextlib.suppress(Skipped):
        update = debian_source(package, suite=f"{_suite()}-security")
        if _version(update) != _version(newer):
            return newer, update
    older = t.scratch / f"{package}-older"
    shutil.copytree(newer, older, symlinks=True)
    patches = (older / "debian/patches/series").read_text(encoding="utf-8").split()
    t.run(["patch", "-R", "-p1", "-i", older / "debian/patches" / patches[-1]], cwd=older)
    return older, newer


def _version(source):
    with open(source / "debian/changelog", encoding="utf-8") as changelog:
        return changelog.readline().split()[1].strip("()")


def _suite():
    return platform.freedesktop_os_release().get("VERSION_CODENAME")


def debian_root():
    """A root file system of the suite that this machine runs, as debootstrap makes its smallest.

    Made once, like the sources above, and shared: it is only for reading. Needs root.
    """
    shelf = _shelf()
    folder = shelf / "debian-root"
    with _locked(shelf / "debian-root.lock"):
        if not folder.exists():
            unfinished = shelf / "debian-root.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            _debootstrap(unfinished)
            unfinished.rename(folder)
    return folder


def _debootstrap(folder):
    mirrors = subprocess.run([SOURCE / "tools/debian-source", "--mirrors"], capture_output=True,
                             text=True, timeout=60).stdout.split()
    suite = _suite()
    if not mirrors or not suite:
        skip("this machine's apt sources name no Debian archive")
    made = subprocess.run(
        [need_command("debootstrap"), "--variant=minbase", suite, folder, mirrors[0]],
        capture_output=True, text=True, timeout=900)
    if made.returncode != 0:
        skip(f"debootstrap: {(made.stdout + made.stderr).strip().splitlines()[-1]}")
    for package in folder.glob("var/cache/apt/archives/*.deb"):
        package.unlink()
