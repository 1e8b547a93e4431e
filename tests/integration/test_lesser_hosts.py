# SPDX-License-Identifier: Apache-2.0
"""Programs compiled for hosts that lack what this one has: their code holds nothing of it, and they
run on the processors that qemu emulates, which refuse what they have not."""

import json
import re
import shutil
import signal
import subprocess

import harness
from harness.bitcode import uses_avx, uses_evex

MACHINES = harness.SOURCE / "tests/machines"

# Integers and small whole numbers: exact, whatever is contracted or reordered.
PLAIN = """#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
static unsigned bits(uint64_t *a, int n)
{
        unsigned s = 0;
        for (int i = 0; i < n; i++)
                s += __builtin_popcountll(a[i]) + __builtin_clzll(a[i] | 1) + __builtin_ctzll(a[i] | 256);
        return s;
}
static double dot(const double *a, const double *b, int n)
{
        double s[8] = {0}, sum = 0;
        for (int i = 0; i + 8 <= n; i += 8)
                for (int k = 0; k < 8; k++)
                        s[k] += a[i + k] * b[i + k];
        for (int k = 0; k < 8; k++)
                sum += s[k];
        return sum;
}
static void add_chosen(float *a, const float *b, const int *mask, int n)
{
        for (int i = 0; i < n; i++)
                if (mask[i] & 1)
                        a[i] = b[i] * 2 + a[i];
}
static uint32_t mix(const uint8_t *p, int n)
{
        uint32_t h = 7;
        for (int i = 0; i < n; i++)
                h = (h << 5 | h >> 27) ^ (p[i] & ~h);
        return h;
}
int main(int argc, char **argv)
{
        int n = 4096 + argc - 1;
        uint64_t *a = calloc(n, 8);
        double *x = calloc(n, 8), *y = calloc(n, 8);
        float *f = calloc(n, 4), *g = calloc(n, 4);
        int *m = calloc(n, 4);
        float sum = 0;
        (void)argv;
        for (int i = 0; i < n; i++) {
                a[i] = i * 0x9e3779b97f4a7c15u;
                x[i] = i % 13;
                y[i] = i % 7;
                f[i] = i % 5;
                g[i] = i % 3;
                m[i] = i * 5 >> 1;
        }
        add_chosen(f, g, m, n);
        for (int i = 0; i < n; i++)
                sum += f[i];
        printf("%u %g %g %x\\n", bits(a, n), dot(x, y, n), sum, mix((uint8_t *)a, 8 * n));
        return 0;
}
"""

# The wider code of these is reached only where the processor says that it may be.
DISPATCHED = """#include <immintrin.h>
#include <stdio.h>
__attribute__((target_clones("default", "avx2", "arch=skylake-avx512")))
int cloned(const int *a, int n) { int s = 0; for (int i = 0; i < n; i++) s += a[i] ^ i; return s; }
__attribute__((target("avx2"))) static int wide(const int *a)
{
        __m256i v = _mm256_loadu_si256((const __m256i *)a);
        v = _mm256_add_epi32(v, _mm256_permute4x64_epi64(v, 0x4e));
        return _mm256_extract_epi32(v, 1);
}
static int narrow(const int *a) { return a[1] + a[5]; }
int main(void)
{
        int a[1024];
        for (int i = 0; i < 1024; i++)
                a[i] = i * 7;
        printf("%d %d\\n", cloned(a, 1024), __builtin_cpu_supports("avx2") ? wide(a) : narrow(a));
        return 0;
}
"""

BUILD = "cc -O3 plain.c -o plain && cc -O2 dispatched.c -o dispatched"
BIT_INSTRUCTIONS = re.compile(r"^\s*(lzcnt|shlx|shrx|sarx|rorx|mulx|andn|blsr|blsi|blsmsk|pdep|pext)", re.M)

# What is compiled for, the processor that stands for it, and the features it lacks: AVX-512, AVX, BMI.
HOSTS = (
    ("x86-64", "qemu64", "512 avx bmi"),
    ("x86-64-v2", "Nehalem", "512 avx bmi"),
    (MACHINES / "haswell-guest-no-avx.machine", "Haswell,-avx,-avx2,-fma,-f16c,-xsave", "512 avx"),
    (MACHINES / "haswell.machine", "Haswell", "512"),
    (MACHINES / "skylake-x-not-saved.machine", "Skylake-Client", "512"),
    (MACHINES / "skylake-x-guest-no-avx512.machine", "Skylake-Client", "512"),
    (MACHINES / "zen2.machine", "EPYC-Rome", "512"),
)


def make_image(t):
    where = t.scratch / "build"
    where.mkdir()
    (where / "plain.c").write_text(PLAIN)
    (where / "dispatched.c").write_text(DISPATCHED)
    t.run([harness.binary("xaas"), "build", "--", "sh", "-c", BUILD], cwd=where)
    root = t.rootfs()
    for name in ("plain", "dispatched"):
        root.add(f"/usr/bin/{name}", where / name)
    root.add_libraries()
    image = t.scratch / "image.sqfs"
    t.run([harness.binary("xaas"), "pack", root.path, image])
    return image, {name: t.run([where / name]).stdout for name in ("plain", "dispatched")}


def runs_here(t, target):
    """Whether a mount would take this target on the machine that the test runs on."""
    has = {machine: set(json.loads(t.run([harness.binary("xaas"), "host", "--json", "--target", name])
                                   .stdout)["features"].split(","))
           for machine, name in (("here", "native"), ("there", target))}
    asked_for = {"+" + name for name in (
        "avx", "avx2", "avx512f", "avx512vl", "avx512bw", "avx512dq", "fma", "bmi2", "f16c", "lzcnt",
        "movbe", "aes", "adx", "sha", "sse4a", "prfchw", "pclmul")}
    return has["there"] & asked_for <= has["here"]


def emulated(t, cpu, program, expect=0):
    done = subprocess.run(["qemu-x86_64", "-cpu", cpu, program], env=t.env, capture_output=True,
                          text=True, timeout=120, check=False)
    t.equal(done.returncode, expect, f"status of {program.name} on {cpu}: {done.stderr}")
    return done.stdout


def check_code(t, program, lacks, what):
    code = t.run([harness.need_command("llvm-objdump-19"), "-d", "--no-show-raw-insn",
                  "--no-leading-addr", program]).stdout
    t.true("<main>:" in code or len(code) > 1000, f"no code for {what}")
    for feature, used in (("512", uses_evex(code)), ("avx", uses_avx(code)),
                          ("bmi", bool(BIT_INSTRUCTIONS.search(code)))):
        t.true(feature not in lacks or not used, f"{feature} in the code for {what}")
    # Else the above would say little.
    t.true("avx" in lacks or uses_avx(code), f"no AVX in the code for {what}")


def copies(t, image, target):
    """The programs as a mount for TARGET serves them, and what they print on this machine."""
    found = {}
    name = str(target).rsplit("/", maxsplit=1)[-1]
    with t.mount(image, options=[f"cache={t.cache}", f"target={target}"]) as mnt:
        for program in ("plain", "dispatched"):
            served = mnt / "usr/bin" / program
            copy = t.scratch / f"{program}-{name}"
            output = t.run([served]).stdout
            state = t.run(["getfattr", "--only-values", "-n", "user.xaasfs.state", served]).stdout
            t.contains(state, "native ")
            shutil.copy(served, copy)
            found[program] = copy, output
    return found


def test_lesser_hosts(t):
    harness.need_fuse()
    harness.need_command("qemu-x86_64")
    image, wanted = make_image(t)
    done = []
    for target, cpu, lacks in HOSTS:
        if not runs_here(t, target):
            print(f"left out, since this machine could not run it: {target}")
            continue
        for program, (copy, output) in copies(t, image, target).items():
            t.equal(output, wanted[program], f"output of {program} for {target}")
            t.equal(emulated(t, cpu, copy), wanted[program], f"{program} for {target} on {cpu}")
            if program == "plain":
                check_code(t, copy, lacks.split(), f"{target}")
        done.append(target)
    t.true(len(done) >= 3, f"only {done}")


# The emulated processor does refuse what it has not, or the test above would prove nothing.
def test_the_emulator_refuses(t):
    harness.need_fuse()
    harness.need_command("qemu-x86_64")
    if not runs_here(t, "x86-64-v3"):
        harness.skip("this machine has no AVX2")
    image, wanted = make_image(t)
    copy, output = copies(t, image, "x86-64-v3")["plain"]
    t.equal(output, wanted["plain"])
    emulated(t, "Nehalem", copy, expect=-signal.SIGILL)
    t.equal(emulated(t, "Haswell", copy), wanted["plain"])


# A login node that was given a record compiles exactly what the recorded machine would.
def test_prewarmed_from_a_record(t):
    harness.need_fuse()
    image, wanted = make_image(t)
    record = t.scratch / "node.machine"
    record.write_text(t.run([harness.binary("xaas"), "host", "--record"]).stdout)
    prewarm = [harness.binary("xaas"), "prewarm", "--cache", t.cache]
    t.run([*prewarm, "--target", record, image])
    before = compiles(t)
    t.equal(before, 2, "programs compiled for the record")
    with t.mount(image, options=[f"cache={t.cache}"]) as mnt:
        for name, output in wanted.items():
            t.equal(t.run([mnt / "usr/bin" / name]).stdout, output, name)
    t.equal(compiles(t), before, "compiled by the mount")
    # What images hold is for x86-64.
    done = t.run([*prewarm, "--target", MACHINES / "a64fx.machine", image], expect=1)
    t.contains(done.stderr, "their bitcode is for x86-64")


def compiles(t):
    return json.loads(t.run([harness.binary("xaas"), "cache", "--cache", t.cache, "stats",
                             "--json"]).stdout)["compiles"]


# The processor is emulated, and with it what cpuid and xgetbv say; the kernel's list is this
# machine's, so it may deny more. Programs that are started are not emulated: LLVM's own name is
# that of the real processor.
def test_detection_on_emulated_processors(t):
    emulator = harness.need_command("qemu-x86_64")
    for cpu, tune, lacks in (("Nehalem", "nehalem", {"avx", "fma", "bmi", "aes"}),
                             ("Haswell", "haswell", {"avx512f", "adx", "sha"}),
                             ("Haswell,-avx,-xsave", "haswell", {"avx", "avx2", "fma"})):
        done = subprocess.run([emulator, "-cpu", cpu, harness.binary("xaas"), "host", "--json"], env=t.env,
                              capture_output=True, text=True, check=True)
        report = json.loads(done.stdout)
        features = {name[1:] for name in report["features"].split(",") if name.startswith("+")}
        t.equal(report["tune"], tune, f"tuning for {cpu}")
        t.true(not features & lacks, f"features of {cpu}: {report['features']}")
        t.true("sse4.2" in features, f"features of {cpu}: {report['features']}")


harness.main()
