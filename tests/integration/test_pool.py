# SPDX-License-Identifier: Apache-2.0
"""What all compiles of a mount together may take of the machine."""

import os
import subprocess

import harness
from harness.programs import programs, state

HUGE = """
#include <stdio.h>
const unsigned char data[] = {
#embed "data"
};
int main(int argc, char **argv)
{
        printf("%d\\n", data[(unsigned)argc * 7919]);
        return 0;
}
"""


def huge_image(t):
    """Its one program has a module of 24 MiB, which the compiler holds several times."""
    source = t.scratch / "source"
    source.mkdir()
    (source / "data").write_bytes(os.urandom(24 << 20))
    (source / "huge.c").write_text(HUGE)
    root = t.rootfs("huge")
    t.run([harness.BUILD / "libexec/xaas-cc", "-O1", "-w", "huge.c", "-o",
           root.inside("/usr/bin/huge")], cwd=source)
    image = t.scratch / "huge.sqfs"
    t.run([harness.binary("xaas"), "pack", "--quiet", root.path, image])
    return image


def test_what_needs_too_much_memory_is_served_as_it_is(t):
    image = huge_image(t)
    with t.mount(image, options=[f"cache={t.cache}", "jit_mem=64M"]) as mnt:
        huge = mnt / "usr/bin/huge"
        with open(huge, "rb") as file:
            first = state(huge)
            generic = file.read()
        t.contains(first, "ran out of memory, although it was compiled alone and all compiles may "
                          "use 64.0 MiB (jit_mem)")
        expected = t.run([huge]).stdout
    prewarm = [harness.binary("xaas"), "prewarm", "--cache", t.cache]
    done = t.run([*prewarm, "--jit-mem", "64M", image], expect=1)
    t.contains(done.stderr, "all compiles may use 64.0 MiB (jit_mem); its generic build is served")
    # With what there is by default it can be compiled.
    t.run([*prewarm, image])
    with t.mount(image, options=[f"cache={t.cache}"]) as mnt:
        huge = mnt / "usr/bin/huge"
        t.equal(t.run([huge]).stdout, expected, "what it prints")
        t.equal(state(huge).split()[0], "native")
        t.true(huge.read_bytes() != generic, "the generic program was served again")


def test_sizes_that_cannot_be(t):
    for wrong, words in (("1M", "no program can be compiled with so little; give at least 64.0 MiB"),
                         ("much", "not a size")):
        done = t.xaasfs("-o", f"jit_mem={wrong}", programs().image, t.scratch)
        t.equal(done.returncode, 2)
        t.contains(done.stderr, f"option jit_mem={wrong}: {words}")
        done = t.run([harness.binary("xaas"), "prewarm", "--jit-mem", wrong, programs().image],
                     expect=None)
        t.equal(done.returncode, 2)
        t.contains(done.stderr, f"--jit-mem takes a size from 64M on, not {wrong}")


harness.main()
