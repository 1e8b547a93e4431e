# SPDX-License-Identifier: Apache-2.0
"""hpcc, with HPL inside: two MPI ranks in one container, against Debian's MPICH and OpenBLAS."""

import re

import harness

ARCHITECTURE = """
SHELL = /bin/sh
CD = cd
CP = cp
LN_S = ln -s
MKDIR = mkdir -p
RM = rm -f
TOUCH = touch
ARCH = $(arch)
TOPdir = ../../..
INCdir = $(TOPdir)/include
BINdir = $(TOPdir)/bin/$(ARCH)
LIBdir = $(TOPdir)/lib/$(ARCH)
HPLlib = $(LIBdir)/libhpl.a
F2CDEFS = -DAdd__ -DF77_INTEGER=int -DStringSunStyle
HPL_INCLUDES = -I$(INCdir) -I$(INCdir)/$(ARCH)
HPL_LIBS = $(HPLlib) -lopenblas -lm
HPL_DEFS = $(F2CDEFS) $(HPL_INCLUDES)
CC = mpicc.mpich
CCNOOPT = $(HPL_DEFS)
CCFLAGS = $(HPL_DEFS) -O3
LINKER = $(CC)
LINKFLAGS = $(CCFLAGS)
ARCHIVER = ar
ARFLAGS = r
RANLIB = echo
"""


def verdicts(report):
    """What hpcc found to be right or wrong; the rest of its report is times and rates."""
    kept = re.compile(r"PASSED|FAILED|Success|Found \d+ errors|tests? (completed|failed|skipped)")
    numbers = re.compile(r"\s*[\d.]+(e[-+]\d+)?")  # right-aligned: wider ones take blanks away
    return [numbers.sub("#", line) if "PASSED" in line else line
            for line in report.splitlines() if kept.search(line) and "time" not in line.lower()]


def test_hpcc(t):
    mpiexec = harness.need_command("mpiexec.mpich")
    hpcc = harness.BuiltTwice(t, "hpcc", tar_only=True)
    hpcc.write("hpl/Make.xaas", ARCHITECTURE)
    hpcc.build([["make", "-j2", "arch=xaas"]])
    setup = (hpcc.plain / "_hpccinf.txt").read_text()
    setup = re.sub(r"^1000( +)Ns", r"400\1Ns", setup, flags=re.MULTILINE)
    setup = re.sub(r"^2( +)Ps", r"1\1Ps", setup, flags=re.MULTILINE)
    root = t.rootfs()
    root.add("/usr/bin/hpcc", hpcc.captured / "hpcc")
    root.add("/usr/bin/mpiexec", mpiexec)
    root.add("/usr/bin/hydra_pmi_proxy", harness.need_command("hydra_pmi_proxy"))

    reports = {}
    with harness.serve(t, root) as served:
        for kind in ("plain", "served"):
            folder = t.scratch / f"run-{kind}"
            folder.mkdir()
            (folder / "hpccinf.txt").write_text(setup)
            program = hpcc.plain / "hpcc" if kind == "plain" else "/usr/bin/hpcc"
            command = [mpiexec if kind == "plain" else "/usr/bin/mpiexec",
                       "-wdir", folder, "-n", "2", program]
            if kind == "plain":
                t.run(command, cwd=folder, env={"OPENBLAS_NUM_THREADS": "1"})
            else:
                served.run(command, bind=[folder], env={"OPENBLAS_NUM_THREADS": "1"})
            reports[kind] = (folder / "hpccoutf.txt").read_text()
        served.expect_native("/usr/bin/hpcc")
    t.contains(reports["served"], "Success=1")
    t.true("FAILED" not in reports["served"], "hpcc reports a failure through the mount")
    t.equal(verdicts(reports["served"]), verdicts(reports["plain"]), "verdicts")


harness.main()
