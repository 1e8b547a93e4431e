# SPDX-License-Identifier: Apache-2.0
"""One small project, three times: built plainly, built with capture on, and made again out of its
records. All three must say the same. `relink` (relink.c) stands for the mount."""

import os
import shutil

import harness


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


def check(t, files, script, programs=("prog",), runs=("./prog",), name="p", env=None,
          expect=0):
    """Builds and compares; PROGRAMS are the files that must have a record, RUNS shell commands."""
    project = Project(t, name)
    write(project.plain, files)
    write(project.fat, files)
    build_plainly(t, project.plain, script)
    project.summary = build_captured(t, project.fat, script)
    t.equal(portable(t, project.fat), sorted(programs), "files with a usable record")
    shutil.copytree(project.fat, project.new, symlinks=True)
    for program in programs:
        relink(t, project.fat / program, project.new / program)
    for run in runs:
        seen = [t.run(["sh", "-c", run], cwd=folder, expect=None,
                      env={"LD_LIBRARY_PATH": str(folder), **(env or {})})
                for folder in (project.plain, project.fat, project.new)]
        t.equal(seen[0].returncode, expect, f"status of {run}, built plainly ({seen[0].stderr})")
        for what, done in zip(("captured", "made again"), seen[1:]):
            t.equal((done.returncode, done.stdout), (seen[0].returncode, seen[0].stdout),
                    f"{run}, {what} ({done.stderr})")
    return project
