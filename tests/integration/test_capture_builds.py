# SPDX-License-Identifier: Apache-2.0
"""Build systems as they are: make in parallel, autotools with libtool, cmake, meson."""

import capture
import harness

LIBRARY = {
    "lib/one.c": "int two(void);\nint one(void) { return two() - 1; }\n",
    "lib/two.c": "int two(void) { return 2; }\n",
    "src/main.c": '#include <stdio.h>\nint one(void), two(void);\n'
                  'int main(void) { printf("%d %d\\n", one(), two()); return 0; }\n',
}


def build(t, files, script, name="build"):
    folder = t.scratch / name
    capture.write(folder, files)
    summary = capture.build_captured(t, folder, script)
    return folder, summary


def works_again(t, folder, program, libraries=(), wanted="1 2\n", path=()):
    """PROGRAM and LIBRARIES, made again in a folder of their own, say WANTED."""
    again = t.scratch / "again"
    t.run(["rm", "-rf", again])
    again.mkdir()
    for part in libraries:
        capture.relink(t, folder / part, again / (folder / part).name)
    capture.relink(t, folder / program, again / "prog")
    seen = t.run([again / "prog"], env={"LD_LIBRARY_PATH": ":".join([str(again), *map(str, path)])})
    t.equal(seen.stdout, wanted)


def test_parallel_make(t):
    files = {f"f{i}.c": f"int f{i}(void) {{ return {i}; }}\n" for i in range(40)}
    files["main.c"] = ("".join(f"int f{i}(void);\n" for i in range(40)) + "#include <stdio.h>\n"
                       'int main(void) { printf("%d\\n", ' + "+".join(f"f{i}()" for i in range(40)) + "); return 0; }\n")
    files["Makefile"] = ("all: p1 p2 p3 p4\n%.o: %.c\n\t$(CC) -O1 -c -o $@ $<\n"
                         "p%: main.o " + " ".join(f"f{i}.o" for i in range(40)) + "\n\t$(CC) -o $@ $^\n")
    folder, summary = build(t, files, "make -j8 -s")
    t.contains(summary, "4 programs and libraries captured")
    for program in ("p1", "p2", "p3", "p4"):
        works_again(t, folder, program, wanted="780\n")


def test_summary(t):
    files = {**LIBRARY, "asm.s": ".globl four\nfour: ret\n.section .note.GNU-stack,\"\"\n"}
    _, summary = build(t, files, "cc -c asm.s\ncc src/main.c lib/one.c lib/two.c asm.o -o prog\n"
                       "cc src/main.c lib/one.c lib/two.c -Wl,-Ttext-segment=0x800000 -no-pie -o fixed")
    t.contains(summary, "1 program or library captured")
    t.contains(summary, "prog: 3 modules, 6 native inputs")
    t.contains(summary, "fixed: -Ttext-segment=0x800000: linker scripts and fixed addresses")


def test_autotools_and_libtool(t):
    for command in ("autoreconf", "libtoolize"):
        harness.need_command(command)
    files = {**LIBRARY,
             "configure.ac": "AC_INIT([one],[1])\nAM_INIT_AUTOMAKE([foreign subdir-objects])\nAC_PROG_CC\nAM_PROG_AR\n"
                             "LT_INIT\nAC_CHECK_FUNCS([epoll_create no_such_thing])\nAC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n",
             "Makefile.am": "lib_LTLIBRARIES = libone.la\nlibone_la_SOURCES = lib/one.c lib/two.c\n"
                            "libone_la_LDFLAGS = -version-info 3:0:1\nnoinst_LTLIBRARIES = libconv.la\n"
                            "libconv_la_SOURCES = lib/two.c\nbin_PROGRAMS = prog\nprog_SOURCES = src/main.c\nprog_LDADD = libone.la\n"}
    folder, summary = build(t, files, "autoreconf -i 2>/dev/null >&2\n./configure --prefix=$PWD/usr >log 2>&1\n"
                            "make -j4 >>log\nmake install >>log")
    t.contains((folder / "config.log").read_text(), "xaas-cc" if "xaas-cc" in summary else "/path/cc")
    works_again(t, folder, "usr/bin/prog", ["usr/lib/libone.so.2"])
    t.contains(summary, "libone.so.2.1.0")
    t.equal(t.run([folder / "usr/bin/prog"]).stdout, "1 2\n")


def test_cmake_with_its_editing_of_run_paths(t):
    harness.need_command("cmake")
    files = {**LIBRARY, "CMakeLists.txt": """
cmake_minimum_required(VERSION 3.18)
project(one C)
set(CMAKE_INSTALL_RPATH "$ORIGIN/../lib")
add_library(one SHARED lib/one.c lib/two.c)
set_target_properties(one PROPERTIES VERSION 1.2.3 SOVERSION 1)
add_executable(prog src/main.c)
target_link_libraries(prog one)
install(TARGETS one prog RUNTIME DESTINATION bin LIBRARY DESTINATION lib)
"""}
    for generator in ("Unix Makefiles", "Ninja"):
        folder, _ = build(t, files, f"cmake -S . -B b -G '{generator}' -DCMAKE_BUILD_TYPE=Release "
                          "-DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON > log\n"
                          "cmake --build b -j4 >> log\ncmake --install b --prefix usr >> log", generator[:4])
        t.contains(t.run(["readelf", "-d", folder / "usr/bin/prog"]).stdout, "[$ORIGIN/../lib]")
        t.equal(t.run([folder / "usr/bin/prog"]).stdout, "1 2\n")
        works_again(t, folder, "usr/bin/prog", ["usr/lib/libone.so.1"])


def test_meson(t):
    files = {**LIBRARY, "meson.build": """
project('one', 'c', default_options: ['b_lto=true', 'optimization=2'])
helper = static_library('helper', 'lib/two.c')
one = shared_library('one', 'lib/one.c', link_whole: helper, version: '1.0.0')
executable('prog', 'src/main.c', link_with: one, install: true)
"""}
    folder, summary = build(t, files, "meson setup b > log\nmeson compile -C b >> log")
    works_again(t, folder, "b/prog", ["b/libone.so.1.0.0"], path=[folder / "b"])
    t.contains(summary, "b/prog: 1 module")


def test_a_later_make_goes_on_where_the_first_ended(t):
    """What a configure step wrote down about compilers stays true in the next xaas build."""
    files = {**LIBRARY, "configure": 'echo "COMPILER = $CC" > config.mk\n',
             "Makefile": "include config.mk\nprog:\n\t$(COMPILER) src/main.c lib/one.c lib/two.c -o prog\n"}
    folder, _ = build(t, files, "sh configure")
    capture.build_captured(t, folder, "make -s")
    works_again(t, folder, "prog")


def test_compilers_named_by_path_are_replaced(t):
    folder = t.scratch / "p"
    capture.write(folder, LIBRARY)
    summary = capture.build_captured(t, folder, "$CC src/main.c lib/one.c lib/two.c -o prog",
                                     {"CC": "/usr/bin/gcc"})
    t.contains(summary, "CC=/usr/bin/gcc")
    works_again(t, folder, "prog")


def test_records_of_a_parallel_build_leave_nothing_behind(t):
    folder, _ = build(t, LIBRARY, "for i in 1 2 3 4 5 6; do $CC src/main.c lib/one.c lib/two.c -o p$i & done; wait")
    t.equal(sorted(p.name for p in folder.iterdir()), ["lib", "p1", "p2", "p3", "p4", "p5", "p6", "src"])


if __name__ == "__main__":
    harness.main()
