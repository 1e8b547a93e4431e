# SPDX-License-Identifier: Apache-2.0
"""One program, built in every way that bench/apps compares, and its image; kept in a folder.

    FOLDER/PROGRAM/KIND      a root folder for each of KINDS, with the program in it
    FOLDER/PROGRAM/inputs    what its runs read
    FOLDER/PROGRAM/image.sqfs
    FOLDER/PROGRAM/cache*    what was compiled of it; beside profiles and what it was tuned to (specialise.py)

Each of them is complete or absent, whatever interrupts this, so that what is there is never made again.
"""

import dataclasses
import os
import pathlib
import shutil
import subprocess

import harness

COMPILERS = {"CC": "clang-19", "CXX": "clang++-19", "FC": "flang-new-19",
             "AR": "llvm-ar-19", "RANLIB": "llvm-ranlib-19"}
# Where MPICH's headers lie: its compiler wrappers would choose the compiler themselves.
MPICH = "/usr/include/x86_64-linux-gnu/mpich"


@dataclasses.dataclass(frozen=True)
class Kind:
    """flags for compilers; link for the linker, in addition; whether `xaas build` runs it."""

    flags: str
    link: str = ""
    captured: bool = False


KINDS = {
    "generic": Kind("-O3"),
    "native": Kind("-O3 -march=native"),
    "thinlto": Kind("-O3 -march=native -flto=thin", "-O3 -march=native -flto=thin -fuse-ld=lld"),
    "captured": Kind("-O3", captured=True),
}


class Builds:
    def __init__(self, program, folder, jobs):
        self.program = program
        self.folder = folder / program.name
        self.inputs = self.folder / "inputs"
        self.image = self.folder / "image.sqfs"
        self._jobs = jobs
        self._files = harness.SOURCE / "tests/bench/inputs" / program.name

    def provide(self):
        """Makes what is not there yet."""
        for kind in KINDS:
            self._provide_root(kind)
        if not self.inputs.exists():
            with unfinished(self.inputs) as inputs:
                inputs.mkdir()
                self._script(self.program.prepare, self._source("inputs"), "generic",
                             {"INPUTS": inputs, "ROOT": self.root("generic")})
                shutil.rmtree(self._work("inputs"))
        self.provide_image()

    def provide_image(self):
        """Makes no more than the image, if that is not there yet."""
        self._provide_root("captured")
        if not self.image.exists():
            with unfinished(self.image) as image:
                run([harness.binary("xaas"), "pack", "-q", self.root("captured"), image])

    def root(self, kind):
        return self.folder / kind

    def cache(self, kind):
        """The cache of the contestant KIND: what one of them is tuned to is no matter of the others."""
        return self.folder / kind.replace("mount", "cache")

    def mount(self, kind, cache, options=()):
        return harness.Mount(self.image, self.folder / f"mnt-{kind}", self.environment(cache),
                             self.folder / f"{kind}.log", options)

    @staticmethod
    def environment(cache):
        return {**os.environ, "XAASFS_CACHE": str(cache),
                "PATH": f"{harness.binary('xaasfs').parent}:{os.environ['PATH']}"}

    def _provide_root(self, kind):
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.root(kind).exists():
            print(f"building {self.program.name}, {kind} …", flush=True)
            self._build(kind)

    def _build(self, kind):
        with unfinished(self.root(kind)) as root:
            filesystem = harness.RootFs(root)
            self._script(self.program.build, self._source(kind), kind, {"ROOT": root})
            filesystem.add_libraries()
            shutil.rmtree(self._work(kind))

    def _work(self, kind):
        return self.folder / f"{kind}.build"

    def _source(self, kind):
        """A fresh copy of the program's source."""
        work = self._work(kind)
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(self.program.source(), work, symlinks=True)
        return work

    def _script(self, script, work, kind, places):
        how = KINDS[kind]
        environment = {**os.environ, **COMPILERS, "CFLAGS": how.flags, "CXXFLAGS": how.flags,
                       "FFLAGS": how.flags, "LDFLAGS": how.link, "JOBS": str(self._jobs),
                       "FILES": str(self._files), "MPICH": MPICH,
                       **{name: str(path) for name, path in places.items()}}
        if self.program.also:
            environment["ALSO"] = str(harness.debian_source(self.program.also))
        capture = [harness.binary("xaas"), "build", "--"] if how.captured else []
        run([*capture, "sh", "-eu", "-c", script], cwd=work, env=environment,
            log=self.folder / f"{kind}.build.log")


class unfinished:
    """A path beside PATH that takes its place if all goes well."""

    def __init__(self, path):
        self._path = path
        self._beside = path.with_name(f"{path.name}.unfinished")

    def __enter__(self):
        shutil.rmtree(self._beside, ignore_errors=True)
        self._beside.unlink(missing_ok=True)
        return self._beside

    def __exit__(self, kind, value, trace):
        if kind is None:
            self._beside.rename(self._path)


def run(command, log=None, **how):
    """Runs COMMAND to its end and returns what it printed; a failure ends with the command's own words."""
    command = [str(word) for word in command]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **how)
    if log:
        pathlib.Path(log).write_text(done.stdout, encoding="utf-8")
    if done.returncode != 0:
        raise harness.TestFailure(f"{' '.join(command)}\nfailed with status {done.returncode}"
                                  + (f"; all it said is in {log}" if log else "")
                                  + f":\n{done.stdout[-3000:]}")
    return done.stdout
