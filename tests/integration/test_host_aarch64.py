# SPDX-License-Identifier: Apache-2.0
"""Detection on AArch64: built for it, and run on the cores that qemu emulates."""

import functools
import os
import subprocess

import harness

# All that detection consists of; xaasfs itself needs libraries that a cross build would not find.
SOURCES = [f"jit/jit_{name}.c" for name in (
    "aarch64_features", "aarch64_models", "detection", "features", "host", "host_aarch64",
    "host_x86", "machine", "models", "x86_features", "x86_models")] + ["formats/fmt_log.c"]


@functools.lru_cache
def compiler():
    harness.need_command("qemu-aarch64")
    return harness.need_command("aarch64-linux-gnu-gcc")


def build(t, main):
    program = t.scratch / "program"
    sources = [harness.SOURCE / name for name in [*SOURCES, main]]
    t.run([compiler(), "-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-static",
           *[f"-I{harness.SOURCE / folder}" for folder in ("jit", "formats", "tests/unit")],
           *sources, "-o", program])
    return program


def describe(t, program, cpu, *arguments, status=3):
    done = subprocess.run(["qemu-aarch64", "-cpu", cpu, program, *arguments], env=t.env,
                          capture_output=True, text=True, check=False)
    t.equal(done.returncode, status, f"status on {cpu}: {done.stderr}")
    return done


def test_cores(t):
    program = build(t, "tests/aarch64/describe.c")
    for cpu, has, lacks in (
            ("a64fx", {"sve", "complxnum", "lse", "fullfp16"}, {"sve2", "dotprod", "bf16"}),
            ("neoverse-n1", {"dotprod", "lse", "rcpc"}, {"sve", "lse2", "bf16"}),
            ("cortex-a53", {"neon", "crc"}, {"lse", "sve", "dotprod"})):
        done = describe(t, program, cpu)
        triple, tune, features = done.stdout.split()
        t.equal((triple, tune), ("aarch64-unknown-linux-gnu", cpu))
        found = set(features.split(","))
        t.true({"+" + name for name in has} | {"-" + name for name in lacks} <= found,
               f"features of {cpu}: {features}")
        # What images hold is for x86-64: not compiled there, with a reason.
        t.contains(done.stderr, "their bitcode is for x86-64")


def test_targets(t):
    program = build(t, "tests/aarch64/describe.c")
    t.contains(describe(t, program, "a64fx", "armv8.2-a").stdout, " generic -aes,")
    t.contains(describe(t, program, "neoverse-n1", "cortex-a53").stdout, " cortex-a53 +aes,")
    t.contains(describe(t, program, "a64fx", "neoverse-v1", status=1).stderr, "this host has no ")
    t.contains(describe(t, program, "a64fx", "haswell", status=1).stderr,
               'there is no target "haswell"; give native, armv8-a')
    machine = harness.SOURCE / "tests/machines/haswell.machine"
    t.contains(describe(t, program, "a64fx", machine, status=1).stderr, "a machine of x86-64")


# The recorded machines are judged the same wherever that is done.
def test_recorded_machines(t):
    program = build(t, "tests/unit/test_machines.c")
    t.run(["qemu-aarch64", program], env={"XAASFS_SOURCE": os.fspath(harness.SOURCE)})


harness.main()
