# SPDX-License-Identifier: Apache-2.0
"""Bitcode in its normal form and back on a host: what must not matter does not, and what would be
wrong code without a word is right."""

import difflib

import harness
from harness.bitcode import (HAS_EXTRAS, IS_CAPTURED_ONLY, NOT_OPTIMISED, code_of,
                             compile_module, disassemble, features_of, link, normalise, retarget,
                             talk, uses_avx, uses_evex)

INTERPRETER = """
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
enum op { PUSH, ADD, MUL, ROOT, JUMP_IF, PRINT, STOP };
struct code { enum op op; double value; int target; };
struct machine { double *stack; size_t top, size; jmp_dummy *next; };
static void push(struct machine *m, double value)
{
    if (m->top == m->size) {
        m->size = m->size ? m->size * 2 : 16;
        m->stack = realloc(m->stack, m->size * sizeof(*m->stack));
    }
    m->stack[m->top++] = value;
}
double run(struct machine *m, const struct code *code)
{
    for (int pc = 0;; pc++) {
        double *top = m->stack + m->top;
        switch (code[pc].op) {
        case PUSH: push(m, code[pc].value); break;
        case ADD: top[-2] += top[-1]; m->top--; break;
        case MUL: top[-2] = top[-2] * top[-1] + 1; m->top--; break;
        case ROOT: top[-1] = sqrt(top[-1]); break;
        case JUMP_IF: if (top[-1] < code[pc].value) pc = code[pc].target; break;
        case PRINT: printf("%g\\n", top[-1]); break;
        case STOP: return m->top ? top[-1] : 0;
        }
    }
}
double dot(const double *a, const double *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}
unsigned hash(const char *text)
{
    unsigned h = (unsigned)strlen(text);
    for (; *text; text++)
        h ^= (h << 5) + (h >> 2) + (unsigned char)*text;
    return h;
}
""".replace("jmp_dummy *next", "int *next")

AXPY = "void %s(double *a, const double *b, int n) { for (int i = 0; i < n; i++) a[i] += 3 * b[i]; }\n"

# AVX-512 machines use mask registers for this one.
SOME = ("void %s(float *a, const float *b, int n)"
        " { for (int i = 0; i < n; i++) if (b[i] > 0) a[i] += 3 * b[i]; }\n")


# ---- what must not matter ----

def test_cpu_flags_and_folders_give_equal_bytes(t):
    plain = normalise(t, compile_module(t, INTERPRETER))
    t.equal((plain.error, plain.flags), (0, 0), "error and flags")
    for number, flags in enumerate((["-march=x86-64-v2"], ["-march=x86-64-v3"], ["-march=haswell"],
                                    ["-march=skylake-avx512", "-mtune=znver3"], ["-march=znver4"],
                                    ["-march=native"], ["-mtune=alderlake"])):
        module = compile_module(t, INTERPRETER, *flags, folder=f"build{number}/deep")
        other = normalise(t, module)
        t.equal(other.extras, set(), f"extras with {flags}")
        t.equal(other.required, set(), f"required with {flags}")
        if other.data != plain.data:
            raise harness.TestFailure(f"{flags} give other bytes:\n" + difference(
                disassemble(t, plain.data), disassemble(t, other.data)))


def difference(one, other):
    return "\n".join(list(difflib.unified_diff(one.splitlines(), other.splitlines(), n=0))[:20])


def test_fat_objects_hold_the_same(t):
    plain = normalise(t, compile_module(t, INTERPRETER))
    (t.scratch / "fat.o").write_bytes(compile_module(t, INTERPRETER, "-ffat-lto-objects"))
    t.run([harness.need_command("llvm-objcopy-19"), "--dump-section",
           f".llvm.lto={t.scratch}/section", t.scratch / "fat.o"])
    t.true(normalise(t, (t.scratch / "section").read_bytes()).data == plain.data, "other bytes")


def test_normal_form_is_a_fixed_point(t):
    source = '__attribute__((target("avx2"))) ' + AXPY % "wide" + AXPY % "plain"
    once = normalise(t, compile_module(t, source, "-march=x86-64-v2"))
    twice = normalise(t, once.data)
    t.true(once.data == twice.data, "normalising again changes something")
    t.equal(twice.extras, once.extras)


def test_debug_information_goes_or_stays(t):
    module = compile_module(t, INTERPRETER, "-g")
    t.true("DICompileUnit" not in disassemble(t, normalise(t, module).data), "it is still there")
    t.contains(disassemble(t, normalise(t, module, "--keep-debug").data), "DICompileUnit")


def test_module_flags_and_summary_survive(t):
    for flags in (["-fPIC"], ["-fno-pic"], ["-fsplit-lto-unit"], ["-funified-lto"],
                  ["-fcf-protection=full"], ["-fno-omit-frame-pointer"], ["-fsemantic-interposition", "-fPIC"]):
        module = compile_module(t, INTERPRETER, *flags)
        after = normalise(t, module)
        t.equal(module_flags(t, after.data), module_flags(t, module), f"module flags with {flags}")
        text = disassemble(t, after.data)
        t.contains(text, "^0 = module:")
        t.true("hash: (0, 0, 0, 0, 0)" not in text, "no module hash")


def module_flags(t, module):
    return sorted(line.split("= ", 1)[1] for line in disassemble(t, module).splitlines()
                  if line.startswith("!") and ' = !{i32 ' in line)


# ---- what is refused ----

def test_what_is_not_thin_is_refused(t):
    for lto, word in (("-flto", "full LTO"), ("-emit-llvm", "-flto=thin")):
        answer = normalise(t, compile_module(t, INTERPRETER, lto=lto))
        t.equal(answer.error, 74, f"error for {lto}")
        t.contains(answer.reason, word)
        t.equal(answer.data, b"", "module")


def test_other_machines_are_refused(t):
    (t.scratch / "arm.ll").write_text('target triple = "aarch64-unknown-linux-gnu"\n')
    t.run([harness.need_command("llvm-as-19"), t.scratch / "arm.ll", "-o", t.scratch / "arm.bc"])
    answer = normalise(t, (t.scratch / "arm.bc").read_bytes())
    t.equal(answer.error, 74)
    t.contains(answer.reason, "aarch64")


def test_assembly_cannot_take_in_files(t):
    plain = 'int f(void) { return 1; }\n__asm__(".data\\n.incbin \\"/etc/passwd\\"\\n");\n'
    answer = normalise(t, compile_module(t, plain))
    t.equal(answer.error, 74)
    t.contains(answer.reason, ".incbin")
    # Hidden from a search for the word; LLVM's assembler reads it all the same, in the box.
    hidden = ('int f(void) { return 1; }\n'
              '__asm__(".macro take what\\n.inc\\\\what \\"/etc/passwd\\"\\n.endm\\n.data\\ntake bin\\n");\n')
    module = compile_module(t, hidden)
    line = open("/etc/passwd", "rb").readline().strip()
    status, messages, answers = talk(["normalise"], [module])
    t.true(line.decode() not in messages, "the box let the file out through a message")
    t.true(all(line not in answer.data for answer in answers), "the box let the file out")
    t.equal(status, 0)


def test_libraries_are_not_asked_for_by_path(t):
    source = 'int f(void) { return 1; }\n#pragma comment(lib, "%s")\n'
    answer = normalise(t, compile_module(t, source % "/etc/passwd"))
    t.equal(answer.error, 74)
    t.contains(answer.reason, "by its path")
    t.equal(normalise(t, compile_module(t, source % "m")).error, 0, "error for a plain name")


def test_nonsense_is_refused(t):
    for module in (b"", b"BC\xc0\xde", b"\x7fELF" + bytes(60), b"x" * 1000):
        status, _, answers = talk(["normalise"], [module])
        t.equal(status, 0)
        t.equal(answers[0].error, 74)
        t.true(answers[0].reason, "no reason")
    t.equal(talk(["normalise", "--surprise"], [])[0], 64, "status for an unknown option")
    t.equal(talk(["retarget", "--tune=x"], [])[0], 64, "status for a missing option")
    t.equal(talk(["normalise"], [])[0], 0, "status for no question")


# ---- what functions ask for themselves ----

def test_extras_and_required(t):
    pause = '#include <immintrin.h>\nvoid f(void) { _mm_pause(); __asm__ volatile("" ::: "memory"); }\n'
    symver = '__asm__(".symver f1, f@V1");\nint f1(void) { return 1; }\n'
    shuffle = ("#include <immintrin.h>\nvoid f(char *p) { __m256i v = _mm256_loadu_si256((void *)p);"
               " _mm256_storeu_si256((void *)p, _mm256_shuffle_epi8(v, v)); }\n")
    asm = 'long f(long x) { __asm__("andn %0, %0, %0" : "+r"(x)); return x; }\n'
    own = '__attribute__((target("fma"))) double f(double x) { return x * x + x; }\n' + AXPY % "g"
    v3 = ["-march=x86-64-v3"]
    cases = ((pause, v3, set(), set()), (symver, v3, set(), set()),
             (shuffle, v3, {"+avx2", "+fma"}, set()), (asm, v3, {"+bmi", "+avx2"}, set()),
             ('__asm__("vzeroupper_user: vzeroupper\\nret\\n");\n' + own, v3, {"+avx2"}, set()),
             (own, ["-march=x86-64-v2"], set(), {"+fma", "+avx"}), (own, v3, set(), set()),
             (AXPY % "f", ["-mavx512f"], set(), {"+avx512f", "+evex512"}),
             ('__attribute__((target("no-avx"))) ' + AXPY % "f", v3, set(), {"-avx", "-avx2"}),
             ('__attribute__((target("arch=haswell"))) ' + AXPY % "f" + AXPY % "g" + AXPY % "h", [],
              set(), {"+avx2", "+fma"}),
             ('__attribute__((target("no-avx"))) ' + AXPY % "f" + AXPY % "g" + AXPY % "h",
              ["-march=native"], set(), {"-avx", "-avx2"}))
    for source, flags, required, extras in cases:
        answer = normalise(t, compile_module(t, source, *flags))
        t.equal(answer.error, 0, f"error ({answer.reason})")
        for wanted, seen, what in ((required, answer.required, "required"),
                                   (extras, answer.extras, "extras")):
            t.true(wanted <= seen and bool(wanted) == bool(seen),
                   f"{what} is {seen}, not {wanted}, with {flags}:\n{source}")
        t.equal(bool(answer.flags & HAS_EXTRAS), bool(extras), "has extras")


def test_system_features_are_not_required(t):
    """-march=native names what the build machine's cpuid shows; the kernel may know better."""
    shuffle = ("#include <tmmintrin.h>\nvoid f(__m128i *p) { *p = _mm_shuffle_epi8(*p, *p); }\n")
    answer = normalise(t, compile_module(t, shuffle, "-march=native", "-mssse3", "-msgx", "-mrdseed"))
    t.true("+ssse3" in answer.required, f"required is {answer.required}")
    t.true(not answer.required & {"+sgx", "+rdseed", "+shstk", "+pku"}, f"required is {answer.required}")


def test_optnone_is_told(t):
    t.equal(normalise(t, compile_module(t, AXPY % "f", "-O0")).flags, NOT_OPTIMISED)


# ---- wrong code, silently ----

def test_masked_features_are_not_used(t):
    """A function with target-features of its own must not bring back what the host's CPU name
    implies but its hypervisor masks."""
    source = '__attribute__((used, target("avx2"))) ' + SOME % "wide" + \
        "__attribute__((used)) " + SOME % "plain" + "int main(void) { return 0; }\n"
    module = normalise(t, compile_module(t, source))
    t.true(module.flags & HAS_EXTRAS, "no extras")
    avx512 = [f"avx512{part}" for part in ("f", "vl", "bw", "dq", "cd")] + ["evex512"]
    # CPU name, what is masked, and whether ordinary functions then use AVX and AVX-512.
    for cpu, without, avx, evex in (("skylake-avx512", (), True, True),
                                    ("skylake-avx512", avx512, True, False),
                                    ("x86-64-v2", (), False, False),
                                    ("skylake", ("avx", "avx2", "fma", "f16c"), False, False)):
        features = features_of(t, cpu, without)
        rewritten = retarget(t, module.data, features, tune=cpu)
        program = link(t, [rewritten], features, tune=cpu, name=f"masked-{cpu}-{evex}")
        for function, has_avx in (("wide", True), ("plain", avx)):
            code = code_of(t, program, function)
            t.equal(uses_evex(code), evex, f"AVX-512 in {function} for {cpu} less {without}:\n{code}")
            t.equal(uses_avx(code), has_avx, f"AVX in {function} for {cpu} less {without}:\n{code}")


def test_wide_hosts_are_used_beside_extras(t):
    """A function with extras still gets the host's features, and inlines plain helpers, also across
    modules of which one was rewritten."""
    source = ('extern double helper(double);\nstatic double own(double x) { return x * 5; }\n'
              '__attribute__((used, target("avx2"))) void wide(double *a, int n)'
              ' { for (int i = 0; i < n; i++) a[i] = helper(a[i]) + own(a[i]); }\n'
              "int main(void) { return 0; }\n")
    helper = "double helper(double x) { return x * 3 + 1; }\n"
    features = features_of(t, "skylake-avx512")
    modules = [retarget(t, normalise(t, compile_module(t, source)).data, features, "skylake-avx512"),
               normalise(t, compile_module(t, helper, name="helper.c")).data]
    program = link(t, modules, features, tune="skylake-avx512")
    code = code_of(t, program, "wide")
    t.true("call" not in code, f"a plain helper is not inlined:\n{code}")
    t.true("vfm" in code, f"no FMA although the host has it:\n{code}")


WIDE = "typedef double wide __attribute__((vector_size(32)));\n"


def test_wide_returns_keep_their_convention(t):
    """A 32-byte vector comes back in xmm0:xmm1 or in ymm0, as the callee's features say: both sides
    stay with what they were captured with. One side here is native code."""
    callee = WIDE + "wide twice(wide x) { return x + x; }\n"
    caller = WIDE + ("#include <stdio.h>\nwide twice(wide);\nint main(void) { wide x = {1, 2, 4, 10};"
                     ' wide y = twice(x); printf("%g %g %g %g\\n", y[0], y[1], y[2], y[3]); return 0; }\n')
    features = features_of(t, "x86-64-v3")
    native = compile_module(t, callee, "-Wno-psabi", name="callee.c", lto=None)
    answer = normalise(t, compile_module(t, caller, "-Wno-psabi", name="caller.c"))
    t.true(answer.flags & IS_CAPTURED_ONLY, "not captured only")
    t.equal(answer.required, set(), "required of x86-64")
    rewritten = retarget(t, answer.data, features, captured_only=True)
    program = link(t, [rewritten, native], features)
    t.equal(t.run([program]).stdout, "2 4 8 20\n")
    t.true(not uses_avx(code_of(t, program, "main")), "it was compiled with the host's features")


def test_wide_vectors_are_seen_everywhere(t):
    cases = {"result": "wide f(double *p) { return *(wide *)p; }",
             "call": "wide g(void); void f(double *p) { *(wide *)p = g(); }",
             "pointer call": "void f(wide (*g)(void), double *p) { *(wide *)p = g(); }",
             "only inside": "void f(double *p) { *(wide *)p += *(wide *)p; }",
             "narrow": "typedef double two __attribute__((vector_size(16))); two f(two x) { return x + x; }"}
    for name, text in cases.items():
        answer = normalise(t, compile_module(t, WIDE + text + "\n", "-Wno-psabi"))
        t.equal(bool(answer.flags & IS_CAPTURED_ONLY), name not in ("only inside", "narrow"), name)


def test_captured_only_keeps_the_captured_baseline(t):
    source = WIDE + "wide twice(wide x) { return x + x; }\n"
    answer = normalise(t, compile_module(t, source, "-march=x86-64-v3"))
    t.true(answer.flags & IS_CAPTURED_ONLY, "not captured only")
    t.true({"+avx2", "+fma"} <= answer.required, f"required is {answer.required}")
    rewritten = retarget(t, answer.data, features_of(t, "skylake-avx512"), captured_only=True)
    text = disassemble(t, rewritten)
    t.contains(text, '"target-cpu"="x86-64"')
    t.contains(text, "+avx2")
    t.true("avx512" not in text, "the host's features are in")


def test_clones_and_inlined_helpers_run(t):
    """target_clones, ifunc and always_inline helpers, taken to several hosts, give one answer."""
    source = ("#include <stdio.h>\n#include <immintrin.h>\n"
              '__attribute__((target_clones("default", "avx2", "arch=skylake-avx512")))\n'
              "double sum(const double *a, int n) { double s = 0;"
              " for (int i = 0; i < n; i++) s += a[i]; return s; }\n"
              '__attribute__((always_inline, target("avx2"))) static inline __m256d add(__m256d a)'
              " { return _mm256_add_pd(a, a); }\n"
              '__attribute__((target("avx2"))) double fast(const double *a)'
              " { double r[4]; _mm256_storeu_pd(r, add(_mm256_loadu_pd(a))); return r[3]; }\n"
              "int main(void) { double a[100]; for (int i = 0; i < 100; i++) a[i] = i;"
              ' printf("%g %g\\n", sum(a, 100), __builtin_cpu_supports("avx2") ? fast(a) : 6.0);'
              " return 0; }\n")
    answer = normalise(t, compile_module(t, source))
    t.equal(answer.error, 0, f"error ({answer.reason})")
    t.equal(answer.required, set(), "required although the clones are chosen at run time")
    for cpu in ("x86-64", "x86-64-v2"):
        features = features_of(t, cpu)
        program = link(t, [retarget(t, answer.data, features)], features, name=f"clones-{cpu}")
        t.equal(t.run([program]).stdout, "4950 6\n")
    features = features_of(t, "skylake-avx512")
    link(t, [retarget(t, answer.data, features, "skylake-avx512")], features, name="clones-skx")


def test_constructors_templates_and_exceptions_survive(t):
    source = ("#include <cstdio>\n#include <stdexcept>\n#include <vector>\n"
              "struct first { first() { std::puts(\"built\"); } ~first() { std::puts(\"gone\"); } } one;\n"
              "struct shape { virtual double area() const = 0; virtual ~shape() {} };\n"
              "struct square : shape { double a; square(double x) : a(x) {} double area() const { return a * a; } };\n"
              "int main() { std::vector<shape *> all; all.push_back(new square(3));\n"
              "try { std::printf(\"%g\\n\", all.at(0)->area()); all.at(1); }\n"
              "catch (const std::out_of_range &) { std::puts(\"caught\"); } return 0; }\n")
    answer = normalise(t, compile_module(t, source, "-march=x86-64-v3", name="module.cpp"))
    t.equal((answer.error, answer.flags), (0, 0), f"error and flags ({answer.reason})")
    program = link(t, [answer.data], features_of(t, "x86-64-v2"), "-lstdc++")
    t.equal(t.run([program]).stdout, "built\n9\ncaught\ngone\n")


def test_equal_names_of_locals_stay_apart(t):
    """Two folders, one file name, one name for a static function: promoted locals must not meet."""
    part = ("static int value(int x) { return x + %d; }\n"
            "int (*get_%s(void))(int) { return value; }\nint use_%s(int x) { return value(x); }\n")
    main = ("#include <stdio.h>\nint (*get_a(void))(int); int (*get_b(void))(int); int use_a(int); int use_b(int);\n"
            'int main(void) { printf("%d %d %d %d\\n", get_a()(1), get_b()(1), use_a(1), use_b(1)); return 0; }\n')
    modules = [compile_module(t, part % (10, "a", "a"), folder="a"),
               compile_module(t, part % (20, "b", "b"), folder="b"),
               compile_module(t, main, name="main.c")]
    normal = [normalise(t, module).data for module in modules]
    program = link(t, normal, features_of(t, "x86-64"))
    t.equal(t.run([program]).stdout, "11 21 11 21\n")


harness.main()
