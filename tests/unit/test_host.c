/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts: recorded machines, this machine, and the tables against the compiler itself. */
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "jit_host.h"
#include "jit_host_x86.h"
#include "unit_check.h"

#include <string.h>

/* ---- recorded machines: cpuid as published dumps give it ---- */

static const struct jit_x86_raw haswell = {
        .leaves = {{0, 0, 13, 0x756e6547, 0x6c65746e, 0x49656e69},
                {1, 0, 0x306c3, 0, 0x7ffafbff, 0xbfebfbff}, {7, 0, 0, 0x000027ab, 0, 0},
                {0xd, 1, 1, 0, 0, 0}, {0x80000001, 0, 0, 0, 0x21, 0x2c100800}},
        .n_leaves = 5,
        .xcr0 = 7};

#define SKYLAKE_X(features_7)                                                                      \
        {                                                                                          \
                {0, 0, 22, 0x756e6547, 0x6c65746e, 0x49656e69},                                    \
                        {1, 0, 0x50654, 0, 0x7ffefbff, 0xbfebfbff},                                \
                        {7, 0, 0, features_7, 0x18, 0}, {0xd, 1, 0xf, 0, 0, 0},                    \
                        {0x14, 0, 1, 0xf, 7, 0}, {0x80000001, 0, 0, 0, 0x121, 0x2c100800},         \
        }

static const struct jit_x86_raw skylake_x = {
        .leaves = SKYLAKE_X(0xd39ffffb), .n_leaves = 6, .xcr0 = 0x2ff};

/* A hypervisor that took AVX-512 out of cpuid. */
static const struct jit_x86_raw skylake_x_masked = {
        .leaves = SKYLAKE_X(0x039cfffb), .n_leaves = 6, .xcr0 = 7};

/* A system that shows AVX-512 but does not save its registers. */
static const struct jit_x86_raw skylake_x_not_saved = {
        .leaves = SKYLAKE_X(0xd39ffffb), .n_leaves = 6, .xcr0 = 7};

/* AVX, FMA and F16C masked, AVX2 forgotten: the incomplete kind of masking. */
static const struct jit_x86_raw haswell_without_avx = {
        .leaves = {{0, 0, 13, 0x756e6547, 0x6c65746e, 0x49656e69},
                {1, 0, 0x306c3, 0, 0x42faebff & ~(1U << 26), 0xbfebfbff},
                {7, 0, 0, 0x000027ab, 0, 0}, {0x80000001, 0, 0, 0, 0x21, 0x2c100800}},
        .n_leaves = 4,
        .xcr0 = 0};

static const struct jit_x86_raw zen2 = {
        .leaves = {{0, 0, 16, 0x68747541, 0x444d4163, 0x69746e65},
                {1, 0, 0x830f10, 0, 0x7ed8320b, 0x178bfbff}, {7, 0, 0, 0x219c91a9, 0x00400004, 0},
                {0xd, 1, 0xf, 0, 0, 0}, {0x80000001, 0, 0, 0, 0x75c237ff, 0x2fd3fbff},
                {0x80000008, 0, 0, 0x18cee757, 0, 0}},
        .n_leaves = 6,
        .xcr0 = 0x207};

static const struct jit_x86_raw zen4 = {
        .leaves = {{0, 0, 16, 0x68747541, 0x444d4163, 0x69746e65},
                {1, 0, 0xa10f11, 0, 0x7ef8320b, 0x178bfbff},
                {7, 0, 1, 0xf1bf97a9, 0x00415fde, 0x10000010}, {7, 1, 0x20, 0, 0, 0},
                {0xd, 1, 0xf, 0, 0, 0}, {0x80000001, 0, 0, 0, 0x75c237ff, 0x2fd3fbff},
                {0x80000008, 0, 0, 0x791ef257, 0, 0}},
        .n_leaves = 7,
        .xcr0 = 0x2e7};

/* A Zen 5 guest whose kernel switched RDSEED off (cpuid still shows it) and knows no user shadow
 * stacks. */
static const struct jit_x86_raw zen5_guest = {
        .leaves = {{0, 0, 0x1c, 0x68747541, 0x444d4163, 0x69746e65},
                {1, 0, 0x00b00f21, 0x00020800, 0xfffa3203, 0x178bfbff},
                {7, 0, 1, 0xf1bf07ab, 0x00405fc6, 0x00000110}, {7, 1, 0x30, 0, 0, 0},
                {0xd, 1, 0xf, 0x9a8, 0x1800, 0},
                {0x80000001, 0, 0x00b00f21, 0x40000000, 0x004003f3, 0x2fd3fbff},
                {0x80000008, 0, 0x303030, 0x50020005, 0x7001, 0}},
        .n_leaves = 7,
        .xcr0 = 0xe7,
        .kernel_flags =
                " fpu cx8 cmov mmx fxsr sse sse2 syscall lm pni pclmulqdq ssse3 fma cx16 sse4_1 "
                "sse4_2 movbe popcnt aes xsave avx f16c rdrand hypervisor lahf_lm abm sse4a "
                "3dnowprefetch fsgsbase bmi1 avx2 smep bmi2 erms invpcid avx512f avx512dq adx "
                "smap avx512ifma clflushopt clwb avx512cd sha_ni avx512bw avx512vl xsaveopt "
                "xsavec xgetbv1 xsaves avx_vnni avx512_bf16 clzero xsaveerptr arat avx512vbmi "
                "umip avx512_vbmi2 gfni vaes vpclmulqdq avx512_vnni avx512_bitalg "
                "avx512_vpopcntdq rdpid fsrm avx512_vp2intersect\n"};

static bool set_has(const struct jit_x86_set *set, const char *name)
{
        int feature = jit_x86_find(name, strlen(name));
        REQUIRE(feature >= 0);
        return jit_x86_in(set, (size_t)feature);
}

/* EXPECTED: "+a,-b". */
static void check_machine(
        const char *name, const struct jit_x86_raw *raw, const char *tune, const char *expected)
{
        struct jit_x86_set features;
        enum jit_x86_vendor vendor;
        const char *feature;
        size_t size;
        char sign;

        jit_x86_detect(raw, &features, &vendor);
        if (strcmp(jit_x86_nearest(&features, vendor), tune)) {
                fprintf(stderr, "%s is tuned for %s\n", name, jit_x86_nearest(&features, vendor));
                CHECK(!"tuning");
        }
        while (jit_x86_next(&expected, &sign, &feature, &size)) {
                int found = jit_x86_find(feature, size);
                REQUIRE(found >= 0);
                if (jit_x86_in(&features, (size_t)found) == (sign == '+'))
                        continue;
                fprintf(stderr, "%s: not %c%.*s\n", name, sign, (int)size, feature);
                CHECK(!"feature");
        }
}

static void test_recorded(void)
{
        check_machine("Haswell", &haswell, "haswell",
                "+64bit,+avx2,+fma,+bmi,+bmi2,+lzcnt,+movbe,+crc32,+rdrnd,+f16c,+xsaveopt,"
                "+ermsb,-fsrm,-avx512f,-evex512,-rdseed,-adx,-rtm,-sha,-xsavec,-sse4a,-prfchw");
        check_machine("Skylake-X", &skylake_x, "skylake-avx512",
                "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd,+evex512,+clwb,+pku,+adx,+rtm,"
                "-avx512vnni,-ptwrite,-sgx,-avx512ifma");
        check_machine("Skylake-X with AVX-512 masked", &skylake_x_masked, "skylake",
                "+avx2,+fma,+clwb,-avx512f,-avx512vl,-evex512,-avx512bw");
        check_machine("Skylake-X without AVX-512 state", &skylake_x_not_saved, "skylake",
                "+avx2,+fma,+pku,-avx512f,-avx512vl,-evex512,-avx512dq,-avx512cd");
        check_machine("Haswell without AVX", &haswell_without_avx, "haswell",
                "+sse4.2,+bmi2,+lzcnt,+movbe,-avx,-avx2,-fma,-f16c,-xsave,-xsaveopt,-vaes");
        check_machine("Zen 2", &zen2, "znver2",
                "+avx2,+clzero,+rdpru,+wbnoinvd,+sha,+sse4a,+rdpid,+clwb,+mwaitx,+prfchw,"
                "-avx512f,-xop,-fma4,-tbm,-vaes,-invpcid");
        check_machine("Zen 4", &zen4, "znver4",
                "+avx512f,+avx512bf16,+avx512vbmi2,+avx512vpopcntdq,+gfni,+vaes,+shstk,"
                "-avxvnni,-avx512fp16,-avx512vp2intersect");
        check_machine("Zen 5 guest", &zen5_guest, "znver5",
                "+avx512f,+avx512vp2intersect,+avxvnni,+avx512bf16,+fsrm,-rdseed,-shstk,-rdpru");
}

/* ---- features and models ---- */

static void test_sets(void)
{
        struct jit_x86_set set = {{0}};
        const char *text = "+a,,junk,-b2,+";
        const char *name;
        size_t size;
        char sign;

        for (size_t i = 0; i < jit_x86_n_features; i++) {
                const char *own = jit_x86_features[i].name;
                CHECK(jit_x86_find(own, strlen(own)) == (int)i);
                CHECK(i == 0 || strcmp(jit_x86_features[i - 1].name, own) < 0);
        }
        CHECK(jit_x86_find("avx5", 4) < 0 && jit_x86_find("zzz", 3) < 0 && jit_x86_find("", 0) < 0);
        CHECK(jit_x86_next(&text, &sign, &name, &size) && sign == '+' && size == 1 && *name == 'a');
        CHECK(jit_x86_next(&text, &sign, &name, &size) && sign == '-' && size == 2);
        CHECK(!jit_x86_next(&text, &sign, &name, &size));

        jit_x86_put(&set, (size_t)jit_x86_find("avx", 3), true);
        jit_x86_put(&set, (size_t)jit_x86_find("avx512vl", 8), true);
        char *written = jit_x86_format(&set, false);
        CHECK(!strcmp(written, "+avx,+avx512vl"));
        free(written);
        jit_x86_settle(&set);
        CHECK(jit_x86_count(&set) == 0);
        written = jit_x86_format(&set, true);
        CHECK(strstr(written, "-avx,") && strstr(written, "-avx512vl") && !strchr(written, '+'));
        free(written);
}

/* First match of KEY="…" in what COMMAND prints; the caller frees. */
static char *attribute_from(const char *command, const char *key)
{
        FILE *pipe = popen(command, "r");
        char *line = NULL;
        char *value = NULL;
        size_t size = 0;
        char start[64];

        snprintf(start, sizeof(start), "\"%s\"=\"", key);
        while (pipe && getline(&line, &size, pipe) > 0) {
                char *at = strstr(line, start);
                if (at && !value)
                        value = strndup(at + strlen(start), strcspn(at + strlen(start), "\""));
        }
        free(line);
        if (pipe)
                pclose(pipe);
        return value;
}

static struct jit_x86_set positives_of(const char *features)
{
        struct jit_x86_set set = {{0}};
        const char *name;
        size_t size;
        char sign;

        while (jit_x86_next(&features, &sign, &name, &size)) {
                int found = jit_x86_find(name, size);
                if (found < 0) {
                        fprintf(stderr, "clang knows \"%.*s\", the table does not\n", (int)size,
                                name);
                        CHECK(!"known");
                } else if (sign == '+') {
                        jit_x86_put(&set, (size_t)found, true);
                }
        }
        return set;
}

#define CLANG "echo 'int f(void) { return 1; }' | clang-19 --target=x86_64-pc-linux-gnu "
#define TO_IR " -x c -S -emit-llvm -o - - 2>/dev/null"

/* clang never writes these two. */
static struct jit_x86_set as_clang_says(struct jit_x86_set set)
{
        jit_x86_put(&set, (size_t)jit_x86_find("ermsb", 5), false);
        jit_x86_put(&set, (size_t)jit_x86_find("fsrm", 4), false);
        return set;
}

static void check_equal(
        const char *what, const struct jit_x86_set *all_ours, const struct jit_x86_set *clangs)
{
        struct jit_x86_set said = as_clang_says(*all_ours);
        const struct jit_x86_set *ours = &said;
        struct jit_x86_set more = jit_x86_minus(ours, clangs);
        struct jit_x86_set less = jit_x86_minus(clangs, ours);

        if (!jit_x86_count(&more) && !jit_x86_count(&less))
                return;
        char *a = jit_x86_format(&more, false);
        char *b = jit_x86_format(&less, false);
        fprintf(stderr, "%s: only here: %s; only clang: %s\n", what, a, b);
        free(a);
        free(b);
        CHECK(!"equal");
}

static void test_models_against_clang(void)
{
        struct jit_x86_set baseline;
        size_t n = 0;
        const char *name;

        REQUIRE(jit_x86_model("x86-64", &baseline));
        for (size_t i = 0; (name = jit_x86_model_name(i)); i++) {
                struct jit_x86_set ours;
                char command[256];
                snprintf(command, sizeof(command), CLANG "-march=%s" TO_IR, name);
                _cleanup_free_ char *features = attribute_from(command, "target-features");
                CHECK(jit_x86_model(name, &ours));
                CHECK(features);
                if (!features)
                        continue;
                /* clang leaves parts of the baseline out for some AMD models. */
                struct jit_x86_set clangs = positives_of(features);
                clangs = jit_x86_union(&clangs, &baseline);
                check_equal(name, &ours, &clangs);
                n++;
        }
        printf("%zu models compared with clang\n", n);
        CHECK(n > 60);
}

static void add_implied(struct jit_x86_set *set, size_t feature)
{
        const char *at = jit_x86_features[feature].implies;

        jit_x86_put(set, feature, true);
        while (*at) {
                size_t size = strcspn(at, " ");
                int implied = jit_x86_find(at, size);
                REQUIRE(implied >= 0);
                add_implied(set, (size_t)implied);
                at += size + (at[size] == ' ');
        }
}

static void test_implications_against_clang(void)
{
        struct jit_x86_set baseline;

        REQUIRE(jit_x86_model("x86-64", &baseline));
        for (size_t i = 0; i < jit_x86_n_features; i++) {
                struct jit_x86_set ours = baseline;
                char command[256];
                /* clang writes evex512 beside avx512f only. */
                struct jit_x86_set one = {{0}};
                jit_x86_put(&one, i, true);
                one = as_clang_says(one);
                if (jit_x86_features[i].where == NOWHERE || !jit_x86_count(&one) ||
                        !strcmp(jit_x86_features[i].name, "evex512"))
                        continue;
                snprintf(command, sizeof(command),
                        CLANG "-march=x86-64 -Xclang -target-feature -Xclang +%s" TO_IR,
                        jit_x86_features[i].name);
                _cleanup_free_ char *features = attribute_from(command, "target-features");
                struct jit_x86_set clangs = positives_of(features ? features : "");
                clangs = jit_x86_union(&clangs, &baseline);
                add_implied(&ours, i);
                check_equal(jit_x86_features[i].name, &ours, &clangs);
        }
}

/* clang asks cpuid alone; what the kernel denies is the only allowed difference. */
static void test_this_host_against_clang(void)
{
        struct jit_x86_set ours;
        struct jit_x86_raw raw;
        enum jit_x86_vendor vendor;

        if (jit_x86_read(&raw) < 0)
                return;
        _cleanup_free_ char *flags = (char *)raw.kernel_flags;
        raw.kernel_flags = NULL;
        jit_x86_detect(&raw, &ours, &vendor);
        _cleanup_free_ char *features =
                attribute_from(CLANG "-march=native" TO_IR, "target-features");
        REQUIRE(features);
        struct jit_x86_set clangs = positives_of(features);
        for (size_t i = 0; i < jit_x86_n_features; i++) {
                if (jit_x86_features[i].where == NOWHERE)
                        jit_x86_put(&clangs, i, false);
        }
        jit_x86_put(&clangs, (size_t)jit_x86_find("x87", 3), true);
        check_equal("this host", &ours, &clangs);

        struct jit_x86_set allowed;
        raw.kernel_flags = flags;
        jit_x86_detect(&raw, &allowed, &vendor);
        struct jit_x86_set more = jit_x86_minus(&allowed, &ours);
        CHECK(jit_x86_count(&more) == 0);
        CHECK(set_has(&allowed, "sse2") && set_has(&allowed, "64bit"));
}

/* ---- targets ---- */

static void test_targets(void)
{
        struct jit_target *target;
        char *text = NULL;

        CHECK(jit_target_detect(NULL, false, &target) == 0);
        CHECK(!strcmp(target->label, "native") && !strcmp(target->triple, "x86_64-pc-linux-gnu"));
        CHECK(strstr(target->features, "+sse2") && strstr(target->features, "-avx10.1-256"));
        CHECK(jit_target_describe(target, &text) == 0 && strstr(text, target->features) &&
                strstr(text, target->tune) && !strchr(text, '\n'));
        free(text);
        jit_target_free(target);

        CHECK(jit_target_detect("x86-64-v3", true, &target) == 0);
        CHECK(!strcmp(target->label, "x86-64-v3") && !strcmp(target->tune, "x86-64-v3"));
        CHECK(strstr(target->features, "+avx2") && strstr(target->features, "-avx512f"));
        text = NULL;
        CHECK(jit_target_has(target, NULL, NULL) && jit_target_has(target, "+avx2,+fma", &text));
        CHECK(jit_target_has(target, "-avx512f", &text) && !text);
        CHECK(!jit_target_has(target, "+fma,+avx512vl,+sha", &text));
        CHECK(text && !strcmp(text, "avx512vl"));
        free(text);
        CHECK(!jit_target_has(target, "+avx5", NULL));
        jit_target_free(target);

        CHECK(jit_target_detect("x86-64", false, &target) == 0);
        CHECK(strstr(target->features, "-sse3,") && strstr(target->features, "+sse2"));
        jit_target_free(target);
        CHECK(jit_target_detect("graniterapids", true, &target) == 0);
        CHECK(strstr(target->features, "+amx-fp16"));
        jit_target_free(target);
        CHECK(jit_target_detect("pentium9", false, &target) == -EINVAL);
        CHECK(jit_target_detect("", true, &target) == -EINVAL);
        /* No machine has both AMD's XOP and AVX-512: one of these cannot run here. */
        int xop = jit_target_detect("bdver4", false, &target);
        if (xop == 0)
                jit_target_free(target);
        int knl = jit_target_detect("knl", false, &target);
        if (knl == 0)
                jit_target_free(target);
        CHECK(xop == -ENOTSUP || knl == -ENOTSUP);
}

int main(void)
{
        fmt_log_setup("test_host", FMT_LOG_ERROR);
        test_sets();
        test_recorded();
        test_targets();
        if (system("clang-19 --version >/dev/null 2>&1") == 0) {
                test_models_against_clang();
                test_implications_against_clang();
                test_this_host_against_clang();
        } else {
                printf("not compared with the compiler: there is no clang-19\n");
        }
        return unit_report();
}
