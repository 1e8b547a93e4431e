# SPDX-License-Identifier: Apache-2.0
"""Linker options: each is repeated, has no effect, or keeps the program native and says so."""

import capture
import harness

MAIN = {"main.c": '#include <stdio.h>\nint used(void){return 3;}\nint unused(void){return 4;}\n'
                  'int main(void){printf("%d\\n",used());return 0;}\n'}


def link_main(link_flags, flags="-O2"):
    return f"$CC {flags} -c main.c\n$CC main.o {link_flags} -o prog\n"


def stays_native(t, files, script, why, program="prog"):
    """The program runs, has no usable record, and both the record and the summary say WHY."""
    project = capture.Project(t, "native")
    capture.write(project.fat, files)
    project.summary = capture.build_captured(t, project.fat, script)
    t.equal(capture.portable(t, project.fat), [], "files with a usable record")
    t.contains(project.show(program), f"native-because {why}")
    t.contains(project.summary, why)
    return project


def test_wrapped_symbols(t):
    files = {
        "main.c": '#include <stdio.h>\n#include <stdlib.h>\nint main(void){puts(malloc(3)?"ok":"none");return 0;}\n',
        "wrap.c": '#include <stdio.h>\n#include <stddef.h>\nvoid *__real_malloc(size_t);\nvoid *__wrap_malloc(size_t n)'
                  '{printf("malloc %zu\\n",n);return __real_malloc(n);}\n',
    }
    capture.check(t, files, "$CC -O0 -fno-builtin -c main.c wrap.c\n$CC main.o wrap.o -Wl,--wrap=malloc -o prog")


def test_defined_symbols(t):
    files = {"main.c": '#include <stdio.h>\nextern char limit[];int twice(int);int other(int x){return 2*x;}\n'
                       'int main(void){printf("%ld %d\\n",(long)limit,twice(4));return 0;}\n'}
    capture.check(t, files, "$CC -O2 -fno-pie -c main.c\n"
                  "$CC -no-pie main.o -Wl,--defsym=limit=0x1234,--defsym,twice=other -o prog")


def test_entry_init_and_fini(t):
    files = {"lib.c": '#include <unistd.h>\nvoid begin(void){if(write(1,"b",1)<0)return;}\n'
                      'void end(void){if(write(1,"e",1)<0)return;}\nint f(void){return 1;}\n',
             "main.c": "int f(void);int main(void){return f()-1;}\n"}
    project = capture.check(t, files, """
$CC -O2 -fPIC -c lib.c
$CC -shared -Wl,-init,begin,-fini,end lib.o -o liblib.so
$CC -O2 -c main.c
$CC main.o -L. -llib -o prog
""", programs=("liblib.so", "prog"))
    t.equal(t.run([project.new / "prog"], env={"LD_LIBRARY_PATH": str(project.new)}).stdout, "be")


def test_z_options(t):
    project = capture.check(t, MAIN, link_main("-Wl,-z,now,-z,relro,-z,noexecstack,-z,stack-size=0x200000"))
    t.contains(project.read_elf(project.new, "prog", "-d"), "BIND_NOW")
    t.contains(project.read_elf(project.new, "prog", "-l"), "GNU_RELRO")
    project = capture.check(t, {"lib.c": "int f(void){return 1;}\n"},
                            "$CC -O2 -fPIC -c lib.c\n$CC -shared lib.o "
                            "-Wl,-z,nodelete,-z,initfirst,-z,origin,-z,nodlopen,-z,defs -o lib.so",
                            programs=("lib.so",), runs=(), name="lib")
    flags = project.read_elf(project.new, "lib.so", "-d")
    for flag in ("NODELETE", "INITFIRST", "ORIGIN", "NOOPEN"):
        t.contains(flags, flag)


def test_hash_styles(t):
    for style, wanted in (("gnu", {"GNU_HASH"}), ("sysv", {"HASH"}), ("both", {"GNU_HASH", "HASH"})):
        project = capture.check(t, MAIN, link_main(f"-Wl,--hash-style={style}"), name=style)
        for folder in (project.fat, project.new):
            tags = project.read_elf(folder, "prog", "-d")
            t.equal({tag for tag in ("GNU_HASH", "HASH") if f"({tag})" in tags}, wanted, style)


def test_hash_style_of_a_linker_that_was_not_told(t):
    project = capture.check(t, {"lib.c": "int f(void){return 1;}\n"}, "$CC -O2 -fPIC -c lib.c\n"
                            "$LD -shared lib.o -o lib.so", programs=("lib.so",), runs=())
    tags = [[tag for tag in ("GNU_HASH", "HASH") if f"({tag})" in
             project.read_elf(folder, "lib.so", "-d")] for folder in (project.fat, project.new)]
    t.equal(tags[1], tags[0])


def test_build_ids(t):
    for option, present in (("--build-id=sha1", True), ("--build-id=none", False),
                            ("--build-id=uuid", True), ("--build-id=0x0123", True)):
        project = capture.check(t, MAIN, link_main(f"-Wl,{option}"), name=option.replace("/", ""))
        t.equal(".note.gnu.build-id" in project.read_elf(project.new, "prog", "-S"), present, option)


def test_run_paths(t):
    for option, tag in (("--enable-new-dtags", "RUNPATH"), ("--disable-new-dtags", "RPATH")):
        project = capture.check(t, MAIN, link_main(f"'-Wl,-rpath,$ORIGIN/../lib,{option}' -Wl,-rpath,/opt/x"),
                                name=tag)
        t.contains(project.read_elf(project.new, "prog", "-d"), f"({tag})")
        t.contains(project.read_elf(project.new, "prog", "-d"), "[$ORIGIN/../lib:/opt/x]")


def test_exported_symbols_of_programs(t):
    project = capture.check(t, MAIN, link_main("-rdynamic"), name="rdynamic")
    t.contains(project.show("prog"), "export used")
    t.contains(project.read_elf(project.new, "prog", "--dyn-syms"), " unused")
    files = {**MAIN, "list": "{ unused; };\n"}
    project = capture.check(t, files, link_main("-Wl,--dynamic-list=list"), name="list")
    t.contains(project.read_elf(project.new, "prog", "--dyn-syms"), " unused")
    project = capture.check(t, MAIN, link_main("-Wl,--export-dynamic-symbol=us*"), name="symbol")
    t.contains(project.read_elf(project.new, "prog", "--dyn-syms"), " used")
    t.true(" unused" not in project.read_elf(project.new, "prog", "--dyn-syms"), "too much exported")


def test_symbols_that_a_library_of_a_library_has(t):
    """Programs take precedence over them, which GNU ld sees to although nobody names that library."""
    files = {"main.c": "#include <stdio.h>\nint answer(void);int ask(void);int answer(void){return 42;}\n"
                       'int main(void){printf("%d\\n",ask());return 0;}\n',
             "ask.c": "int between(void);int ask(void){return between();}\n",
             "deep.c": "int answer(void){return 1;}int between(void){return answer();}\n"}
    project = capture.check(t, files, "$CC -O2 -fPIC -shared deep.c -o libdeep.so -Wl,-soname,libdeep.so\n"
                            "$CC -O2 -fPIC -shared ask.c -L. -ldeep -o libask.so -Wl,-soname,libask.so -Wl,-rpath,'$ORIGIN'\n"
                            "$CC -O2 -c main.c\n$CC main.o -L. -lask -Wl,-rpath-link,. -Wl,-rpath,'$ORIGIN' -o prog\n",
                            programs=("libask.so", "libdeep.so", "prog"))
    t.contains(project.show("prog"), "export answer")
    t.contains(project.read_elf(project.new, "prog", "--dyn-syms"), " answer")


def test_dynamic_list_of_a_library(t):
    files = {"lib.c": "int a(void){return 1;}\nint b(void){return a()+1;}\n", "list": "{ a; };\n"}
    project = capture.check(t, files, "$CC -O2 -fPIC -c lib.c\n$CC -shared lib.o -Wl,--dynamic-list=list -o lib.so",
                            programs=("lib.so",), runs=())
    t.equal(project.lines("lib.so", "export"), ["a", "b"])


def test_excluded_libraries(t):
    files = {"inner.c": "int inner(void){return 5;}\n",
             "outer.c": "int inner(void);int outer(void){return inner();}\n"}
    project = capture.check(t, files, """
for f in inner outer; do $CC -O2 -fPIC -c $f.c; done
ar rcs libinner.a inner.o
$CC -shared outer.o -L. -linner -Wl,--exclude-libs,ALL -o lib.so
""", programs=("lib.so",), runs=())
    t.equal(project.lines("lib.so", "export"), ["outer"])
    t.true(" inner" not in project.read_elf(project.new, "lib.so", "--dyn-syms"), "inner is exported")


def test_sections_that_nobody_refers_to(t):
    flags = "-O2 -ffunction-sections -fdata-sections"
    project = capture.check(t, MAIN, link_main("-Wl,--gc-sections", flags))
    t.true(" unused" not in project.read_elf(project.new, "prog", "-s"), "unused is still there")


def test_sections_found_by_start_and_stop(t):
    """GNU ld keeps them under --gc-sections, ld.lld must be told to (facts on links, 11)."""
    files = {
        "reg.h": "struct entry { int n; };\n#define REGISTER(name, value) static const struct entry name "
                 "__attribute__((section(\"reg\"), used)) = {value}\n",
        "one.c": '#include "reg.h"\nREGISTER(one, 1);\nint one_is_linked;\n',
        "main.c": '#include <stdio.h>\n#include "reg.h"\nREGISTER(two, 2);\nextern int one_is_linked;\n'
                  "extern const struct entry __start_reg[], __stop_reg[];\nint main(void){int s=one_is_linked;"
                  'for(const struct entry*e=__start_reg;e<__stop_reg;e++)s+=e->n;printf("%d\\n",s);return 0;}\n',
    }
    capture.check(t, files, "for f in one main; do $CC -O2 -ffunction-sections -fdata-sections -c $f.c; done\n"
                  "$CC main.o one.o -Wl,--gc-sections -o prog")


def test_stripped_at_link_time(t):
    project = capture.check(t, MAIN, link_main("-s", "-O2 -g"))
    for folder in (project.fat, project.new):
        t.true(".symtab" not in project.read_elf(folder, "prog", "-S"), "there is a symbol table")


def test_stripped_afterwards(t):
    project = capture.check(t, MAIN, link_main("", "-O2 -g") + "strip prog")
    t.true(".symtab" not in project.read_elf(project.fat, "prog", "-S"), "there is a symbol table")


def test_unresolved_symbols_that_were_allowed(t):
    files = {"main.c": '#include <stdio.h>\nint nowhere(void);int main(int n,char**v){if(n>1)nowhere();puts("ok");return 0;}\n'}
    capture.check(t, files, "$CC -O2 -c main.c\n$CC main.o -Wl,--unresolved-symbols=ignore-all -o prog",
                  runs=())  # GNU ld's own result does not start either


def test_links_by_gcc_s_own_driver(t):
    """It finds ld on PATH, where ours is; its plug-in does nothing for objects without gcc's LTO."""
    project = capture.check(t, MAIN, "$CC -O2 -c main.c\n/usr/bin/gcc main.o -o prog")
    t.equal(project.lines("prog", "module"), ["main.o"])


def test_gcc_s_own_link_time_optimisation(t):
    files = {**MAIN, "more.c": "int more(void){return 2;}\n"}
    stays_native(t, files, "/usr/bin/gcc -O2 -flto -c more.c\n$CC -O2 -c main.c\n"
                 "/usr/bin/gcc -O2 -flto main.o more.o -o prog\n./prog", "gcc's -flto took part")
    # Fat objects of gcc's are ordinary ones for a link that does no LTO.
    project = capture.check(t, {**files, "main.c": MAIN["main.c"].replace("used()", "used()+more()").replace(
        "#include", "int more(void);\n#include", 1)}, "/usr/bin/gcc -O2 -flto -ffat-lto-objects -c more.c\n"
                            "$CC -O2 -c main.c\n$CC main.o more.o -o prog")
    t.contains(project.show("prog"), "native more.o")


def test_link_flags_for_optimisation_do_not_change_the_link(t):
    """-flto on a link line would make GNU ld claim the bitcode (facts on links, 6)."""
    files = {"a.c": "int other(void);\nint main(void){return other();}\n", "b.c": "int other(void){return 6;}\n"}
    project = capture.check(t, files, "$CC -O2 -c a.c b.c\n$CC a.o b.o -o prog", expect=6)
    capture.build_captured(t, project.fat, "gcc -O2 -flto -c a.c b.c\ngcc -O2 -flto -fuse-linker-plugin a.o b.o -o prog")
    code = t.run(["objdump", "-d", "--disassemble=main", project.fat / "prog"]).stdout
    t.contains(code, "<other>")


def test_the_line_s_own_map_and_trace(t):
    project = capture.check(t, MAIN, link_main("-Wl,-Map=prog.map"), name="file")
    t.contains((project.fat / "prog.map").read_text(), "LOAD main.o")
    project = capture.check(t, MAIN, link_main("-Wl,-M > printed"), name="stdout")
    t.contains((project.fat / "printed").read_text(), "LOAD main.o")
    project = capture.check(t, MAIN, link_main("-fuse-ld=lld -Wl,--trace > printed"), name="lld")
    t.contains((project.fat / "printed").read_text(), "main.o")


def test_response_files(t):
    capture.check(t, MAIN, "echo '-O2 -c \"main.c\"' > compile.rsp\n$CC @compile.rsp\n"
                  "echo 'main.o -o prog' > link.rsp\n$CC @link.rsp")


def test_very_long_command_lines(t):
    capture.check(t, MAIN, "$CC -O2 -c main.c\nfor i in $(seq 6000); do echo \"-L/nowhere/of/a/very/long/name/$i/$i/$i/$i/$i\"; done > l.rsp\n"
                  "echo main.o >> l.rsp\n$CC @l.rsp -o prog")


def test_a_direct_call_of_ld(t):
    files = {"start.c": "__attribute__((noreturn)) void _start(void){__asm__ volatile(\"syscall\"::\"a\"(60),\"D\"(7));__builtin_unreachable();}\n"}
    capture.check(t, files, "$CC -O2 -c start.c\n$LD -static start.o -o prog", expect=7)


def test_linker_scripts_stay_native(t):
    stays_native(t, MAIN, "ld --verbose | sed '1,/=====/d;/=====/,$d' > own.ld\n"
                 + link_main("-Wl,-T,own.ld"), "-T: linker scripts")
    stays_native(t, {**MAIN, "extra.ld": "PROVIDE ( answer = 42 );\n"},
                 link_main("extra.ld"), "extra.ld: linker scripts")
    stays_native(t, MAIN, link_main("-Wl,-Ttext-segment=0x600000 -no-pie", "-O2 -fno-pie"),
                 "-Ttext-segment=0x600000: linker scripts and fixed addresses")


def test_scripts_that_only_name_files_do_not(t):
    files = {**MAIN, "libhelp.so": "/* GNU ld script */\nINPUT ( help.o )\n", "help.c": "int help(void){return 1;}\n"}
    project = capture.check(t, files, "$CC -O2 -c main.c help.c\n$CC main.o -L. -lhelp -o prog")
    t.equal(project.lines("prog", "module"), ["main.o", "help.o"])


def test_a_linker_that_speaks_another_language(t):
    files = {**MAIN, "lib.c": "int lib(void){return 1;}\n",
             "main.c": "int lib(void);int main(void){return lib()-1;}\n"}
    for language in ("de_DE.UTF-8", "C"):
        capture.write(t.scratch / language, files)
        capture.build_captured(t, t.scratch / language, "$CC -c main.c lib.c\nar rcs lib.a lib.o\n$CC main.o lib.a -o prog",
                               {"LC_ALL": language, "LANGUAGE": "de"})
        t.equal(capture.portable(t, t.scratch / language), ["prog"])


def test_reasons_name_no_path(t):
    project = stays_native(t, MAIN, "ld --verbose | sed '1,/=====/d;/=====/,$d' > own.ld\n"
                           + link_main("-Wl,--script=$PWD/own.ld"), "--script: linker scripts")
    t.true(str(project.fat) not in project.show("prog"), project.show("prog"))


def test_symbols_of_another_file_stay_native(t):
    stays_native(t, MAIN, "$CC -O2 -no-pie -fno-pie -c main.c\n$CC -no-pie main.o -o base\n"
                 "$CC -no-pie main.o -Wl,--just-symbols=base -Wl,-z,muldefs -o prog; rm base",
                 "--just-symbols=base: linker scripts and fixed addresses")


def test_other_linkers_stay_native(t):
    harness.need_command("ld.gold")
    stays_native(t, MAIN, link_main("-fuse-ld=gold"), "linked by another linker")


def test_an_unknown_option_stays_native(t):
    # GNU ld takes it without a word; it is in no list of ours.
    stays_native(t, MAIN, link_main("-Wl,--dynamic-list-data"), "--dynamic-list-data: ld.lld has no")


def test_sanitizers_switch_capture_off(t):
    """Two fat objects with AddressSanitizer do not even link (facts on links, 8)."""
    files = {**MAIN, "more.c": "int more(void){return 2;}\n"}
    for kind in ("address", "undefined", "thread"):
        stays_native(t, files, f"$CC -O1 -fsanitize={kind} -c main.c more.c\n"
                     f"$CC -fsanitize={kind} main.o more.o -o prog\n./prog", "sanitizers")
        t.run(["rm", "-r", t.scratch / "native-fat"])


def test_programs_without_bitcode_say_so(t):
    stays_native(t, MAIN, "/usr/bin/gcc -O2 -c main.c\n$CC main.o -o prog", "no input carries bitcode")


def test_a_failing_link_fails_the_same(t):
    project = capture.Project(t, "p")
    capture.write(project.fat, {"main.c": "int nowhere(void);int main(void){return nowhere();}\n"})
    done = t.run([harness.binary("xaas"), "build", "--", "cc", "main.c", "-o", "prog"],
                 cwd=project.fat, expect=1)
    t.contains(done.stderr, "undefined reference to `nowhere'")
    t.true(not (project.fat / "prog").exists(), "there is an output")


def test_what_installs_do_to_a_fat_program(t):
    project = capture.Project(t, "p")
    capture.write(project.fat, MAIN)
    capture.build_captured(t, project.fat, link_main("-Wl,-rpath,/build/place/that/is/long", "-O2 -g"))
    for step in ("install -s prog there", "cp prog there2 && strip --strip-all there2",
                 "objcopy --strip-debug prog there3", "cp -p prog there4 && chmod 4755 there4"):
        t.run(["sh", "-ec", step], cwd=project.fat)
    for copy in ("there", "there2", "there3", "there4"):
        capture.relink(t, project.fat / copy, project.fat / "new")
        t.equal(t.run([project.fat / "new"]).stdout, "3\n", copy)


def test_llvm_strip_keeps_the_record(t):
    harness.need_command("llvm-strip-19")
    project = capture.check(t, MAIN, link_main("", "-O2 -g") + "llvm-strip-19 prog")
    t.true(".symtab" not in project.read_elf(project.fat, "prog", "-S"), "there is a symbol table")


def test_objects_whose_symbols_objcopy_changed_stay_native(t):
    """The bitcode would still define the old names: another program, without a word."""
    files = {"a.c": "int value(void){return 1;}\n", "b.c": "int value(void){return 2;}\n",
             "main.c": '#include <stdio.h>\nint first(void), value(void);\n'
                       'int main(void){printf("%d %d\\n",first(),value());return 0;}\n'}
    project = capture.check(t, files, """
$CC -O2 -c a.c b.c main.c
objcopy --redefine-sym value=first a.o
$CC main.o a.o b.o -o prog
""")
    t.equal(project.lines("prog", "module"), ["main.o", "b.o"])
    t.contains(project.summary, "a.o: objcopy changed the symbols")


if __name__ == "__main__":
    harness.main()
