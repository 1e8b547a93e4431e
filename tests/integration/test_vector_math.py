# SPDX-License-Identifier: Apache-2.0
"""Vector functions of the C library: called where somebody wants them and the image has them."""

import os
import pathlib
import re
import shutil

import harness

XAAS = harness.binary("xaas")
CC = "clang-19"
WANTED = "policy=opt=3\\,veclib=libmvec"
LIBMVEC = "libmvec.so.1"

# Prints how far it is off, in units of the last place, and whether that is too much.
SOURCE = r"""
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#define N 4096
double in[N], out[N];
__attribute__((noinline)) void all(const double *restrict x, double *restrict y, long n)
{
        for (long i = 0; i < n; i++)
                y[i] = exp(x[i]);
}
int main(int argc, char **argv)
{
        double worst = 0;
        for (long i = 0; i < N; i++)
                in[i] = (double)(i - N / 2) / 100 * argc;
        all(in, out, N);
        for (long i = 0; i < N; i++) {
                const long double exact = expl(in[i]);
                const double off = (double)fabsl(out[i] - exact) / (nextafter(out[i], INFINITY) - out[i]);
                worst = off > worst ? off : worst;
        }
        (void)argv;
        puts(worst <= 4 ? "right" : "wrong");
        return 0;
}
"""


class Image:
    """/usr/bin/plain and /usr/bin/asked, of which the second is built with -fveclib=libmvec."""

    def __init__(self, t, name="image", library=True):
        root = t.rootfs(name)
        (t.scratch / "waves.c").write_text(SOURCE)
        for program, flags in (("plain", []), ("asked", ["-fveclib=libmvec"])):
            t.run([XAAS, "build", "--", CC, "-O3", "-fno-math-errno", *flags, "waves.c", "-o",
                   root.inside(f"/usr/bin/{program}"), "-lm"], cwd=t.scratch)
        if not library:
            root.inside("/usr/bin/asked").unlink()
        root.add_libraries()
        libm = next(root.path.rglob("libm.so.6"))
        if library:
            shutil.copy(libmvec_here(t), libm.parent / LIBMVEC)
        self.path = t.scratch / f"{name}.sqfs"
        t.run([XAAS, "pack", root.path, self.path])


def libmvec_here(t):
    found = t.run([CC, f"-print-file-name={LIBMVEC}"]).stdout.strip()
    if not os.path.isabs(found):
        harness.skip(f"this machine's C library has no {LIBMVEC}")
    return pathlib.Path(found)


def compiled(t, image, program, *options):
    """What PROGRAM needs, and which vector functions it calls, once it was compiled and ran in a container."""
    with t.mount(image.path, options=[*options]) as mnt:
        inside = harness.Served(t, mnt)
        t.equal(inside.run([program]).stdout, "right\n")
        inside.expect_native(f"/usr/bin/{program}")
        path = mnt / "usr/bin" / program
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", t.run(["readelf", "-d", path]).stdout)
        called = re.findall(r"<(_ZGV\w+)@", t.run(
            ["llvm-objdump-19", "-d", "--no-show-raw-insn", path]).stdout)
        policy = os.getxattr(path, "user.xaasfs.policy").decode()
        return needed, set(called), policy


def test_only_where_it_is_wanted(t):
    harness.need_command("llvm-objdump-19")
    image = Image(t)
    needed, called, policy = compiled(t, image, "plain")
    t.equal((needed, called, policy), (["libm.so.6", "libc.so.6"], set(), "opt=3"))
    needed, called, policy = compiled(t, image, "plain", WANTED, "target=x86-64-v3")
    t.equal((needed, called), (["libm.so.6", "libc.so.6", LIBMVEC], {"_ZGVdN4v_exp"}))
    t.equal(policy, "opt=3,veclib=libmvec")
    needed, called, _ = compiled(t, image, "plain", WANTED, "target=x86-64")
    t.equal((needed, called), (["libm.so.6", "libc.so.6", LIBMVEC], {"_ZGVbN2v_exp"}))
    needed, called, policy = compiled(t, image, "plain", WANTED, "fp=strict")
    t.equal((needed, called, policy), (["libm.so.6", "libc.so.6"], set(), "opt=3,fp=strict"))


def test_as_it_was_built(t):
    harness.need_command("llvm-objdump-19")
    image = Image(t)
    for options in ([], ["fp=strict"]):
        needed, called, policy = compiled(t, image, "asked", "target=x86-64-v3", *options)
        t.equal(sorted(needed), ["libc.so.6", "libm.so.6", LIBMVEC])
        t.equal(called, {"_ZGVdN4v_exp"})
        t.contains(policy, ",veclib=libmvec")


def test_where_it_is_missing(t):
    """The image has a C library without it: no program comes to need it."""
    harness.need_command("llvm-objdump-19")
    libmvec_here(t)
    needed, called, policy = compiled(t, Image(t, "lacking", library=False), "plain", WANTED)
    t.equal((needed, called, policy), (["libm.so.6", "libc.so.6"], set(), "opt=3"))


def test_tune_tries_it_when_asked(t):
    image = Image(t)
    command = ["--", "/usr/bin/plain"]
    listed = t.run([XAAS, "tune", "--dry-run", image.path, "/usr/bin/plain", *command]).stdout
    t.true("libmvec" not in listed, listed)
    listed = t.run([XAAS, "tune", "--dry-run", "--vector-math", image.path, "/usr/bin/plain", *command]).stdout
    t.contains(listed, "veclib=libmvec")
    said = t.run([XAAS, "tune", "--vector-math", "--same-results", image.path, "/usr/bin/plain", *command], expect=2)
    t.contains(said.stderr, "exclude each other")


harness.main()
