# SPDX-License-Identifier: Apache-2.0
"""A Debian root file system with Python, NumPy and SciPy, unpacked and as a squashfs image; and a million files."""

import os
import pathlib
import shutil
import subprocess
import tarfile

import harness

PACKAGES = "python3,python3-numpy,python3-scipy"
BIG_FILES = ("bench/big-1", "bench/big-2")
BIG_SIZE = 256 << 20
PROGRAM = "/bench/nothing"


def default_folder():
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(home) / "xaasfs-bench"


def provide(folder):
    """(root, image) in FOLDER; made once, with packages from the mirror of this machine's apt."""
    folder.mkdir(parents=True, exist_ok=True)
    root = folder / "root"
    image = folder / "image.sqfs"
    if not root.exists():
        # Complete or absent, whatever interrupts this.
        unfinished = folder / "root.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        print(f"Making a Debian root file system in {root} …", flush=True)
        _install_debian(unfinished)
        add_bench_files(unfinished)
        unfinished.rename(root)
    if not image.exists():
        print(f"Making {image} …", flush=True)
        pack(root, image)
    return root, image


def provide_million(folder):
    """An image in FOLDER with a million empty files in a thousand folders; made once."""
    image = folder / "million.sqfs"
    if not image.exists():
        print(f"Making {image} …", flush=True)
        unfinished = image.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        with subprocess.Popen(["sqfstar", "-comp", "zstd", "-quiet", "-no-progress", str(unfinished)],
                              stdin=subprocess.PIPE) as writer:
            with tarfile.open(fileobj=writer.stdin, mode="w|") as archive:
                for number in range(1_000_000):
                    archive.addfile(tarfile.TarInfo(f"{number // 1000:03}/file-{number % 1000:03}"))
            writer.stdin.close()
        if writer.returncode != 0:
            raise harness.TestFailure(f"sqfstar could not write {unfinished}: status {writer.returncode}")
        unfinished.rename(image)
    return image


def pack(root, image):
    """An image as people make them: 128 KiB blocks, zstd at mksquashfs' own level."""
    unfinished = image.with_suffix(".unfinished")
    # squashfs-tools 4.5.1 sometimes takes different files for equal ones.
    _run(["mksquashfs", root, unfinished, "-comp", "zstd", "-noappend", "-no-duplicates", "-quiet",
          "-no-progress"])
    unfinished.rename(image)


def add_bench_files(root, big_size=BIG_SIZE):
    """Two big files and a static program that does nothing, in ROOT/bench."""
    (root / "bench").mkdir()
    for name in BIG_FILES:
        _write_big_file(root / name, root, big_size)
    source = root / "bench/nothing.c"
    source.write_text("int main(void) { return 0; }\n", encoding="ascii")
    _run(["cc", "-O2", "-static", "-o", root / PROGRAM.lstrip("/"), source])


def _install_debian(root):
    if not shutil.which("debootstrap"):
        raise harness.TestFailure("debootstrap is not installed; tools/setup installs it")
    mirror = _run([harness.SOURCE / "tools/debian-source", "--mirrors"]).split()
    if not mirror:
        raise harness.TestFailure("apt's sources in /etc/apt name no Debian mirror; add one")
    suite = _run(["sh", "-c", ". /etc/os-release && echo $VERSION_CODENAME"]).strip()
    _run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, root, mirror[0]])
    for package in root.glob("var/cache/apt/archives/*.deb"):
        package.unlink()


def _write_big_file(path, root, size):
    """Files that are there already, one after the other, so that it compresses as they do."""
    sources = sorted(file for file in root.glob("usr/**/*")
                     if file.is_file() and not file.is_symlink() and file.stat().st_size)
    if not sources:
        sources = [pathlib.Path(__file__)]
    with open(path, "wb") as big:
        while big.tell() < size:
            for source in sources:
                big.write(source.read_bytes()[:size - big.tell()])
                if big.tell() == size:
                    return


def _run(command):
    command = [str(word) for word in command]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace")
    if done.returncode != 0:
        raise harness.TestFailure(f"{' '.join(command)}\nfailed with status {done.returncode}:\n"
                                  f"{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
