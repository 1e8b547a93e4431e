# SPDX-License-Identifier: Apache-2.0
"""The programs of bench/apps: where each comes from, how it is built and run, and what its result is.

build and prepare are shell scripts that run in a copy of the source. CC, CXX, FC, CFLAGS, CXXFLAGS, FFLAGS, LDFLAGS, AR,
RANLIB and JOBS say how; FILES is inputs/NAME beside this file. build installs into ROOT; prepare runs once and leaves
in INPUTS what runs need. run and train are commands, {root} being where the root folder is mounted or lies; they run
in a copy of INPUTS. Where a program is made of two packages, ALSO is the source of the other one, for reading only.
train is short and works on something else than run: it is what the program is tuned with, and
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
    also: str = ""
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

# HPL alone, out of hpcc, on the reference BLAS of Debian's lapack; one process, which MPICH does not need mpiexec for.
HPL = Program(
    name="hpl",
    path="/usr/bin/xhpl",
    package="hpcc",
    tar_only=True,
    also="lapack",
    build="""
        for routine in dgemm dtrsm dgemv dger dtrsv dscal daxpy dcopy idamax lsame xerbla; do
            $FC $FFLAGS -c "$ALSO/BLAS/SRC/$routine.f"
        done
        $CC $CFLAGS -w -DAdd_ -DF77_INTEGER=int -DStringSunStyle -DHPL_STDC_HEADERS -Ihpl/include -Iinclude \\
            -I"$MPICH" -c hpl/src/*/*.c hpl/testing/*/*.c src/HPL_slamch.c src/io.c src/noopt.c "$FILES/main.c"
        $FC $LDFLAGS *.o -lmpich -lm -o "$ROOT/usr/bin/xhpl"
    """,
    prepare="""
        for size in 2400 1000; do
            mkdir "$INPUTS/$size"
            sed -e "s/^1000  /$size  /" -e 's/^2 \\( *[PQ]s\\)/1 \\1/' _hpccinf.txt >"$INPUTS/$size/hpccinf.txt"
        done
    """,
    run="sh -c 'cd 2400 && rm -f hpccoutf.txt && {root}/usr/bin/xhpl && cat hpccoutf.txt'",
    train="sh -c 'cd 1000 && {root}/usr/bin/xhpl'",
    # What is left of the right side once the solution is put in is rounding alone, and may be any small number.
    result=lines(r"= +(\S+) \.{6} (\w+)$"),
    tolerance=1)

# A protein in water, with the parts of LAMMPS that its two inputs use: what files lie in src is what it has.
LAMMPS = Program(
    name="lammps",
    path="/usr/bin/lmp",
    package="lammps",
    build="""
        cd src
        make yes-molecule yes-kspace yes-rigid
        for style in fix compute pair region bond angle dihedral improper npair nstencil min reader pppm ewald msm; do
            ls ${style}_*.cpp
        done | grep -vxFf "$FILES/styles" | while read -r file; do
            rm "$file" "${file%cpp}h"
        done
        make -C STUBS CC="$CXX" CCFLAGS="$CXXFLAGS -I." ARCHIVE="$AR"
        make -j"$JOBS" serial CC="$CXX" CCFLAGS="$CXXFLAGS -std=c++11" LINK="$CXX" LINKFLAGS="$LDFLAGS" ARCHIVE="$AR"
        install -m 755 lmp_serial "$ROOT/usr/bin/lmp"
    """,
    prepare="""
        cp bench/data.rhodo examples/peptide/data.peptide "$INPUTS"
        sed 's/^run.*/run 10/; s/^thermo  .*/thermo 5/' bench/in.rhodo >"$INPUTS/in.rhodo"
        sed 's/^run.*/run 60/; s/^thermo\t.*/thermo 20/' examples/peptide/in.peptide >"$INPUTS/in.peptide"
    """,
    run="{root}/usr/bin/lmp -log none -in in.rhodo",
    train="{root}/usr/bin/lmp -log none -in in.peptide",
    result=lines(r"(?:TotEng|PotEng|E_long|Volume) += +(\S+)"),
    tolerance=1e-6)

# Radiation through a nebula, followed by chance: Fortran 90. Its seed is the clock's, which would have every run differ.
MOCASSIN = Program(
    name="mocassin",
    path="/usr/bin/mocassin",
    package="mocassin",
    build="""
        sed -i 's/seed = seed + msec/seed = seed/' source/photon_mod.f90
        make mocassin FC="$FC" LD="$FC" VERSION=bench LDFLAGS="$LDFLAGS -lmpichfort -lmpich" \\
            FFLAGS="$FFLAGS -cpp -module-dir source -I$MPICH -DPREFIX=\\\\\\".\\\\\\" -DVERSION=\\\\\\"bench\\\\\\""
        install -m 755 mocassin "$ROOT/usr/bin/mocassin"
    """,
    prepare="""
        for nebula in HII20 PN75; do
            mkdir -p "$INPUTS/$nebula/input" "$INPUTS/$nebula/output" "$INPUTS/$nebula/share/mocassin"
            cp benchmarks/gas/$nebula/* "$INPUTS/$nebula/input"
            sed -e '/^autoPackets/d' -e '/^ *$/d' -e 's/^nPhotons.*/nPhotons 20000/' \\
                -e 's/^maxIterateMC.*/maxIterateMC 1 100./' benchmarks/gas/$nebula/input.in >"$INPUTS/$nebula/input/input.in"
            cp -r data dustData "$INPUTS/$nebula/share/mocassin"
        done
    """,
    run="sh -c 'cd HII20 && {root}/usr/bin/mocassin'",
    train="sh -c 'cd PN75 && {root}/usr/bin/mocassin'",
    result=lines(r"(?:Lstar|Qphot =|\[e36 erg/s\]:|Balmer Jump: \[erg/s/A\]) +(.*\S)"),
    tolerance=0.05)


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
    HPL,
    LAMMPS,
    MOCASSIN,
    kernel("stencil", "64 800", "48 800", 1e-12),
    # No power of two: arrays that lie at equal places of their pages make each run take another time.
    kernel("nbody", "2000 20", "1000 60", 1e-9),
    kernel("spmv", "32 300", "24 600", 1e-12),
    kernel("fft", "14 400", "13 600", 1e-6),
    kernel("scan", "1024 40", "700 50"),
]
