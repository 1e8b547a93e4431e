# SPDX-License-Identifier: Apache-2.0
"""zlib: a shared library with a version script; its own tests run against the specialised one.

infcover is left out: it passes `ZLIB_VERSION - 1`, a pointer before its string, and any compiler
that sees both sides of that call (plain clang with -flto=thin too) makes its assertion fail.
"""

import harness

LIBRARY = "/usr/lib/x86_64-linux-gnu/libz.so.1"


def exports(t, path):
    listing = t.run(["nm", "-D", "--defined-only", "--with-symbol-versions", path]).stdout
    # GNU ld also writes an absolute symbol for each version itself; ld.lld does not.
    return sorted(line.split()[-1] for line in listing.splitlines() if " A " not in line)


def test_zlib(t):
    zlib = harness.BuiltTwice(t, "zlib")
    zlib.build([["./configure", "--prefix=/usr"],
                ["make", "-j2", "libz.so.1.2.13", "example", "examplesh", "minigzipsh"]])
    root = t.rootfs()
    root.add(LIBRARY, zlib.captured / "libz.so.1.2.13")
    for program in ("example", "examplesh", "minigzipsh"):
        root.add(f"/usr/bin/{program}", zlib.captured / program)
    text = b"".join(sorted(path.read_bytes() for path in zlib.plain.glob("*.c"))) * 4

    with harness.serve(t, root) as served:
        plain_env = {"LD_LIBRARY_PATH": str(zlib.plain)}
        for program in ("example", "examplesh"):
            t.equal(served.run([program]).stdout,
                    t.run([zlib.plain / program], env=plain_env).stdout, program)
        plain = t.run([zlib.plain / "minigzipsh", "-9"], stdin=text, binary=True, env=plain_env).stdout
        packed = served.run(["minigzipsh", "-9"], stdin=text, binary=True).stdout
        t.equal(packed, plain, "compressed bytes")
        t.equal(served.run(["minigzipsh", "-d"], stdin=packed, binary=True).stdout, text, "round trip")
        served.expect_native(LIBRARY, "/usr/bin/example", "/usr/bin/examplesh",
                             "/usr/bin/minigzipsh")
        t.equal(exports(t, served.path / LIBRARY.lstrip("/")),
                exports(t, zlib.plain / "libz.so.1.2.13"), "exported symbols")


harness.main()
