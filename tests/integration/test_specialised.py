# SPDX-License-Identifier: Apache-2.0
"""Programs whose functions ask for features themselves, through capture, pack and mount, for several
targets: the output of the plain build, and no instruction that the target lacks."""

import functools
import pathlib
import shutil
import subprocess

import harness
from harness.bitcode import code_of, uses_avx

WIDE = "typedef double wide __attribute__((vector_size(32)));\n"

SOURCES = {
    "callee.c": WIDE + "wide twice(wide x) { return x + x; }\n",
    "caller.c": WIDE + """#include <stdio.h>
wide twice(wide);
void returns(double a) { wide y = twice((wide){a, 2, 4, 10}); printf("%g %g %g %g\\n", y[0], y[1], y[2], y[3]); }
""",
    # Compiled with -mavx2, called only where there is AVX2: dispatch by file.
    "fast.c": """#include <immintrin.h>
double sum_fast(const double *a, int n)
{
        __m256d s = _mm256_setzero_pd();
        for (int i = 0; i + 4 <= n; i += 4)
                s = _mm256_add_pd(s, _mm256_permute4x64_pd(_mm256_loadu_pd(a + i), 0x1b));
        double r[4];
        _mm256_storeu_pd(r, s);
        return r[0] + r[1] + r[2] + r[3];
}
""",
    "main.c": """#include <stdio.h>
#include <stdlib.h>
double sum_fast(const double *, int);
void returns(double);
__attribute__((target_clones("default", "avx2", "arch=skylake-avx512")))
int cloned(const int *a, int n) { int s = 0; for (int i = 0; i < n; i++) s += a[i] ^ i; return s; }
__attribute__((target("no-avx"), noinline)) double old(const double *a, int n)
{ double s = 0; for (int i = 0; i < n; i++) s += a[i] * 3; return s; }
__attribute__((used, noinline)) void ordinary(float *a, const float *b, int n)
{ for (int i = 0; i < n; i++) if (b[i] > 0) a[i] += 3 * b[i]; }
int main(int argc, char **argv)
{
        int n = 1000 + argc;
        double *a = calloc(n, sizeof *a);
        float *f = calloc(n, sizeof *f);
        int *k = calloc(n, sizeof *k);
        (void)argv;
        for (int i = 0; i < n; i++) { a[i] = i; f[i] = i; k[i] = i * 7; }
        ordinary(f, f, n);
        returns(argc);
        printf("%g %d %g %g\\n", old(a, n), cloned(k, n), f[n - 1],
               __builtin_cpu_supports("avx2") ? sum_fast(a, 1000) : 499500.0);
        return 0;
}
""",
    # What #ifdef __AVX2__ chose cannot be taken back: the whole program needs AVX2.
    "tied.c": """#include <stdio.h>
#include <immintrin.h>
int main(int argc, char **argv)
{
        (void)argv;
#ifdef __AVX2__
        __m256i v = _mm256_set1_epi32(argc);
        printf("%d\\n", _mm256_extract_epi8(_mm256_maddubs_epi16(v, v), 0));
#else
        printf("%d\\n", argc);
#endif
        return 0;
}
""",
}

BUILD = """set -e
cc -O2 -Wno-psabi -c callee.c
cc -O2 -Wno-psabi -c caller.c
cc -O2 -mavx2 -c fast.c
cc -O2 -c main.c
cc -rdynamic main.o caller.o callee.o fast.o -o mixed
cc -O2 -march=x86-64-v3 tied.c -o tied
"""


@functools.lru_cache
def cpu_has(*flags):
    words = set()
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("flags"):
                words = set(line.split())
                break
    return set(flags) <= words


def build(t, folder, *before):
    where = t.scratch / folder
    where.mkdir()
    for name, text in SOURCES.items():
        (where / name).write_text(text)
    names = t.scratch / "names"
    if not names.exists():
        names.mkdir()
        (names / "cc").symlink_to(harness.need_command("clang-19"))
    path = {} if before else {"PATH": f"{names}:/usr/bin:/bin"}
    t.run([*before, "sh", "-c", BUILD], cwd=where, env=path)
    return where


def test_every_target_computes_the_same(t):
    harness.need_fuse()
    plain = build(t, "plain")
    captured = build(t, "captured", harness.binary("xaas"), "build", "--")
    root = t.rootfs()
    for name in ("mixed", "tied"):
        root.add(f"/usr/bin/{name}", captured / name)
    root.add_libraries()
    image = t.scratch / "image.sqfs"
    t.run([harness.binary("xaas"), "pack", root.path, image])
    wanted = t.run([plain / "mixed"]).stdout
    t.contains(wanted, "2 4 8 20\n")
    targets = ["x86-64", "x86-64-v2", "native"] + (["x86-64-v3"] if cpu_has("avx2", "fma", "bmi2") else [])
    for target in targets:
        with t.mount(image, options=[f"cache={t.cache}", f"target={target}"]) as mnt:
            t.equal(t.run([mnt / "usr/bin/mixed"]).stdout, wanted, f"output for {target}")
            t.contains(state(mnt / "usr/bin/mixed"), "native ")
            copy = t.scratch / f"mixed-{target}"
            shutil.copyfile(mnt / "usr/bin/mixed", copy)
            check_code(t, copy, target)
            check_tied(t, mnt, target)


def state(path):
    return subprocess.run(["getfattr", "--only-values", "-n", "user.xaasfs.state", path],
                          capture_output=True, text=True, check=True).stdout


def check_code(t, program, target):
    ordinary, old = code_of(t, program, "ordinary"), code_of(t, program, "old")
    t.true(ordinary and old, "the functions to look at are not there")
    t.true(not uses_avx(old), f"AVX in a function without it, for {target}:\n{old}")
    if target in ("x86-64", "x86-64-v2"):
        t.true(not uses_avx(ordinary), f"AVX for {target}:\n{ordinary}")
    elif target == "x86-64-v3" or cpu_has("avx2"):
        t.true(uses_avx(ordinary), f"no AVX for {target}:\n{ordinary}")


def check_tied(t, mnt, target):
    tied = pathlib.Path(mnt) / "usr/bin/tied"
    able = target == "x86-64-v3" or (target == "native" and cpu_has("avx2", "fma", "bmi2"))
    if cpu_has("avx2"):
        t.equal(t.run([tied]).stdout, "1\n", f"output of the program that needs AVX2, for {target}")
    else:
        tied.read_bytes()
    t.contains(state(tied), "native " if able else "baseline needs ")


harness.main()
