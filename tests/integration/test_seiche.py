# SPDX-License-Identifier: Apache-2.0
"""The project's own HPC program, built plainly: what it says about its result can be relied on."""

import re

import harness

APP = harness.SOURCE / "tests/apps/seiche"


def build(t, compiler, flags="-O2"):
    """Returns the path of the program, built outside the source tree."""
    suffix = "-19" if compiler == "clang" else ""
    cxx = {"clang": "clang++", "gcc": "g++"}[compiler]
    folder = t.scratch / f"{compiler}{flags.replace(' ', '')}"
    t.run(["make", "-s", "-C", APP, f"BUILD={folder}", f"CC={compiler}{suffix}",
           f"CXX={cxx}{suffix}", f"CFLAGS={flags}", f"CXXFLAGS={flags}"])
    return folder / "seiche"


def checksum(done):
    return re.search(r"checksum (\w+), verified", done.stdout)[1]


def test_compilers_agree_to_the_bit_on_generic_code(t):
    runs = [t.run([build(t, compiler), "--size", 32, "--steps", 100, "--medium", medium])
            for compiler in ("gcc", "clang") for medium in ("homogeneous", "layered")]
    t.equal(checksum(runs[0]), checksum(runs[2]), "homogeneous")
    t.equal(checksum(runs[1]), checksum(runs[3]), "layered")
    t.true(checksum(runs[0]) != checksum(runs[1]), "both media give the same result")


def test_the_number_of_threads_does_not_change_the_result(t):
    program = build(t, "clang")
    sums = [checksum(t.run([program, "--size", 40, "--steps", 60], env={"OMP_NUM_THREADS": n}))
            for n in ("1", "2", "3")]
    t.equal(sums, [sums[0]] * 3)


def test_fused_multiply_add_stays_within_tolerance(t):
    if "fma" not in open("/proc/cpuinfo", encoding="utf-8").read().split():
        harness.skip("this CPU has no FMA")
    checksum(t.run([build(t, "clang", "-O3 -march=native"), "--size", 48, "--steps", 500]))


def test_a_wrong_weight_is_noticed(t):
    copy = t.scratch / "copy"
    t.run(["cp", "-r", APP, copy])
    stencil = copy / "lib/stencil.c"
    right = stencil.read_text()
    wrong = right.replace("w4 * (u[-4] + u[4]", "w4 * (0.9f * u[-4] + u[4]")
    t.true(wrong != right, "the kernel is not the one that this test spoils")
    stencil.write_text(wrong)
    t.run(["make", "-s", "-C", copy])
    # Not 32: there the modes' contributions to that term happen to cancel.
    t.contains(t.run([copy / "seiche", "--size", 40, "--steps", 200], expect=1).stdout, "WRONG")


def test_wrong_usage_is_named(t):
    program = build(t, "clang")
    t.contains(t.run([program, "--sise", 3], expect=2).stderr, "unknown option '--sise'")
    t.contains(t.run([program, "--size", "many"], expect=2).stderr, "not 'many'")


harness.main()
