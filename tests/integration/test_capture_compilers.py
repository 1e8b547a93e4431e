# SPDX-License-Identifier: Apache-2.0
"""xaas-cc as a compiler: every name, flag and mode behaves as clang's own, plus bitcode."""

import capture
import harness

HELLO = '#include <stdio.h>\nint main(void){puts("hello");return 0;}\n'


def captured(t, *command, cwd=None, expect=0, env=None):
    return t.run([harness.binary("xaas"), "build", "--", *command], cwd=cwd, expect=expect, env=env)


def carries_bitcode(t, path):
    return ".llvm.lto" in t.run(["readelf", "-WS", path]).stdout


def source(t, text=HELLO, name="main.c"):
    (t.scratch / name).write_text(text)


def test_every_name_compiles_with_bitcode(t):
    source(t)
    source(t, HELLO, "main.cc")
    for name in ("cc", "gcc", "clang", "c99", "x86_64-linux-gnu-gcc", "gcc-12", "clang-19", "xaas-cc"):
        captured(t, name, "-c", "main.c", "-o", f"{name}.o")
        t.true(carries_bitcode(t, t.scratch / f"{name}.o"), f"{name} makes no bitcode")
    for name in ("c++", "g++", "clang++", "x86_64-linux-gnu-g++", "xaas-c++"):
        captured(t, name, "main.cc", "-o", name)
        t.contains(t.run(["readelf", "-d", name]).stdout, "libstdc++")


def test_the_wrappers_work_without_xaas_build(t):
    source(t)
    t.run([harness.binary("xaas-cc"), "main.c", "-o", "prog"])
    t.equal(capture.portable(t, t.scratch), ["prog"])


def test_our_flags_come_last(t):
    """-flto or -fno-lto of the project would make other bitcode, or none (facts on links, 7)."""
    source(t)
    for flags in (["-flto"], ["-flto=auto"], ["-fno-lto"], ["-flto", "-fno-fat-lto-objects"],
                  ["-flto=thin", "-fwhole-program-vtables"], ["-ffat-lto-objects"]):
        for name in ("gcc", "clang"):
            captured(t, name, *flags, "-O2", "-c", "main.c")
            bitcode = t.scratch / "bitcode"
            t.run(["llvm-objcopy-19", f"--dump-section=.llvm.lto={bitcode}", "main.o"])
            seen = t.run(["llvm-bcanalyzer-19", bitcode]).stdout
            t.true("GLOBALVAL_SUMMARY_BLOCK" in seen and "FULL_LTO" not in seen,
                   f"{name} {flags}: no ThinLTO summary")
            captured(t, name, *flags, "-O2", "main.o", "-o", "prog")
            t.equal(t.run(["./prog"]).stdout, "hello\n")


GCC_ONLY = """-fno-gnu-unique -flto=4 -fuse-linker-plugin -flto-partition=one -fipa-pta -fvar-tracking
-mveclibabi=svml -mno-avx256-split-unaligned-load -ftree-parallelize-loops=2 -fprofile-use
-fprefetch-loop-arrays -funroll-all-loops -ffloat-store -fwhole-program -fmodulo-sched
-finline-limit=100 -Wno-maybe-uninitialized --param=max-inline-insns-single=100 -fno-tree-vrp
-fno-ipa-sra -fno-crossjumping -fgcse-after-reload -fivopts -fno-ivopts -fno-reorder-functions
-fno-tree-loop-distribute-patterns -mstringop-strategy=loop -maccumulate-outgoing-args
-fno-var-tracking-assignments -gno-variable-location-views -fstack-check -fira-loop-pressure
-fno-partial-inlining -mpreferred-stack-boundary=4 -Wlogical-op -Wduplicated-cond
-Werror=format-overflow -fopt-info -fanalyzer -fno-schedule-insns2 -frename-registers -fwrapv-pointer
-mprefer-avx128 -ftree-loop-im -fno-trampolines""".split()
ALSO_FINE = """-fno-plt -mcmodel=medium -pg -static-libgcc -fuse-ld=bfd -fcf-protection
-Wl,-Bsymbolic-functions -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fno-common -pipe -ftree-vectorize
-fvisibility=hidden -fno-math-errno -fno-strict-aliasing -fwrapv -funroll-loops -fprofile-use=nowhere""".split()


def test_flags_that_only_gcc_knows(t):
    source(t)
    for flag in GCC_ONLY + ALSO_FINE:
        captured(t, "gcc", "-Werror", "-O2", flag, "-c", "main.c")
        t.true(carries_bitcode(t, t.scratch / "main.o"), f"{flag} loses the bitcode")
    captured(t, "gcc", "-O2", "--param", "max-inline-insns-single=100", "main.c", "-o", "prog")


def test_flags_that_only_gcc_knows_are_clang_s_errors_for_clang(t):
    source(t)
    captured(t, "clang", "-fno-gnu-unique", "-c", "main.c", expect=1)


def test_debian_s_specs(t):
    source(t)
    captured(t, "gcc", "-specs=/usr/share/dpkg/no-pie-compile.specs", "-O2", "-c", "main.c")
    captured(t, "gcc", "-specs=/usr/share/dpkg/no-pie-link.specs", "main.o", "-o", "prog")
    t.contains(t.run(["readelf", "-h", "prog"]).stdout, "EXEC")


def test_one_command_from_several_sources(t):
    source(t, '#include <stdio.h>\nint twice(int);int main(void){printf("%d\\n",twice(VALUE));return 0;}\n')
    source(t, "int twice(int x){return 2*x;}\n", "twice.c")
    source(t, ".globl four\nfour: .long 4\n.section .note.GNU-stack,\"\"\n", "four.s")
    captured(t, "cc", "-O2", "-DVALUE=4", "-I", ".", "main.c", "twice.c", "four.s", "-lm", "-o", "prog")
    t.equal(t.run(["./prog"]).stdout, "8\n")
    shown = t.run([harness.binary("relink"), "--show", "prog"]).stdout
    t.contains(shown, "module main.c\nmodule twice.c\nnative four.s\n")
    t.equal([p.name for p in t.scratch.iterdir() if p.suffix == ".o"], [], "objects left behind")


def test_dependencies_of_one_command(t):
    source(t, '#include "h.h"\nint main(void){return 0;}\n')
    (t.scratch / "h.h").write_text("")
    for options in (["-MD"], ["-MMD", "-MF", "given.d"], ["-MMD", "-MT", "target"]):
        texts = []
        for compiler in (["clang-19"], [harness.binary("xaas"), "build", "--", "clang"]):
            for old in t.scratch.glob("*.d"):
                old.unlink()
            t.run([*compiler, *options, "main.c", "-o", "prog"])
            texts.append({p.name: p.read_text() for p in t.scratch.glob("*.d")})
        t.equal(texts[1], texts[0], f"dependency files of {options}")


def test_language_flags_and_standard_input(t):
    source(t, HELLO, "odd.name")
    captured(t, "cc", "-x", "c", "odd.name", "-x", "none", "-lm", "-o", "prog")
    t.equal(t.run(["./prog"]).stdout, "hello\n")
    t.run([harness.binary("xaas"), "build", "--", "sh", "-c",
           "echo 'int main(void){return 3;}' | cc -x c - -o three"])
    t.run(["./three"], expect=3)


def test_modes_without_an_object(t):
    source(t)
    for arguments in (["-E", "main.c"], ["-M", "main.c"], ["-fsyntax-only", "main.c"],
                      ["-S", "-O1", "main.c", "-o", "-"], ["--version"], ["-dumpversion"], ["-dumpmachine"],
                      ["-print-prog-name=as"], ["-print-search-dirs"], ["-print-multi-os-directory"],
                      ["-###", "main.c"], ["-v"], ["-c", "-emit-llvm", "main.c", "-o", "-"],
                      ["-dM", "-E", "-x", "c", "/dev/null"]):
        plain = t.run(["clang-19", *arguments], expect=None, binary=True)
        seen = t.run([harness.binary("xaas"), "build", "--", "clang", *arguments], expect=None, binary=True)
        t.equal((seen.returncode, seen.stdout.replace(b"clang", b"")), (plain.returncode, plain.stdout.replace(b"clang", b"")),
                " ".join(arguments))


def test_errors_and_warnings_are_clang_s(t):
    source(t, "int main(void) { return undeclared; }\n")
    plain = t.run(["clang-19", "-c", "main.c"], expect=1)
    seen = captured(t, "clang", "-c", "main.c", expect=1)
    t.contains(seen.stderr, plain.stderr)


def test_other_targets_are_left_alone(t):
    source(t, "int f(void){return 1;}\n", "f.c")
    captured(t, "cc", "-m32", "-c", "f.c")
    t.true(not carries_bitcode(t, t.scratch / "f.o"), "there is bitcode for 32-bit code")


def test_profiling_switches_capture_off(t):
    source(t)
    seen = captured(t, "cc", "--coverage", "-c", "main.c")
    t.true(not carries_bitcode(t, t.scratch / "main.o"), "there is bitcode")
    t.contains(seen.stderr, "profiling and coverage")


def test_wide_flags_pass_unchanged(t):
    source(t)
    captured(t, "cc", "-march=x86-64-v3", "-O2", "-c", "main.c")
    t.contains(t.run(["sh", "-c", "llvm-objcopy-19 --dump-section=.llvm.lto=m.bc main.o; llvm-dis-19 -o - m.bc"]).stdout,
               '"target-cpu"="x86-64-v3"')


def test_ccache_in_front(t):
    harness.need_command("ccache")
    source(t)
    environment = {"CCACHE_DIR": str(t.scratch / "ccache"), "CC": "ccache gcc"}
    for _ in range(2):
        t.run([harness.binary("xaas"), "build", "--", "sh", "-c", "$CC -O2 -c main.c && $CC main.o -o prog"],
              env=environment)
        t.true(carries_bitcode(t, t.scratch / "main.o"), "no bitcode out of the cache")
    hits = t.run(["ccache", "--print-stats"], env=environment).stdout
    t.true("direct_cache_hit\t1" in hits or "preprocessed_cache_hit\t1" in hits, hits)
    t.equal(capture.portable(t, t.scratch), ["prog"])


def test_plain_objects_of_ccache_are_not_mistaken(t):
    harness.need_command("ccache")
    source(t)
    environment = {"CCACHE_DIR": str(t.scratch / "ccache")}
    t.run(["ccache", "gcc", "-O2", "-c", "main.c"], env=environment)
    captured(t, "ccache", "gcc", "-O2", "-c", "main.c", env=environment)
    t.true(carries_bitcode(t, t.scratch / "main.o"), "the plain object came out of the cache")


def test_configure_probes_answer_as_clang_does(t):
    probes = {
        "header": "#include <sys/epoll.h>\nint main(void){return 0;}\n",
        "no_header": "#include <no/such/header.h>\nint main(void){return 0;}\n",
        "function": "char epoll_create();int main(void){return epoll_create();}\n",
        "no_function": "char no_such_function();int main(void){return no_such_function();}\n",
        "size": "int a[sizeof(long)==8?1:-1];int main(void){return 0;}\n",
        "no_size": "int a[sizeof(long)==4?1:-1];int main(void){return 0;}\n",
        "builtin": "int main(void){return __builtin_expect(0,0);}\n",
        "nested": "int main(void){int f(void){return 0;}return f();}\n",
        "visibility": "__attribute__((visibility(\"hidden\"))) int f(void){return 0;}int main(void){return f();}\n",
    }
    for name, text in probes.items():
        source(t, text, f"{name}.c")
        for flags in ([], ["-Werror"], ["-c"], ["-lm"], ["-lno_such_library"], ["-Wl,--as-needed"],
                      ["-Wl,--no-such-option"], ["-fno-such-flag"]):
            command = [*flags, f"{name}.c", "-o", "conftest"]
            plain = t.run(["clang-19", *command], expect=None).returncode
            seen = t.run([harness.binary("xaas"), "build", "--", "clang", *command], expect=None).returncode
            t.equal(seen, plain, f"{name} {flags}")


def test_outputs_that_are_no_files(t):
    source(t)
    captured(t, "cc", "main.c", "-o", "/dev/null")
    captured(t, "cc", "-c", "main.c", "-o", "/dev/null")
    t.true((t.scratch / "main.c").exists() and t.run(["test", "-c", "/dev/null"]).returncode == 0, "/dev/null")


def test_usage(t):
    t.contains(t.run([harness.binary("xaas"), "build"], expect=2).stderr, "usage: xaas build")
    t.contains(t.run([harness.binary("xaas"), "build", "--nonsense"], expect=2).stderr, "--nonsense")
    t.contains(t.run([harness.binary("xaas"), "build", "--", "no-such-command"], expect=127).stderr,
               "no-such-command")
    t.run([harness.binary("xaas"), "build", "--", "sh", "-c", "exit 5"], expect=5)


if __name__ == "__main__":
    harness.main()
