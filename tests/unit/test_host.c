/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts: this machine, targets, and the tables of x86-64 against the compiler itself. */
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "jit_host.h"
#include "jit_machine.h"
#include "jit_models.h"
#include "jit_x86_features.h"
#include "unit_check.h"

#include <string.h>

static bool set_has(const struct jit_feature_set *set, const char *name)
{
        int feature = jit_feature_find(&jit_x86, name, strlen(name));
        REQUIRE(feature >= 0);
        return jit_feature_in(set, (size_t)feature);
}

/* ---- features and models ---- */

static void test_sets(void)
{
        struct jit_feature_set set = {{0}};
        const char *text = "+a,,junk,-b2,+";
        const char *name;
        size_t size;
        char sign;

        for (size_t i = 0; i < jit_x86.n_features; i++) {
                const char *own = jit_feature_of(&jit_x86, i)->name;
                CHECK(jit_feature_find(&jit_x86, own, strlen(own)) == (int)i);
                CHECK(i == 0 || strcmp(jit_feature_of(&jit_x86, i - 1)->name, own) < 0);
        }
        CHECK(jit_feature_find(&jit_x86, "avx5", 4) < 0 &&
                jit_feature_find(&jit_x86, "zzz", 3) < 0 && jit_feature_find(&jit_x86, "", 0) < 0);
        CHECK(jit_feature_next(&text, &sign, &name, &size) && sign == '+' && size == 1 &&
                *name == 'a');
        CHECK(jit_feature_next(&text, &sign, &name, &size) && sign == '-' && size == 2);
        CHECK(!jit_feature_next(&text, &sign, &name, &size));

        jit_feature_put(&set, (size_t)jit_feature_find(&jit_x86, "avx", 3), true);
        jit_feature_put(&set, (size_t)jit_feature_find(&jit_x86, "avx512vl", 8), true);
        char *written = jit_features_format(&jit_x86, &set, false);
        CHECK(!strcmp(written, "+avx,+avx512vl"));
        free(written);
        jit_features_settle(&jit_x86, &set);
        CHECK(jit_features_count(&set) == 0);
        written = jit_features_format(&jit_x86, &set, true);
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

static struct jit_feature_set positives_of(const char *features)
{
        struct jit_feature_set set = {{0}};
        const char *name;
        size_t size;
        char sign;

        while (jit_feature_next(&features, &sign, &name, &size)) {
                int found = jit_feature_find(&jit_x86, name, size);
                if (found < 0) {
                        fprintf(stderr, "clang knows \"%.*s\", the table does not\n", (int)size,
                                name);
                        CHECK(!"known");
                } else if (sign == '+') {
                        jit_feature_put(&set, (size_t)found, true);
                }
        }
        return set;
}

#define CLANG "echo 'int f(void) { return 1; }' | clang-19 --target=x86_64-pc-linux-gnu "
#define TO_IR " -x c -S -emit-llvm -o - - 2>/dev/null"

/* clang never writes these two. */
static struct jit_feature_set as_clang_says(struct jit_feature_set set)
{
        jit_feature_put(&set, (size_t)jit_feature_find(&jit_x86, "ermsb", 5), false);
        jit_feature_put(&set, (size_t)jit_feature_find(&jit_x86, "fsrm", 4), false);
        return set;
}

static void check_equal(const char *what, const struct jit_feature_set *all_ours,
        const struct jit_feature_set *clangs)
{
        struct jit_feature_set said = as_clang_says(*all_ours);
        const struct jit_feature_set *ours = &said;
        struct jit_feature_set more = jit_features_minus(ours, clangs);
        struct jit_feature_set less = jit_features_minus(clangs, ours);

        if (!jit_features_count(&more) && !jit_features_count(&less))
                return;
        char *a = jit_features_format(&jit_x86, &more, false);
        char *b = jit_features_format(&jit_x86, &less, false);
        fprintf(stderr, "%s: only here: %s; only clang: %s\n", what, a, b);
        free(a);
        free(b);
        CHECK(!"equal");
}

static void test_models_against_clang(void)
{
        struct jit_feature_set baseline;
        size_t n = 0;

        REQUIRE(jit_model_features(&jit_x86, "x86-64", &baseline));
        for (const struct jit_model *model = jit_x86.models; model->name; model++) {
                const char *name = model->name;
                struct jit_feature_set ours;
                char command[256];
                snprintf(command, sizeof(command), CLANG "-march=%s" TO_IR, name);
                _cleanup_free_ char *features = attribute_from(command, "target-features");
                CHECK(jit_model_features(&jit_x86, name, &ours));
                CHECK(features);
                if (!features)
                        continue;
                /* clang leaves parts of the baseline out for some AMD models. */
                struct jit_feature_set clangs = positives_of(features);
                clangs = jit_features_union(&clangs, &baseline);
                check_equal(name, &ours, &clangs);
                n++;
        }
        printf("%zu models compared with clang\n", n);
        CHECK(n > 60);
}

static void add_implied(struct jit_feature_set *set, size_t feature)
{
        const char *at = jit_feature_of(&jit_x86, feature)->implies;
        const char *word;
        size_t size;

        jit_feature_put(set, feature, true);
        while (jit_word_next(&at, &word, &size)) {
                int implied = jit_feature_find(&jit_x86, word, size);
                REQUIRE(implied >= 0);
                add_implied(set, (size_t)implied);
        }
}

static void test_implications_against_clang(void)
{
        struct jit_feature_set baseline;

        REQUIRE(jit_model_features(&jit_x86, "x86-64", &baseline));
        for (size_t i = 0; i < jit_x86.n_features; i++) {
                struct jit_feature_set ours = baseline;
                char command[256];
                /* clang writes evex512 beside avx512f only. */
                struct jit_feature_set one = {{0}};
                jit_feature_put(&one, i, true);
                one = as_clang_says(one);
                if (jit_x86_features[i].where == NOWHERE || !jit_features_count(&one) ||
                        !strcmp(jit_feature_of(&jit_x86, i)->name, "evex512"))
                        continue;
                snprintf(command, sizeof(command),
                        CLANG "-march=x86-64 -Xclang -target-feature -Xclang +%s" TO_IR,
                        jit_feature_of(&jit_x86, i)->name);
                _cleanup_free_ char *features = attribute_from(command, "target-features");
                struct jit_feature_set clangs = positives_of(features ? features : "");
                clangs = jit_features_union(&clangs, &baseline);
                add_implied(&ours, i);
                check_equal(jit_feature_of(&jit_x86, i)->name, &ours, &clangs);
        }
}

/* clang asks cpuid alone; what the kernel denies is the only allowed difference. */
static void test_this_host_against_clang(void)
{
        struct jit_detection found, allowed;
        struct jit_machine machine;

        if (jit_machine_read(&machine) < 0 || machine.architecture != &jit_x86)
                return;
        char *flags = machine.x86.kernel_flags;
        machine.x86.kernel_flags = NULL;
        jit_machine_detect(&machine, &found);
        _cleanup_free_ char *features =
                attribute_from(CLANG "-march=native" TO_IR, "target-features");
        REQUIRE(features);
        struct jit_feature_set clangs = positives_of(features);
        for (size_t i = 0; i < jit_x86.n_features; i++) {
                if (jit_x86_features[i].where == NOWHERE)
                        jit_feature_put(&clangs, i, false);
        }
        jit_feature_put(&clangs, (size_t)jit_feature_find(&jit_x86, "x87", 3), true);
        check_equal("this host", &found.has, &clangs);

        machine.x86.kernel_flags = flags;
        jit_machine_detect(&machine, &allowed);
        struct jit_feature_set more = jit_features_minus(&allowed.has, &found.has);
        CHECK(jit_features_count(&more) == 0);
        CHECK(set_has(&allowed.has, "sse2") && set_has(&allowed.has, "64bit"));
        jit_machine_done(&machine);
}

/* ---- targets ---- */

static const char *machine_file(const char *name)
{
        static char path[400];

        snprintf(path, sizeof(path), "%s/tests/machines/%s.machine", getenv("XAASFS_SOURCE"), name);
        return path;
}

static void test_this_host_recorded(void)
{
        char path[] = "/tmp/test_host_XXXXXX";
        struct jit_target *here, *recorded;
        struct jit_machine machine;
        _cleanup_free_ char *one = NULL, *other = NULL;
        int fd = mkstemp(path);
        FILE *file = fdopen(fd, "w");

        REQUIRE(file && jit_machine_read(&machine) == 0);
        jit_machine_print(&machine, file);
        REQUIRE(fclose(file) == 0);
        jit_machine_done(&machine);
        REQUIRE(jit_target_detect(NULL, false, &here) == 0);
        REQUIRE(jit_target_detect(path, false, &recorded) == 0);
        REQUIRE(jit_target_describe(here, &one) == 0);
        REQUIRE(jit_target_describe(recorded, &other) == 0);
        CHECK(!strcmp(one, other));
        CHECK(!strcmp(recorded->label, strrchr(path, '/') + 1));
        jit_target_free(here);
        jit_target_free(recorded);
        remove(path);
}

static void test_recorded_targets(void)
{
        struct jit_target *target;

        CHECK(jit_target_detect(machine_file("skylake-x"), true, &target) == 0);
        CHECK(!strcmp(target->label, "skylake-x") && !strcmp(target->tune, "skylake-avx512"));
        CHECK(strstr(target->features, "+avx512f") && jit_target_takes_images(target));
        jit_target_free(target);
        CHECK(jit_target_detect(machine_file("a64fx"), true, &target) == 0);
        CHECK(!strcmp(target->triple, "aarch64-unknown-linux-gnu"));
        CHECK(strstr(target->features, "+sve,") && !jit_target_takes_images(target));
        jit_target_free(target);
        CHECK(jit_target_detect(machine_file("a64fx"), false, &target) == -ENOTSUP);
        CHECK(jit_target_detect(machine_file("no-such"), true, &target) == -EINVAL);
        CHECK(jit_target_detect("/dev/null", true, &target) == -EINVAL);
}

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
        /* What was recorded here gives what this host gives. */
        test_this_host_recorded();
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
        test_targets();
        test_recorded_targets();
        if (system("clang-19 --version >/dev/null 2>&1") == 0) {
                test_models_against_clang();
                test_implications_against_clang();
                test_this_host_against_clang();
        } else {
                printf("not compared with the compiler: there is no clang-19\n");
        }
        return unit_report();
}
