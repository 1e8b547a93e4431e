# SPDX-License-Identifier: Apache-2.0
"""Every kind of file that a link makes: captured, made again, and the same."""

import capture
import harness

HELLO = {
    "main.c": '#include <stdio.h>\nint twice(int);\nint main(void){printf("%d\\n", twice(21));return 0;}\n',
    "twice.c": "int twice(int x){return 2 * x;}\n",
}
HELLO_CXX = {
    "main.cc": """
#include <iostream>
#include <stdexcept>
#include <thread>
int risky(int);
int main() {
    int got = 0;
    std::thread worker([&] { try { got = risky(3); } catch (const std::runtime_error &e) { got = 7; } });
    worker.join();
    std::cout << got << std::endl;
}
""",
    "risky.cc": '#include <stdexcept>\nint risky(int x){ if (x > 2) throw std::runtime_error("x"); return x; }\n',
}


def compile_all(*sources, flags="-O2"):
    return "".join(f"$CC {flags} -c {source}\n" for source in sources)


def test_position_independent_executable(t):
    project = capture.check(t, HELLO, compile_all("main.c", "twice.c") +
                            "$CC main.o twice.o -o prog")
    t.contains(project.show("prog"), "kind pie\n")
    t.equal(project.lines("prog", "module"), ["main.o", "twice.o"])


def test_position_dependent_executable(t):
    project = capture.check(t, HELLO, compile_all("main.c", "twice.c", flags="-O2 -fno-pie") +
                            "$CC -no-pie main.o twice.o -o prog")
    t.contains(project.show("prog"), "kind executable\n")
    t.contains(project.read_elf(project.new, "prog", "-h"), "EXEC")


def test_static_executable(t):
    project = capture.check(t, HELLO, compile_all("main.c", "twice.c") +
                            "$CC -static main.o twice.o -o prog")
    t.contains(project.show("prog"), "kind static\n")
    t.true("Dynamic section" not in project.read_elf(project.new, "prog", "-d"), "it is dynamic")


def test_static_pie(t):
    project = capture.check(t, HELLO_CXX, "for f in main risky; do $CXX -O2 -fPIE -c $f.cc; done\n"
                            "$CXX -static-pie main.o risky.o -o prog")
    t.contains(project.show("prog"), "kind static-pie\n")
    t.true("INTERP" not in project.read_elf(project.new, "prog", "-l"), "it has an interpreter")


def test_static_with_threads_and_exceptions(t):
    capture.check(t, HELLO_CXX, "for f in main risky; do $CXX -O2 -c $f.cc; done\n"
                  "$CXX -static main.o risky.o -o prog")


def test_static_keeps_what_another_host_may_call(t):
    """sin and cos in different files become sincos once they meet (facts on links, 5)."""
    files = {
        "main.c": '#include <stdio.h>\n#include <stdlib.h>\ndouble s(double);double c(double);\n'
                  'int main(int n,char**v){double x=n*0.5;printf("%.9f\\n", s(x)+c(x));return 0;}\n',
        "s.c": "#include <math.h>\ndouble s(double x){return sin(x);}\n",
        "c.c": "#include <math.h>\ndouble c(double x){return cos(x);}\n",
    }
    project = capture.check(t, files, compile_all("main.c", "s.c", "c.c", flags="-O2 -ffast-math") +
                            "$CC -static main.o s.o c.o -lm -o prog")
    t.true(any("sincos" in line for line in project.lines("prog", "lazy-native")),
           "no sincos among the lazy inputs")


def test_fused_multiply_add_needs_no_libm_on_another_host(t):
    """NEEDED comes from the record, not from what this host's code calls (facts on links, 5)."""
    files = {"main.c": '#include <math.h>\n#include <stdio.h>\nint main(int n,char**v)'
                       '{printf("%.3f\\n", fma(n,2.0,1.0));return 0;}\n'}
    project = capture.check(t, files, "$CC -O2 -c main.c\n$CC -Wl,--as-needed main.o -lm -o prog")
    capture.relink(t, project.fat / "prog", project.new / "fma", "+fma,+avx")
    needed = [line for line in project.read_elf(project.new, "fma", "-d").splitlines()
              if "NEEDED" in line]
    t.equal(len(needed), 2, "entries of NEEDED")
    t.true("libm" in needed[0] and "libc" in needed[1], f"order of NEEDED: {needed}")


LIBRARY = {
    "lib.c": """
#include <stdio.h>
int state = 3;
__attribute__((visibility("hidden"))) int secret(void) { return 5; }
int open_one(void) { return secret() + state; }
int open_two(void) { return 2; }
""",
    "main.c": '#include <stdio.h>\nextern int state;int open_one(void);int open_two(void);\n'
              'int main(void){state++;printf("%d %d\\n", open_one(), open_two());return 0;}\n',
}


def test_shared_library_with_soname(t):
    project = capture.check(t, LIBRARY, """
$CC -O2 -fPIC -c lib.c
$CC -shared -Wl,-soname,libone.so.1 lib.o -o libone.so.1
ln -s libone.so.1 libone.so
$CC -O2 -c main.c
$CC main.o -L. -lone -o prog
""", programs=("libone.so.1", "prog"))
    t.contains(project.read_elf(project.new, "libone.so.1", "-d"), "soname: [libone.so.1]")
    t.contains(project.read_elf(project.new, "prog", "-d"), "[libone.so.1]")
    t.equal(project.lines("libone.so.1", "export"), ["open_one", "open_two", "state"])


def test_shared_library_without_soname(t):
    project = capture.check(t, LIBRARY, """
$CC -O2 -fPIC -c lib.c
$CC -shared lib.o -o libone.so
$CC -O2 -c main.c
$CC main.o ./libone.so -o prog
$CC main.o -L. -lone -o prog2
""", programs=("libone.so", "prog", "prog2"), runs=("./prog", "./prog2"))
    t.contains(project.read_elf(project.new, "prog", "-d"), "[./libone.so]")
    t.contains(project.read_elf(project.new, "prog2", "-d"), "[libone.so]")


def test_version_script_and_symbol_versions(t):
    files = {**LIBRARY, "lib.map": "ONE_1 { global: open_one; state; local: *; };\n"
                                   "ONE_2 { global: open_two; } ONE_1;\n"}
    project = capture.check(t, files, """
$CC -O2 -fPIC -c lib.c
$CC -shared -Wl,-soname,libone.so.1 -Wl,--version-script=lib.map lib.o -o libone.so.1
ln -s libone.so.1 libone.so
$CC -O2 -c main.c
$CC main.o -L. -lone -o prog
""", programs=("libone.so.1", "prog"))
    t.equal(project.lines("libone.so.1", "export"),
            ["open_one@@ONE_1", "open_two@@ONE_2", "state@@ONE_1"])
    symbols = project.read_elf(project.new, "libone.so.1", "--dyn-syms")
    t.contains(symbols, "open_two@@ONE_2")
    t.contains(project.read_elf(project.new, "prog", "--dyn-syms"), "open_one@ONE_1")


def test_symver_in_assembly(t):
    files = {
        "lib.c": """
__asm__(".symver old_f,f@V1");
__asm__(".symver new_f,f@@V2");
int old_f(void) { return 1; }
int new_f(void) { return 2; }
""",
        "lib.map": "V1 { global: f; local: *; };\nV2 { global: f; } V1;\n",
        "main.c": '#include <stdio.h>\nint f(void);int main(void){printf("%d\\n",f());return 0;}\n',
    }
    project = capture.check(t, files, """
$CC -O2 -fPIC -c lib.c
$CC -shared -Wl,-soname,libv.so -Wl,--version-script,lib.map lib.o -o libv.so
$CC -O2 -c main.c
$CC main.o -L. -lv -o prog
""", programs=("libv.so", "prog"))
    t.equal(project.lines("libv.so", "export"), ["f@@V2", "f@V1"])
    t.contains(project.read_elf(project.new, "libv.so", "--dyn-syms"), "f@V1")


def test_symver_in_a_program(t):
    """A library linked statically brings its .symver; LLVM 19 cannot import from such a module."""
    files = {
        "lib.c": '__asm__(".symver loop_2,loop@@V2");\n__asm__(".symver loop_1,loop@V1");\n'
                 "int loop_2(int x) { return x + 1; }\nint loop_1(int x) { return x + 9; }\nint other(int x) { return x + 2; }\n",
        "main.c": "int loop_2(int), loop(int), other(int);\nint main(void) { return loop_2(1) * 10 + loop(2) + other(3); }\n",
    }
    capture.check(t, files, """
$CC -O2 -c lib.c main.c
ar rcs lib.a lib.o
$CC main.o lib.a -o prog
""", expect=28)
    project = capture.check(t, files, """
$CC -O2 -c lib.c main.c
$LD -r lib.o -o part.o
$CC main.o part.o -o prog
""", expect=28, name="part")
    t.contains(project.show("prog"), "interposable 1")


def test_a_version_script_may_name_what_is_not_there(t):
    """GNU ld links it, ld.lld must be told to (facts on links, 11)."""
    files = {**LIBRARY, "lib.map": "V { global: open_one; open_two; state; nowhere; local: *; };\n"}
    capture.check(t, files, """
$CC -O2 -fPIC -c lib.c
$CC -shared -Wl,--version-script=lib.map lib.o -o libone.so
$CC -O2 -c main.c
$CC main.o -L. -lone -o prog
""", programs=("libone.so", "prog"))


INTERPOSED = {
    "xe.c": "int xerbla(void) { return -1; }\n",
    "dg.c": "int xerbla(void);\nint dgemm(void) { return xerbla(); }\n",
    "main.c": '#include <stdio.h>\nint dgemm(void);\nint xerbla(void) { return 42; }\n'
              'int main(void){printf("%d\\n", dgemm());return 0;}\n',
}


def test_interposition_stays_possible(t):
    """LAPACK documents that programs may bring their own xerbla (facts on links, 3)."""
    project = capture.check(t, INTERPOSED, """
for f in xe dg; do $CC -O2 -fPIC -c $f.c; done
$CC -shared xe.o dg.o -o libla.so
$CC -O2 -c main.c
$CC main.o -L. -lla -o prog
""", programs=("libla.so", "prog"))
    t.contains(project.show("libla.so"), "interposable 1")
    t.equal(t.run([project.new / "prog"], env={"LD_LIBRARY_PATH": str(project.new)}).stdout, "42\n")


def test_interposition_by_preloading(t):
    files = {**INTERPOSED, "over.c": "int xerbla(void) { return 2000; }\n",
             "main.c": '#include <stdio.h>\nint dgemm(void);\n'
                       'int main(void){printf("%d\\n", dgemm());return 0;}\n'}
    capture.check(t, files, """
for f in xe dg over; do $CC -O2 -fPIC -c $f.c; done
$CC -shared xe.o dg.o -o libla.so
$CC -shared over.o -o over.so
$CC -O2 -c main.c
$CC main.o -L. -lla -o prog
""", programs=("libla.so", "over.so", "prog"),
                  runs=("LD_PRELOAD=./over.so ./prog", "./prog"))


def test_symbolic_binding_lets_modules_import(t):
    for option in ("-Bsymbolic", "-Bsymbolic-functions"):
        project = capture.check(t, INTERPOSED, f"""
for f in xe dg; do $CC -O2 -fPIC -c $f.c; done
$CC -shared -Wl,{option} xe.o dg.o -o libla.so
$CC -O2 -c main.c
$CC main.o -L. -lla -o prog
""", programs=("libla.so", "prog"), name=option)
        t.contains(project.show("libla.so"), "interposable 0")
        t.contains(project.show("libla.so"), f"option -{option}")


def test_dlopened_plugins(t):
    files = {
        "host.c": """
#include <dlfcn.h>
#include <stdio.h>
int offered(int x) { return x + 100; }
int main(void) {
    void *plugin = dlopen("./plugin.so", RTLD_NOW);
    if (!plugin) { puts(dlerror()); return 1; }
    int (*run)(void) = (int (*)(void))dlsym(plugin, "run");
    printf("%d\\n", run());
    return 0;
}
""",
        "plugin.c": "int offered(int);\nint run(void) { return offered(11); }\n",
    }
    project = capture.check(t, files, """
$CC -O2 -c host.c
$CC -rdynamic host.o -ldl -o prog
$CC -O2 -fPIC -c plugin.c
$CC -shared plugin.o -o plugin.so
""", programs=("plugin.so", "prog"))
    t.contains(project.show("prog"), "export offered")


def test_static_archives_members_as_taken(t):
    files = {**HELLO, "unused.c": "int unused(void){return undefined_elsewhere;}\n".replace(
        "undefined_elsewhere", "9"), "deep.c": "int deep(void){return 4;}\n",
             "twice.c": "int deep(void);\nint twice(int x){return deep() * x / 2;}\n"}
    project = capture.check(t, files, compile_all("main.c", "twice.c", "unused.c", "deep.c") + """
ar rcs libhelp.a unused.o twice.o deep.o
$CC main.o -L. -lhelp -o prog
""")
    t.equal(project.lines("prog", "module"), ["main.o", "libhelp.a(twice.o)", "libhelp.a(deep.o)"])


def test_archives_with_equal_member_names(t):
    files = {
        "main.c": '#include <stdio.h>\nint a(void);int b(void);int main(void){printf("%d %d\\n",a(),b());return 0;}\n',
        "1/part.c": "int a(void){return 1;}\n", "2/part.c": "int b(void){return 2;}\n",
        "3/part.c": "#error_is_not_compiled\nint never(void){return 3;}\n".replace("#error_is_not_compiled\n", ""),
    }
    project = capture.check(t, files, """
for d in 1 2 3; do $CC -O2 -c $d/part.c -o $d/part.o; done
$CC -O2 -c main.c
ar qcs lib.a 3/part.o 1/part.o 2/part.o
$CC main.o lib.a -o prog
""")
    t.equal(len(project.lines("prog", "module")), 3, "modules")


def test_thin_archives(t):
    project = capture.check(t, HELLO, compile_all("main.c", "twice.c") + """
mkdir sub; mv twice.o sub/
ar rcsT sub/libthin.a sub/twice.o
$CC main.o sub/libthin.a -o prog
""")
    t.equal(len(project.lines("prog", "module")), 2, "modules")


def test_whole_archives(t):
    files = {
        "main.c": '#include <stdio.h>\nextern int n;int main(void){printf("%d\\n",n);return 0;}\n',
        "n.c": "int n;\n",
        "plug.c": "extern int n;\n__attribute__((constructor)) static void add(void){n+=7;}\n",
    }
    capture.check(t, files, compile_all("main.c", "n.c", "plug.c") + """
ar rcs libplug.a plug.o
$CC main.o n.o -Wl,--whole-archive libplug.a -Wl,--no-whole-archive -o prog
""")


def test_the_same_links_by_ld_lld(t):
    files = {**HELLO, "1/twice.c": HELLO["twice.c"], "3/twice.c": "int never(void){return 3;}\n"}
    project = capture.check(t, files, compile_all("main.c") + """
for d in 1 3; do $CC -O2 -c $d/twice.c -o $d/twice.o; done
ar qcs lib.a 3/twice.o 1/twice.o
ar qcsT thin.a 3/twice.o 1/twice.o
$CC -fuse-ld=lld main.o lib.a -o prog
$CC -fuse-ld=lld main.o thin.a -o prog2
$CC -fuse-ld=lld -static main.o lib.a -o prog3
""", programs=("prog", "prog2", "prog3"), runs=("./prog", "./prog2", "./prog3"))
    for program in ("prog", "prog2", "prog3"):
        t.contains(project.show(program), "linker lld")
        t.equal(len(project.lines(program, "module")), 2, f"modules of {program}")


def test_partial_links_keep_their_modules(t):
    """`ld -r` concatenates bitcode into nonsense (facts on links, 10)."""
    files = {**HELLO, "more.c": "int more(void){return 1;}\n", "asm.S":
             ".globl from_asm\nfrom_asm: movl $5,%eax\n ret\n.section .note.GNU-stack,\"\"\n",
             "main.c": '#include <stdio.h>\nint twice(int);int more(void);int from_asm(void);\n'
                       'int main(void){printf("%d\\n",twice(more())+from_asm());return 0;}\n'}
    project = capture.check(t, files, compile_all("main.c", "twice.c", "more.c", "asm.S") + """
$LD -r twice.o more.o asm.o -o part.o
$CC -r -nostdlib part.o main.o -o all.o
$CC all.o -o prog
""")
    t.equal(project.lines("prog", "module"), ["twice.o", "more.o", "main.o"])
    t.contains(project.show("prog"), "native asm.o")


def test_partial_links_that_change_symbols_stay_native(t):
    project = capture.Project(t, "p")
    capture.write(project.fat, HELLO)
    summary = capture.build_captured(t, project.fat, compile_all("main.c", "twice.c") + """
$LD -r --defsym=other=twice twice.o -o part.o
$CC main.o part.o -o prog
./prog
""")
    t.contains(summary, "part.o")
    t.equal(project.lines("prog", "module"), ["main.o"])


def test_records_are_deterministic(t):
    folders = [t.scratch / "one", t.scratch / "another" / "place"]
    for folder in folders:
        capture.write(folder, HELLO)
        capture.build_captured(t, folder, compile_all("main.c", "twice.c") +
                               "$CC main.o twice.o -o prog")
    t.true((folders[0] / "prog").read_bytes() == (folders[1] / "prog").read_bytes(),
           "the same build in two places gives two programs")
    t.true(str(t.scratch).encode() not in (folders[0] / "prog").read_bytes(),
           "the program names its build folder")


if __name__ == "__main__":
    harness.main()
