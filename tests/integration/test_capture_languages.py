# SPDX-License-Identifier: Apache-2.0
"""What C, C++ and their relatives can do must survive capture and being made again."""

import capture
import harness


def link(*sources, flags="-O2", output="prog", link_flags="", compiler="$CC"):
    compiles = "".join(f"{compiler} {flags} -c {name}\n" for name in sources)
    objects = " ".join(name.rsplit(".", 1)[0] + ".o" for name in sources)
    return f"{compiles}{compiler} {objects} {link_flags} -o {output}\n"


def test_exceptions_and_rtti_across_files_and_libraries(t):
    files = {
        "shape.hh": "struct Shape { virtual ~Shape(); virtual int area() const = 0; };\n"
                    "struct Bad { int code; };\nShape *make(int); int check(const Shape &);\n",
        "shape.cc": '#include "shape.hh"\nShape::~Shape() {}\n'
                    "namespace { struct Square : Shape { int a; Square(int x) : a(x) {} int area() const override { return a * a; } }; }\n"
                    "Shape *make(int a) { if (a < 0) throw Bad{a}; return new Square(a); }\n",
        "check.cc": '#include "shape.hh"\n#include <typeinfo>\nint check(const Shape &s) { '
                    'if (s.area() > 50) throw Bad{s.area()}; return typeid(s) != typeid(Shape); }\n',
        "main.cc": '#include "shape.hh"\n#include <iostream>\n#include <memory>\nint main() {\n'
                   ' for (int i : {-1, 3, 9}) try { std::unique_ptr<Shape> s(make(i)); '
                   'std::cout << check(*s) << " " << (dynamic_cast<Shape *>(s.get()) != nullptr) << "\\n"; }\n'
                   ' catch (const Bad &b) { std::cout << "bad " << b.code << "\\n"; }\n}\n',
    }
    capture.check(t, files, """
$CXX -O2 -fPIC -c shape.cc
$CXX -shared shape.o -o libshape.so
""" + "for f in check main; do $CXX -O2 -c $f.cc; done\n$CXX main.o check.o -L. -lshape -o prog",
                  programs=("libshape.so", "prog"))


def test_inline_statics_and_typeinfo_are_one_across_a_library(t):
    files = {
        "one.hh": "#include <typeinfo>\ninline int &counter() { static int n; return n; }\n"
                  "template <class T> struct Box { T v; virtual ~Box() {} };\n"
                  "const std::type_info &lib_type(); int lib_count();\n",
        "lib.cc": '#include "one.hh"\nconst std::type_info &lib_type() { return typeid(Box<long>); }\n'
                  "int lib_count() { return ++counter(); }\n",
        "main.cc": '#include "one.hh"\n#include <cstdio>\nint main() { counter() = 40; '
                   'std::printf("%d %d\\n", lib_count(), lib_type() == typeid(Box<long>)); return counter() - 41; }\n',
    }
    capture.check(t, files, """
$CXX -O2 -fPIC -c lib.cc
$CXX -shared lib.o -o libone.so
$CXX -O2 -c main.cc
$CXX main.o -L. -lone -o prog
""", programs=("libone.so", "prog"))


def test_a_library_that_calls_back_into_the_program(t):
    """Not exported by any option: the linker sees that a library wants it."""
    files = {"lib.c": "int callback(int);\nint run(int x) { return callback(x) + 1; }\n",
             "main.c": "int run(int);\nint callback(int x) { return 3 * x; }\nint main(void) { return run(4); }\n"}
    capture.check(t, files, "$CC -O2 -fPIC -c lib.c\n$CC -shared lib.o -o liblib.so\n"
                  + link("main.c", link_flags="-L. -llib"), programs=("liblib.so", "prog"), expect=13)


def test_variables_and_functions_of_a_library_have_one_address(t):
    """Copy relocations and canonical function addresses need nothing of a stub but its symbols."""
    files = {"lib.c": "int value[3] = {1, 2, 3};\nint *at = value;\nint fn(void) { return 4; }\nint (*fp)(void) = fn;\n",
             "main.c": "extern int value[3], *at;\nint fn(void);\nextern int (*fp)(void);\n"
                       "int main(void) { value[1] = 20; return at[1] + (at == value) + (fp == fn); }\n"}
    for flags, link_flags in (("-O2 -fno-pie", "-no-pie"), ("-O2 -fPIE", "-pie"), ("-O2 -fPIC", "-no-pie")):
        capture.check(t, files, "$CC -O2 -fPIC -c lib.c\n$CC -shared lib.o -o liblib.so\n"
                      + link("main.c", flags=flags, link_flags=f"{link_flags} -L. -llib"),
                      programs=("liblib.so", "prog"), expect=22, name=(flags + link_flags).replace(" ", ""))


def test_weak_symbols_and_comdats(t):
    files = {
        "main.c": '#include <stdio.h>\n__attribute__((weak)) int level(void) { return 1; }\n'
                  '__attribute__((weak)) int absent(void);\nint twin(void);\n'
                  'int main(void){printf("%d %d %d\\n", level(), absent ? 1 : 0, twin());return 0;}\n',
        "strong.c": "int level(void) { return 2; }\n",
        "w1.c": "__attribute__((weak)) int twin(void) { return 11; }\n",
        "w2.c": "__attribute__((weak)) int twin(void) { return 22; }\n",
    }
    capture.check(t, files, link("main.c", "strong.c", "w1.c", "w2.c"))


ORDER = {name + ".c": f"""
#include <stdio.h>
__attribute__((constructor)) static void start(void) {{ puts("start {name}"); }}
__attribute__((destructor)) static void stop(void) {{ puts("stop {name}"); }}
__attribute__((constructor(200))) static void early(void) {{ puts("early {name}"); }}
""" for name in "anbz"}
ORDER["main.c"] = "int main(void) { return 0; }\n"


def test_constructors_keep_their_order(t):
    capture.check(t, ORDER, link("a.c", "n.c", "b.c", "z.c", "main.c"))


def test_constructors_keep_their_order_among_native_inputs(t):
    """ld.lld puts what it compiles behind all native inputs (facts on links, 4)."""
    project = capture.check(t, ORDER, "for f in a b main; do $CC -O2 -c $f.c; done\n"
                            "for f in n z; do /usr/bin/clang-19 -O2 -c $f.c; done\n"
                            "$CC a.o n.o b.o z.o main.o -o prog")
    t.contains(project.show("prog"), "native n.o constructors\nmodule b.o\nnative z.o constructors\n")


def test_constructor_order_of_cxx_objects(t):
    files = {f"{name}.cc": f"""
#include <cstdio>
struct Say {{ const char *s; Say(const char *t) : s(t) {{ std::printf("+%s\\n", s); }} ~Say() {{ std::printf("-%s\\n", s); }} }};
static Say plain("{name}");
static Say first __attribute__((init_priority(300))) ("{name} first");
static thread_local Say local("{name} local");
void touch_{name}() {{ std::printf("%s\\n", local.s); }}
""" for name in ("a", "b", "c")}
    files["main.cc"] = ("void touch_a(); void touch_b(); void touch_c();\n"
                        "int main() { touch_b(); touch_a(); touch_c(); }\n")
    capture.check(t, files, "for f in a b c main; do $CXX -O2 -c $f.cc; done\n"
                  "/usr/bin/clang++-19 -O2 -c b.cc\n$CXX a.o b.o c.o main.o -o prog")


def test_openmp(t):
    files = {"main.c": """
#include <omp.h>
#include <stdio.h>
int main(void) {
    long sum = 0;
#pragma omp parallel for reduction(+ : sum) schedule(dynamic, 7)
    for (int i = 0; i < 100000; i++) sum += i % 7;
    int threads = 0;
#pragma omp parallel num_threads(3)
#pragma omp atomic
    threads++;
    printf("%ld %d\\n", sum, threads);
}
"""}
    project = capture.check(t, files, "$CC -O2 -fopenmp -c main.c\n$CC -fopenmp main.o -o prog\n")
    t.contains(project.summary, "libomp.so.5")


def test_objects_of_gcc_openmp_link_against_libomp(t):
    """An explicit -lgomp becomes libomp where clang's objects need it (facts on links, 9)."""
    body = """
int sum_{n}(void) {{
    int sum = 0;
#pragma omp parallel for reduction(+ : sum)
    for (int i = 0; i < 1000; i++) sum += i;
    return sum;
}}
"""
    files = {"c.c": body.format(n="c"), "g.c": body.format(n="g"),
             "main.c": '#include <stdio.h>\nint sum_c(void), sum_g(void);\n'
                       'int main(void){printf("%d %d\\n", sum_c(), sum_g());return 0;}\n'}
    project = capture.Project(t, "p")
    capture.write(project.fat, files)
    capture.build_captured(t, project.fat, "$CC -O2 -fopenmp -c c.c\n/usr/bin/gcc -O2 -fopenmp -c g.c\n"
                           "$CC -O2 -c main.c\n$CC main.o c.o g.o -lgomp -lpthread -o prog\n")
    capture.relink(t, project.fat / "prog", project.fat / "new")
    for program in ("prog", "new"):
        t.equal(t.run([project.fat / program]).stdout, "499500 499500\n", program)


TLS = {
    "lib.c": """
_Thread_local int shared_by_all = 5;
static _Thread_local int own_a = 1, own_b = 2;
int lib_next(void) { return ++shared_by_all; }
int lib_own(void) { own_a++; own_b += 2; return own_a * 100 + own_b; }
""",
    "fixed.c": "extern _Thread_local int in_program __attribute__((tls_model(\"initial-exec\")));\n"
               "int fixed(void) { return in_program += 10; }\n",
    "main.c": """
#include <pthread.h>
#include <stdio.h>
extern _Thread_local int shared_by_all;
_Thread_local int in_program = 1;
static _Thread_local int hidden = 9;
int lib_next(void), lib_own(void), fixed(void);
static void *body(void *a) {
    printf("%d %d %d %d %d\\n", lib_next(), shared_by_all, lib_own(), fixed(), hidden++);
    return a;
}
int main(void) {
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        pthread_create(&thread, 0, body, 0);
        pthread_join(thread, 0);
    }
    body(0); body(0);
}
""",
}


def test_thread_local_storage_in_all_models(t):
    project = capture.check(t, TLS, """
for f in lib fixed; do $CC -O2 -fPIC -c $f.c; done
$CC -shared lib.o -o liblib.so
$CC -shared fixed.o -o libfixed.so
$CC -O2 -c main.c
$CC -rdynamic main.o -L. -llib -lfixed -lpthread -o prog
""", programs=("libfixed.so", "liblib.so", "prog"))
    t.contains(project.read_elf(project.new, "libfixed.so", "-d"), "STATIC_TLS")


def test_initial_exec_in_a_dlopened_library(t):
    files = {
        "plugin.c": "static _Thread_local int n __attribute__((tls_model(\"initial-exec\"))) = 3;\n"
                    "int next(void) { return n++; }\n",
        "main.c": '#include <dlfcn.h>\n#include <stdio.h>\nint main(void){void *h=dlopen("./plugin.so",RTLD_NOW);'
                  'int (*next)(void)=(int(*)(void))dlsym(h,"next");next();printf("%d\\n",next());return 0;}\n',
    }
    project = capture.check(t, files, "$CC -O2 -fPIC -c plugin.c\n$CC -shared plugin.o -o plugin.so\n"
                            + link("main.c", link_flags="-ldl"), programs=("plugin.so", "prog"))
    t.contains(project.read_elf(project.new, "plugin.so", "-d"), "STATIC_TLS")


def test_indirect_functions(t):
    files = {
        "f.c": """
static int plain(void) { return 1; }
static int fast(void) { return 1; }
static int (*choose(void))(void) { __builtin_cpu_init(); return __builtin_cpu_supports("avx2") ? fast : plain; }
int f(void) __attribute__((ifunc("choose")));
""",
        "main.c": '#include <stdio.h>\nint f(void);int (*pointer)(void)=f;\n'
                  'int main(void){printf("%d %d %d\\n",f(),pointer(),pointer==f);return 0;}\n',
    }
    for flags, link_flags in (("-O2 -fPIE", "-pie"), ("-O2 -fno-pie", "-no-pie"), ("-O2", "-static")):
        capture.check(t, files, link("f.c", "main.c", flags=flags, link_flags=link_flags),
                      name=link_flags)


VECTOR = {
    "kernel.c": """
#include <immintrin.h>
__attribute__((target("avx2,fma"))) static double wide(const double *x, int n) {
    __m256d sum = _mm256_setzero_pd();
    for (int i = 0; i < n; i += 4) sum = _mm256_fmadd_pd(_mm256_loadu_pd(x + i), _mm256_set1_pd(2), sum);
    double out[4];
    _mm256_storeu_pd(out, sum);
    return out[0] + out[1] + out[2] + out[3];
}
static double narrow(const double *x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += 2 * x[i];
    return sum;
}
double kernel(const double *x, int n) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? wide(x, n) : narrow(x, n);
}
""",
    "clones.c": """
__attribute__((target_clones("default", "avx2", "arch=skylake-avx512"))) int dot(const int *a, const int *b, int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}
""",
    "main.c": """
#include <stdio.h>
double kernel(const double *, int);
int dot(const int *, const int *, int);
int main(void) {
    double x[64];
    int a[64];
    for (int i = 0; i < 64; i++) x[i] = a[i] = i;
    printf("%.1f %d\\n", kernel(x, 64), dot(a, a, 64));
    return 0;
}
""",
}


def test_target_attributes_and_clones(t):
    project = capture.check(t, VECTOR, link("kernel.c", "clones.c", "main.c"))
    t.true(any("cpuinfo" in line for line in project.lines("prog", "native") +
               project.lines("prog", "lazy-native")), "libgcc's cpuinfo is missing")


def test_target_clones_in_a_static_program(t):
    capture.check(t, VECTOR, link("kernel.c", "clones.c", "main.c", link_flags="-static"))


def test_a_file_compiled_with_wider_flags(t):
    files = {
        "wide.c": "void scale(double *x, int n) { for (int i = 0; i < n; i++) x[i] = x[i] * 1.5 + 2; }\n",
        "main.c": '#include <stdio.h>\nvoid scale(double *, int);\nint main(void){double x[9];for(int i=0;i<9;i++)x[i]=i;'
                  'if (__builtin_cpu_supports("avx2")) scale(x, 9);else for(int i=0;i<9;i++)x[i]=x[i]*1.5+2;'
                  'for(int i=0;i<9;i++)printf("%g ",x[i]);puts("");return 0;}\n',
    }
    capture.check(t, files, "$CC -O3 -mavx2 -c wide.c\n$CC -O2 -c main.c\n$CC wide.o main.o -o prog")


def test_inline_assembly(t):
    files = {
        "main.c": """
#include <stdio.h>
int hidden_global = 4;
static int quiet __attribute__((used)) = 6;
__asm__(".text\\n.globl add_both\\nadd_both:\\n movl hidden_global(%rip), %eax\\n addl quiet(%rip), %eax\\n ret\\n");
int add_both(void);
int main(void) {
    int x = 5, y;
    __asm__ volatile("leal 3(%1,%1), %0" : "=r"(y) : "r"(x));
    printf("%d %d\\n", y, add_both());
    return 0;
}
""",
    }
    capture.check(t, files, link("main.c"))


def test_common_symbols(t):
    files = {
        "a.c": "int table[4];\nint big;\n", "b.c": "int table[400];\nlong long big;\n",
        "main.c": '#include <stdio.h>\nextern int table[400];\nint main(void){table[399]=8;printf("%d\\n",table[399]);return 0;}\n',
    }
    capture.check(t, files, link("a.c", "b.c", "main.c", flags="-O2 -fcommon"))


def test_debug_information(t):
    files = {"main.c": '#include <stdio.h>\nint main(void){puts("x");return 0;}\n'}
    project = capture.check(t, files, link("main.c", flags="-g -O2"))
    t.contains(project.read_elf(project.fat, "prog", "-S"), ".debug_info")


def test_assembly_stays_native(t):
    files = {
        "add.S": "#define RESULT %eax\n.globl add\n.type add,@function\nadd: leal (%rdi,%rsi), RESULT\n"
                 " call secret\n ret\n.section .note.GNU-stack,\"\",@progbits\n",
        "raw.s": ".globl raw\nraw: movl $3,%eax\n ret\n.section .note.GNU-stack,\"\",@progbits\n",
        "main.c": '#include <stdio.h>\nint add(int,int);int raw(void);int calls;\n'
                  '__attribute__((visibility("hidden"))) void secret(void){calls++;}\n'
                  'int main(void){int s=add(1,2);printf("%d %d\\n",calls,raw());return s<0;}\n',
    }
    # add keeps its result in eax over a call that does not touch it in either build.
    files["add.S"] = files["add.S"].replace(" call secret\n", " pushq %rax\n call secret\n popq %rax\n")
    project = capture.check(t, files, link("add.S", "raw.s", "main.c"))
    natives = project.lines("prog", "native")
    t.true("add.o" in natives and "raw.o" in natives, f"native inputs: {natives}")


def test_what_only_gcc_compiles_stays_native(t):
    files = {
        "nested.c": "int apply(int (*f)(int), int x){return f(x);}\n"
                    "int nested(int y){int add(int x){return x+y;}return add(2)*apply(add,1);}\n",
        "main.c": '#include <stdio.h>\nint nested(int);int main(void){printf("%d\\n",nested(5));return 0;}\n',
    }
    project = capture.check(t, files, "/usr/bin/gcc -O2 -c nested.c\n$CC -O2 -c main.c\n"
                            "$CC nested.o main.o -o prog")
    t.contains(project.show("prog"), "native nested.o")
    stack = [line for line in project.read_elf(project.new, "prog", "-l").splitlines()
             if "GNU_STACK" in line]
    t.true("RWE" in stack[0], f"the stack must stay executable: {stack}")


def test_fortran_objects(t):
    harness.need_command("gfortran")
    files = {
        "sub.f90": "subroutine fill(x, n)\n integer :: n, i\n real(8) :: x(n)\n do i = 1, n\n x(i) = i * 0.5d0\n end do\nend subroutine\n",
        "main.c": '#include <stdio.h>\nvoid fill_(double *, int *);\nint main(void){double x[4];int n=4;fill_(x,&n);'
                  'printf("%g %g\\n",x[0],x[3]);return 0;}\n',
        "prog.f90": "program p\n integer :: twice\n external twice\n print *, twice(21)\nend program\n",
        "twice.c": "int twice_(int *x){return 2 * *x;}\n",
    }
    project = capture.check(t, files, """
gfortran -O2 -c sub.f90
$CC -O2 -c main.c twice.c
$CC main.o sub.o -lgfortran -o prog
gfortran -O2 -c prog.f90
gfortran prog.o twice.o -o prog2
""", programs=("prog", "prog2"), runs=("./prog", "./prog2"))
    t.contains(project.show("prog"), "native sub.o")
    t.equal(project.lines("prog2", "module"), ["twice.o"])


def test_fortran_by_flang(t):
    harness.need_command("flang-new-19")
    project = capture.Project(t, "p")
    capture.write(project.fat, {
        "kind.f90": "module kinds\n integer, parameter :: wide = 8\nend module\n",
        "work.f90": "subroutine work(x, n)\n use kinds\n integer :: n, i\n real(wide) :: x(n)\n"
                    " do i = 1, n\n x(i) = x(i) * 2 + i\n end do\nend subroutine\n",
        "main.f90": "program p\n use kinds\n real(wide) :: x(5)\n x = 1\n call work(x, 5)\n"
                    " print '(5f6.1)', x\nend program\n"})
    summary = capture.build_captured(t, project.fat, "mkdir modules\nxaas-fc -O3 -module-dir modules -c kind.f90 work.f90\n"
                                     "xaas-fc -O3 -J modules -c main.f90 -o m.o\nxaas-fc m.o work.o kind.o -o prog\n"
                                     "xaas-fc -O2 kind.f90 work.f90 main.f90 -o all")
    t.true("work in progress" not in summary, summary)
    for program, modules in (("prog", ["m.o", "work.o", "kind.o"]), ("all", ["kind.f90", "work.f90", "main.f90"])):
        t.equal(sorted(name for name in project.lines(program, "module") if "(" not in name), sorted(modules))
        capture.relink(t, project.fat / program, project.fat / "new")
        t.equal(t.run([project.fat / "new"]).stdout, "   3.0   4.0   5.0   6.0   7.0\n", program)


def test_xaas_fc_says_what_it_misses(t):
    done = t.run([harness.binary("xaas-fc"), "-c", "x.f90"], env={"XAASFS_FLANG": "no-such-flang"}, expect=127)
    t.contains(done.stderr, "install flang-19")


SHAPED = {
    "lib.c": """
#include <math.h>
#include <stdio.h>
static double table[5000] = {1, 2, 3};
double big[400000];
__attribute__((noinline)) double mean(const double *x, int n) {
    double buffer[64], s = 0;
    for (int i = 0; i < n; i++) buffer[i % 64] = x[i] + table[i % 3];
    for (int i = 0; i < n && i < 64; i++) s += buffer[i];
    return sqrt(s / n);
}
""",
    "main.c": """
#include <stdio.h>
#include <string.h>
double mean(const double *, int);
extern double big[400000];
int main(int n, char **v) {
    char text[32];
    double x[10];
    for (int i = 0; i < 10; i++) x[i] = big[i * 1000] + i;
    snprintf(text, sizeof(text), "%.6f", mean(x, 10));
    printf("%s %zu\\n", text, strlen(text));
    return 0;
}
""",
}


def test_flags_that_shape_code(t):
    for flags, link_flags in (
            ("-mcmodel=large", ""), ("-mcmodel=medium -fno-pie", "-no-pie"), ("-fno-plt", ""),
            ("-fcf-protection=full", ""), ("-fstack-protector-all -D_FORTIFY_SOURCE=2", ""),
            ("-ffast-math", "-ffast-math"), ("-pg", "-pg"), ("-fno-omit-frame-pointer", ""),
            ("-fstack-clash-protection", ""), ("-ftrivial-auto-var-init=pattern", ""),
            ("-fno-pie", "-no-pie"), ("-fPIC -fvisibility=hidden", "-Wl,-z,nocopyreloc"),
            ("-ftls-model=local-exec -mno-red-zone -fwrapv", ""), ("-O0", ""), ("-Os", ""), ("-Oz -g3", "")):
        name = "p" + flags.replace(" ", "").replace("=", "")
        capture.check(t, SHAPED, link("lib.c", "main.c", flags="-O2 " + flags,
                                      link_flags=f"{link_flags} -lm"), name=name)


def test_precompiled_headers(t):
    files = {"all.h": "#include <stdio.h>\n#define ANSWER 42\n",
             "main.c": '#include "all.h"\nint main(void){printf("%d\\n",ANSWER);return 0;}\n'}
    capture.check(t, files, "$CC -O2 -x c-header all.h -o all.h.gch\n"
                  "$CC -O2 -include all.h -c main.c\n$CC main.o -o prog")


if __name__ == "__main__":
    harness.main()
