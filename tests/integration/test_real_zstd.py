# SPDX-License-Identifier: Apache-2.0
"""zstd: command and library, with assembly, function targets and run-time dispatch inside."""

import harness

LIBRARY = "/usr/lib/x86_64-linux-gnu/libzstd.so.1"


# Standard input to standard output through the shared library: `filter -LEVEL` or `filter -d`.
FILTER = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

int main(int argc, char **argv)
{
        size_t size = 0, room = 1 << 26;
        char *in = malloc(room), *out = malloc(room);
        size = fread(in, 1, room, stdin);
        size_t done = argc == 2 && !strcmp(argv[1], "-d") ? ZSTD_decompress(out, room, in, size)
                                                          : ZSTD_compress(out, room, in, size, -atoi(argv[1]));
        if (ZSTD_isError(done)) {
                fprintf(stderr, "%s\n", ZSTD_getErrorName(done));
                return 1;
        }
        return fwrite(out, 1, done, stdout) != done;
}
"""


def test_zstd(t):
    zstd = harness.BuiltTwice(t, "libzstd")
    zstd.write("filter.c", FILTER)
    zstd.build([["make", "-j2", "-C", "lib", "libzstd"],
                ["make", "-j2", "-C", "programs", "zstd", "HAVE_ZLIB=0", "HAVE_LZMA=0", "HAVE_LZ4=0"],
                ["cc", "-O2", "-Ilib", "filter.c", "-Llib", "-lzstd", "-o", "filter"]])
    root = t.rootfs()
    root.add(LIBRARY, (zstd.captured / "lib/libzstd.so.1").resolve())
    root.add("/usr/bin/zstd", zstd.captured / "programs/zstd")
    root.add("/usr/bin/filter", zstd.captured / "filter")
    commands = {"zstd": [zstd.plain / "programs/zstd", "-q", "-c"], "filter": [zstd.plain / "filter"]}
    text = b"".join(sorted(path.read_bytes() for path in zstd.plain.glob("lib/compress/*.c")))
    plain_env = {"LD_LIBRARY_PATH": str(zstd.plain / "lib")}

    with harness.serve(t, root) as served:
        for name, plain_command in commands.items():
            inside = [name, *plain_command[1:]]
            for level in ("-1", "-7", "-19"):
                plain = t.run([*plain_command, level], stdin=text, binary=True, env=plain_env).stdout
                packed = served.run([*inside, level], stdin=text, binary=True).stdout
                t.equal(packed, plain, f"bytes that {name} {level} wrote")
                back = served.run([*inside, "-d"], stdin=packed, binary=True).stdout
                t.equal(back, text, f"round trip of {name} {level}")
        served.expect_native("/usr/bin/zstd", "/usr/bin/filter", LIBRARY)


harness.main()
