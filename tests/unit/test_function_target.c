/* SPDX-License-Identifier: Apache-2.0 */
/* What stays of a function's target attributes in normal form. */
#include "fmt_cleanup.h"
#include "jit_function_target.h"
#include "unit_check.h"

#include <string.h>

struct attributes {
        const char *cpu;
        const char *features;
};

static void check_text(const char *what, const struct jit_feature_set *plus,
        const struct jit_feature_set *minus, const char *others, const char *expected)
{
        _cleanup_free_ char *text = jit_feature_text(plus, minus, others);

        if (text && !strcmp(text, expected))
                return;
        fprintf(stderr, "%s: \"%s\", not \"%s\"\n", what, text, expected);
        CHECK(!"text");
}

/* A module of N functions; the extras and the baseline of the first. */
static void check(const char *what, const struct attributes *attributes, size_t n,
        const char *extras, const char *baseline)
{
        struct jit_function_target functions[8];
        struct jit_module_target module;
        struct jit_feature_set plus;
        struct jit_feature_set minus;
        const struct jit_feature_set none = {{0}};

        for (size_t i = 0; i < n; i++) {
                const char *cpu = attributes[i].cpu;
                const char *features = attributes[i].features;
                REQUIRE(jit_function_target_read(cpu, cpu ? strlen(cpu) : 0, features,
                                features ? strlen(features) : 0, &functions[i]) == 0);
        }
        jit_module_target_of(functions, n, &module);
        jit_function_extras(&module, &functions[0], &plus, &minus);
        check_text(what, &plus, &minus, functions[0].others, extras);
        struct jit_feature_set given = jit_function_baseline(&module, &functions[0]);
        check_text(what, &given, &none, NULL, baseline);
        for (size_t i = 0; i < n; i++)
                jit_function_target_done(&functions[i]);
}

#define CHECK_ONE(what, extras, baseline, ...)                                                     \
        check(what, (struct attributes[]){__VA_ARGS__},                                            \
                sizeof((struct attributes[]){__VA_ARGS__}) / sizeof(struct attributes), extras,    \
                baseline)

#define BASE "+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+x87"
#define V2 BASE ",+crc32,+cx16,+popcnt,+sahf,+sse3,+sse4.1,+sse4.2,+ssse3"
#define V2_BASELINE "+crc32,+cx16,+popcnt,+sahf,+sse3,+sse4.1,+sse4.2,+ssse3"
/* What -march=native writes on a machine that calls itself corei7 and has AES besides. */
#define NATIVE(more)                                                                               \
        V2 ",+aes" more ",-avx512f,-sgx,-pconfig,-rdpru,-clzero,-lwp,-kl,-amx-tile,-64bit"

int main(void)
{
        CHECK_ONE("nothing", "", "", {NULL, NULL});
        CHECK_ONE("plain", "", "", {"x86-64", BASE});
        CHECK_ONE("level", "", V2_BASELINE, {"x86-64-v2", V2});
        CHECK_ONE("own feature", "+avx", "", {"x86-64", BASE ",+avx"}, {"x86-64", BASE});
        CHECK_ONE("own feature beyond a level", "+aes", V2_BASELINE, {"x86-64-v2", V2 ",+aes"});
        CHECK_ONE("own negative", "-avx,-avx2", V2_BASELINE, {"x86-64-v2", V2 ",-avx2,-avx"});
        CHECK_ONE("negative of the level itself", "-popcnt",
                "+crc32,+cx16,+sahf,+sse3,+sse4.1,+sse4.2,+ssse3", {"x86-64-v2", V2 ",-popcnt"});
        CHECK_ONE("the last entry counts", "-avx", "", {"x86-64", "+avx,-avx"});
        CHECK_ONE("no CPU feature", "+avx,+retpoline-external-thunk,-harden-sls-ret", "",
                {"x86-64", "+retpoline-external-thunk,+avx,-harden-sls-ret"});
        CHECK_ONE("normal form again", "+avx,-fma", "", {NULL, "+avx,-fma"});
        CHECK_ONE("another CPU than the module",
                "+crc32,+cx16,+popcnt,+sahf,+sse3,+sse4.1,+sse4.2,+ssse3", V2_BASELINE,
                {"x86-64-v2", V2}, {"x86-64", BASE}, {"x86-64", BASE});
        CHECK_ONE("a CPU nobody knows", "", "+avx,+sse3", {"zen99", BASE ",+avx,+sse3"});
        CHECK_ONE("native", "", "+aes," V2_BASELINE, {"corei7", NATIVE("")});
        CHECK_ONE("native, own negative", "-popcnt",
                "+aes,+crc32,+cx16,+sahf,+sse3,+sse4.1,+sse4.2,+ssse3",
                {"corei7", NATIVE(",-popcnt")}, {"corei7", NATIVE("")}, {"corei7", NATIVE("")});
        CHECK_ONE("native, own feature", "+avx", "+aes," V2_BASELINE, {"corei7", NATIVE(",+avx")},
                {"corei7", NATIVE("")}, {"corei7", NATIVE("")});
        return unit_report();
}
