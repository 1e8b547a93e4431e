# SPDX-License-Identifier: Apache-2.0
"""One small project, three times: built plainly, built with capture on, and made again out of its
records. All three must say the same. `relink` (relink.c) stands for the mount, or with
`through_a_mount` the captured folder is packed, mounted and run from there."""

import os
import shutil

import harness


through_a_mount = False


class Project:
    """What a captured build left: .fat and .new are the folders as built and as made again."""

    def __init__(self, t, name):
        self.t = t
        self.plain = t.scratch / f"{name}-plain"
        self.fat = t.scratch / f"{name}-fat"
        self.new = t.scratch / f"{name}-new"
        self.summary = ""

    def show(self, program):
        """The record's facts, one per line."""
        return self.t.run([harness.binary("relink"), "--show", self.fat / program]).stdout

    def lines(self, program, first_word):
        return [line.split(" ", 1)[1] for line in self.show(program).splitlines()
                if line.split(" ", 1)[0] == first_word]

    def read_elf(self, folder, program, *options):
        return self.t.run(["readelf", "-W", *options, folder / program]).stdout


def write(folder, files):
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def build_plainly(t, folder, script, compilers=("clang-19", "clang++-19")):
    t.run(["sh", "-ec", script], cwd=folder, timeout=300,
          env={"CC": compilers[0], "CXX": compilers[1], "LD": "ld"})


def build_captured(t, folder, script, env=None):
    """Returns what `xaas build` printed at its end."""
    done = t.run([harness.binary("xaas"), "build", "--", "sh", "-ec", script], cwd=folder,
                 timeout=300, env={"LD": "ld", "CC": "", "CXX": "", **(env or {})})
    return done.stderr


def portable(t, folder):
    """Paths, relative to FOLDER, of all files whose record can be made again."""
    found = []
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            if os.path.islink(path) or open(path, "rb").read(4) != b"\x7fELF":
                continue
            shown = t.run([harness.binary("relink"), "--show", path], expect=None).stdout
            if "\nkind " in shown:
                found.append(os.path.relpath(path, folder))
    return sorted(found)


def relink(t, fat, new, features=None):
    environment = {"RELINK_TUNE": "x86-64", "RELINK_FEATURES": features} if features else {}
    t.run([harness.binary("relink"), fat, new], env=environment)


def run_all(t, folder, runs, env):
    return [t.run(["sh", "-c", run], cwd=folder, expect=None,
                  env={"LD_LIBRARY_PATH": str(folder), **(env or {})}) for run in runs]


def run_mounted(t, project, programs, runs, env):
    """Packs the captured folder, runs from the mount, and keeps what it served as .new."""
    image = t.scratch / f"{project.fat.name}.sqfs"
    packed = t.run([harness.binary("xaas"), "pack", "--level", 1, project.fat, image], timeout=300)
    with t.mount(image) as mounted:
        seen = run_all(t, mounted, runs, env)
        for program in programs:
            with open(mounted / program, "rb"):
                state = os.getxattr(mounted / program, "user.xaasfs.state").decode()
            t.true(state.startswith("native "), f"state of {program}: {state}\n{packed.stderr}")
        shutil.copytree(mounted, project.new, symlinks=True)
    return seen


def check(t, files, script, programs=("prog",), runs=("./prog",), name="p", env=None,
          expect=0):
    """Builds and compares; PROGRAMS are the files that must have a record, RUNS shell commands."""
    project = Project(t, name)
    write(project.plain, files)
    write(project.fat, files)
    build_plainly(t, project.plain, script)
    project.summary = build_captured(t, project.fat, script)
    t.equal(portable(t, project.fat), sorted(programs), "files with a usable record")
    wanted = run_all(t, project.plain, runs, env)
    seen = {"captured": run_all(t, project.fat, runs, env)}
    if through_a_mount:
        seen["mounted"] = run_mounted(t, project, programs, runs, env)
    else:
        shutil.copytree(project.fat, project.new, symlinks=True)
        for program in programs:
            relink(t, project.fat / program, project.new / program)
        seen["made again"] = run_all(t, project.new, runs, env)
    for number, run in enumerate(runs):
        plain = wanted[number]
        t.equal(plain.returncode, expect, f"status of {run}, built plainly ({plain.stderr})")
        for what, all_done in seen.items():
            done = all_done[number]
            t.equal((done.returncode, done.stdout), (plain.returncode, plain.stdout),
                    f"{run}, {what} ({done.stderr})")
    return project
