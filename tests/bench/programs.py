# SPDX-License-Identifier: Apache-2.0
"""The programs of bench/apps: where each comes from, how it is built and run, and what its result is.

build and prepare are shell scripts that run in a copy of the source. CC, CXX, FC, CFLAGS, CXXFLAGS, FFLAGS, LDFLAGS, AR,
RANLIB and JOBS say how; FILES is inputs/NAME beside this file. build installs into ROOT; prepare runs once and leaves
in INPUTS what runs need. run and train are commands, {root} being where the root folder is mounted or lies; they run
in a copy of INPUTS. train is short and works on something else than run: it is what the program is tuned with, and
trained with where counts of its blocks are taken.
"""

import dataclasses
import hashlib
import re

import harness


def digest(output):
    return hashlib.sha256(output).hexdigest()[:16]


def lines(pattern):
    """The numbers and words that PATTERN's groups match in all of what was printed, one after the other."""
    def matches(output):
        found = re.findall(pattern, output.decode(errors="replace"), re.MULTILINE)
        return " ".join(" ".join(match) if isinstance(match, tuple) else match for match in found)
    return matches


@dataclasses.dataclass(frozen=True)
class Program:
    """name; path inside; package of Debian or app of tests/apps; result: bytes printed -> what shall be the same.

    Numbers in the result may differ by TOLERANCE, relatively: builds round differently.
    """

    name: str
    path: str
    build: str
    run: str
    train: str
    result: callable
    package: str = ""
    tar_only: bool = False
    app: str = ""
    prepare: str = ""
    tolerance: float = 0

    def source(self):
        if self.app:
            return harness.SOURCE / "tests/apps" / self.app
        return harness.debian_source(self.package, self.tar_only)


LUA = Program(
    name="lua5.4",
    path="/usr/bin/lua",
    package="lua5.4",
    tar_only=True,
    # linux-noreadline, with flags of ours in place of -O2.
    build="""
        make -j"$JOBS" -C src all CC="$CC -std=gnu99" AR="$AR rcu" RANLIB="$RANLIB" \\
            CFLAGS="$CFLAGS -Wall -DLUA_COMPAT_5_3 -DLUA_USE_LINUX" LDFLAGS="$LDFLAGS" SYSLIBS="-Wl,-E -ldl"
        install -m 755 src/lua "$ROOT/usr/bin/lua"
    """,
    prepare='cp "$FILES"/* "$INPUTS"',
    run="{root}/usr/bin/lua work.lua 8 42",
    train="{root}/usr/bin/lua work.lua 2 7",
    result=lines(r"result (\d+)"))

SQLITE = Program(
    name="sqlite3",
    path="/usr/bin/speedtest1",
    package="sqlite3",
    build="""
        ./configure --disable-tcl --disable-readline --disable-shared CC="$CC" CFLAGS="$CFLAGS" LDFLAGS="$LDFLAGS"
        make sqlite3.c
        $CC $CFLAGS -I. -DSQLITE_THREADSAFE=0 -c sqlite3.c
        $CC $CFLAGS -I. -c test/speedtest1.c
        $CC $LDFLAGS speedtest1.o sqlite3.o -lm -o "$ROOT/usr/bin/speedtest1"
    """,
    run="{root}/usr/bin/speedtest1 --memdb --verify --size 60",
    train="sh -c '{root}/usr/bin/speedtest1 --memdb --verify --size 8 && {root}/usr/bin/speedtest1 --memdb --testset cte'",
    result=lines(r"Verification Hash: (.*)"))

ZSTD = Program(
    name="zstd",
    path="/usr/bin/zstd",
    package="libzstd",
    build="""
        make -j"$JOBS" -C programs zstd HAVE_ZLIB=0 HAVE_LZMA=0 HAVE_LZ4=0 HAVE_THREAD=0 \\
            CC="$CC" CFLAGS="$CFLAGS" LDFLAGS="$LDFLAGS" AR="$AR"
        install -m 755 programs/zstd "$ROOT/usr/bin/zstd"
    """,
    # Text, machine code and what both have become once compressed; to be trained with other text.
    prepare="""
        cat lib/*/*.[ch] "$ROOT/usr/bin/zstd" programs/*.[ch] >"$INPUTS/text"
        "$ROOT/usr/bin/zstd" -q -1 -c "$INPUTS/text" | cat "$INPUTS/text" - "$INPUTS/text" >"$INPUTS/measured"
        cat doc/*.md doc/*.html CHANGELOG tests/*.c contrib/*/*.[ch] >"$INPUTS/trained"
        rm "$INPUTS/text"
    """,
    run="sh -c '{root}/usr/bin/zstd -q -c -7 measured >z && {root}/usr/bin/zstd -q -c -3 measured && "
        "{root}/usr/bin/zstd -q -d -c z && cat z'",
    train="sh -c '{root}/usr/bin/zstd -q -c -7 trained >z && {root}/usr/bin/zstd -q -c -3 trained && "
          "{root}/usr/bin/zstd -q -d -c z'",
    result=digest)


def kernel(name, work, training, tolerance=0):
    """One of tests/apps/kernels, all of which are built by one Makefile."""
    return Program(
        name=name,
        path=f"/usr/bin/{name}",
        app="kernels",
        build=f"""
            make BUILD=out CC="$CC" CXX="$CXX" CFLAGS="$CFLAGS" CXXFLAGS="$CXXFLAGS" LDFLAGS="$LDFLAGS" out/{name}
            install -m 755 out/{name} "$ROOT/usr/bin/{name}"
        """,
        run=f"{{root}}/usr/bin/{name} {work}",
        train=f"{{root}}/usr/bin/{name} {training}",
        result=lines(r": (\S+), (verified)"),
        tolerance=tolerance)


PROGRAMS = [
    SQLITE,
    LUA,
    ZSTD,
    kernel("stencil", "64 2000", "48 1500", 1e-12),
    kernel("nbody", "2048 60", "1024 80", 1e-9),
    kernel("spmv", "32 1000", "24 800", 1e-12),
    kernel("fft", "14 800", "13 600", 1e-6),
    kernel("scan", "1024 100", "700 50"),
]
