/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of AArch64 against LLVM's assembler: it takes an instruction if and only if a model
 * or feature has what the instruction needs. */
#include "fmt_cleanup.h"
#include "jit_aarch64_features.h"
#include "jit_models.h"
#include "unit_check.h"

#include <string.h>
#include <unistd.h>

/* An instruction that needs this feature and, beyond what the feature implies, no other. Not here:
 * bti, whose instructions every core takes as hints, and lse2, which has none of its own. */
static const struct {
        const char *feature;
        const char *instruction;
} samples[] = {
        {"aes", "aese v0.16b, v1.16b"},
        {"altnzcv", "axflag"},
        {"bf16", "bfdot v0.2s, v1.4h, v2.4h"},
        {"ccdp", "dc cvadp, x0"},
        {"ccpp", "dc cvap, x0"},
        {"complxnum", "fcadd v0.2s, v1.2s, v2.2s, #90"},
        {"crc", "crc32b w0, w1, w2"},
        {"cssc", "abs x0, x1"},
        {"dit", "msr dit, #1"},
        {"dotprod", "sdot v0.2s, v1.8b, v2.8b"},
        {"f32mm", "fmmla z0.s, z1.s, z2.s"},
        {"f64mm", "fmmla z0.d, z1.d, z2.d"},
        {"flagm", "cfinv"},
        {"fp-armv8", "fadd d0, d1, d2"},
        {"fp16fml", "fmlal v0.2s, v1.2h, v2.2h"},
        {"fptoint", "frint32z d0, d1"},
        {"fullfp16", "fadd h0, h1, h2"},
        {"hbc", "bc.eq ."},
        {"i8mm", "smmla v0.4s, v1.16b, v2.16b"},
        {"jsconv", "fjcvtzs w0, d1"},
        {"ls64", "ld64b x0, [x2]"},
        {"lse", "ldadd w0, w1, [x2]"},
        {"lse128", "ldclrp x0, x1, [x2]"},
        {"mops", "cpyfp [x0]!, [x1]!, x2!"},
        {"mte", "irg x0, x1"},
        {"neon", "add v0.4s, v1.4s, v2.4s"},
        {"pauth", "retaa"},
        {"rand", "mrs x0, rndr"},
        {"rcpc", "ldapr w0, [x1]"},
        {"rcpc-immo", "stlur w0, [x1]"},
        {"rcpc3", "ldiapp w0, w1, [x2]"},
        {"rdm", "sqrdmlah v0.4s, v1.4s, v2.4s"},
        {"sb", "sb"},
        {"sha2", "sha256h q0, q1, v2.4s"},
        {"sha3", "eor3 v0.16b, v1.16b, v2.16b, v3.16b"},
        {"sm4", "sm4e v0.4s, v1.4s"},
        {"sme", "addha za0.s, p0/m, p0/m, z0.s"},
        {"sme-f64f64", "fmopa za0.d, p0/m, p1/m, z0.d, z1.d"},
        {"sme-i16i64", "smopa za0.d, p0/m, p1/m, z0.h, z1.h"},
        {"sme2", "zero {zt0}"},
        {"ssbs", "msr ssbs, #1"},
        {"sve", "setffr"},
        {"sve2", "match p0.b, p0/z, z0.b, z1.b"},
        {"sve2-aes", "aesd z0.b, z0.b, z1.b"},
        {"sve2-bitperm", "bext z0.b, z1.b, z2.b"},
        {"sve2-sha3", "rax1 z0.d, z1.d, z2.d"},
        {"sve2-sm4", "sm4e z0.s, z0.s, z1.s"},
        {"sve2p1", "addqv v0.16b, p0, z1.b"},
        {"wfxt", "wfet x0"},
};

#define N_SAMPLES (sizeof(samples) / sizeof(samples[0]))

static size_t number_of(const char *name)
{
        int number = jit_feature_find(&jit_aarch64, name, strlen(name));

        REQUIRE(number >= 0);
        return (size_t)number;
}

/* All samples that have one. */
static struct jit_feature_set all_samples(void)
{
        struct jit_feature_set set = {{0}};

        for (size_t i = 0; i < N_SAMPLES; i++)
                jit_feature_put(&set, number_of(samples[i].feature), true);
        return set;
}

#define LLVM_MC "llvm-mc-19 -triple=aarch64-linux-gnu -filetype=null "
#define CLANG "clang-19 --target=aarch64-linux-gnu -c -o /dev/null "

/* What the assembler that COMMAND starts takes. */
static struct jit_feature_set taken_by(const char *command_and_options, const char *source)
{
        struct jit_feature_set set = all_samples();
        char command[512];
        _cleanup_free_ char *line = NULL;
        size_t room = 0;
        unsigned number;

        snprintf(command, sizeof(command), "%s %s 2>&1", command_and_options, source);
        FILE *pipe = popen(command, "r");
        REQUIRE(pipe);
        while (getline(&line, &room, pipe) > 0) {
                const char *at = strstr(line, ".s:");
                if (!at || !strstr(line, ": error:") || sscanf(at, ".s:%u:", &number) != 1)
                        continue;
                REQUIRE(number >= 1 && number <= N_SAMPLES);
                jit_feature_put(&set, number_of(samples[number - 1].feature), false);
        }
        pclose(pipe);
        return set;
}

static void check_equal(const char *what, struct jit_feature_set ours, struct jit_feature_set llvms)
{
        struct jit_feature_set more = jit_features_minus(&ours, &llvms);
        struct jit_feature_set less = jit_features_minus(&llvms, &ours);

        if (!jit_features_count(&more) && !jit_features_count(&less))
                return;
        _cleanup_free_ char *a = jit_features_format(&jit_aarch64, &more, false);
        _cleanup_free_ char *b = jit_features_format(&jit_aarch64, &less, false);
        fprintf(stderr, "%s: only here: %s; only LLVM: %s\n", what, a, b);
        CHECK(!"equal");
}

static struct jit_feature_set with_samples_only(struct jit_feature_set set)
{
        struct jit_feature_set all = all_samples();
        struct jit_feature_set others = jit_features_minus(&set, &all);

        return jit_features_minus(&set, &others);
}

/* Levels are no CPU names; clang knows what they stand for. */
static void test_models(const char *source)
{
        size_t n = 0;

        for (const struct jit_model *model = jit_aarch64.models; model->name; model++) {
                bool is_level = model->vendor == VENDOR_ANY;
                struct jit_feature_set ours;
                char command[200];
                CHECK(jit_model_features(&jit_aarch64, model->name, &ours));
                CHECK(!strcmp(jit_model_tune(&jit_aarch64, model->name),
                        is_level ? "generic" : model->name));
                snprintf(command, sizeof(command), "%s%s",
                        is_level ? CLANG "-march=" : LLVM_MC "-mcpu=", model->name);
                check_equal(model->name, with_samples_only(ours), taken_by(command, source));
                n++;
        }
        printf("%zu models compared with LLVM\n", n);
        CHECK(n > 40);
}

static void add_implied(struct jit_feature_set *set, size_t feature)
{
        const char *at = jit_feature_of(&jit_aarch64, feature)->implies;
        const char *word;
        size_t size;

        jit_feature_put(set, feature, true);
        while (jit_word_next(&at, &word, &size)) {
                int implied = jit_feature_find(&jit_aarch64, word, size);
                REQUIRE(implied >= 0);
                add_implied(set, (size_t)implied);
        }
}

static void test_implications(const char *source)
{
        for (size_t i = 0; i < N_SAMPLES; i++) {
                struct jit_feature_set ours = {{0}};
                char command[200];
                size_t number = number_of(samples[i].feature);
                /* Half of the samples compute on vector registers. */
                add_implied(&ours, number_of("neon"));
                add_implied(&ours, number);
                snprintf(command, sizeof(command), LLVM_MC "-mattr=+neon,+%s", samples[i].feature);
                check_equal(samples[i].feature, ours, taken_by(command, source));
        }
}

static void test_levels(void)
{
        struct jit_feature_set lower, higher;

        CHECK(jit_model_features(&jit_aarch64, "generic", &lower));
        CHECK(jit_features_count(&lower) == 2);
        CHECK(jit_model_features(&jit_aarch64, "armv8.4-a", &lower));
        CHECK(jit_model_features(&jit_aarch64, "armv9-a", &higher));
        struct jit_feature_set lost = jit_features_minus(&lower, &higher);
        CHECK(jit_features_count(&lost) == 0);
        CHECK(jit_feature_in(&higher, number_of("sve2")) &&
                !jit_feature_in(&lower, number_of("sve2")));
        CHECK(!jit_model_features(&jit_aarch64, "armv7-a", &lower));
}

/* LLVM knows these names, so that -mcpu= and -mattr= do what they should. */
static void test_names(void)
{
        _cleanup_free_ char *text = NULL;
        size_t room = 0;
        FILE *pipe = popen("llc-19 -mtriple=aarch64-linux-gnu -mcpu=help 2>&1 </dev/null", "r");

        REQUIRE(pipe && getdelim(&text, &room, 0, pipe) > 0);
        pclose(pipe);
        for (size_t i = 0; i < jit_aarch64.n_features; i++) {
                char row[64];
                snprintf(row, sizeof(row), "\n  %s ", jit_feature_of(&jit_aarch64, i)->name);
                if (!strstr(text, row))
                        fprintf(stderr, "LLVM has no feature%s\n", row + 2);
                CHECK(strstr(text, row));
        }
}

static void test_cores(void)
{
        struct jit_feature_set set;

        CHECK(!strcmp(jit_aarch64_model_of(0x411fd401), "neoverse-v1"));
        CHECK(!strcmp(jit_aarch64_model_of(0x461f0010), "a64fx"));
        CHECK(!jit_aarch64_model_of(0x410fffff) && !jit_aarch64_model_of(0));
        /* Every core that is named has a model. */
        for (uint64_t implementer = 0; implementer < 256; implementer++) {
                for (uint64_t part = 0; part < 4096; part++) {
                        const char *model = jit_aarch64_model_of(implementer << 24 | part << 4);
                        CHECK(!model || jit_model_features(&jit_aarch64, model, &set));
                }
        }
}

static void test_sorted(void)
{
        for (size_t i = 1; i < jit_aarch64.n_features; i++)
                CHECK(strcmp(jit_feature_of(&jit_aarch64, i - 1)->name,
                              jit_feature_of(&jit_aarch64, i)->name) < 0);
        for (size_t i = 0; i < jit_aarch64.n_features; i++) {
                const char *at = jit_aarch64_features[i].kernel;
                const char *word;
                size_t size;
                while (jit_word_next(&at, &word, &size)) {
                        bool known = false;
                        for (unsigned bit = 0; bit < 64 * JIT_AARCH64_HWCAPS; bit++) {
                                const char *name = jit_aarch64_hwcap_name(bit / 64, bit % 64);
                                known = known ||
                                        (name && strlen(name) == size && !memcmp(name, word, size));
                        }
                        if (!known)
                                fprintf(stderr, "Linux has no %.*s\n", (int)size, word);
                        CHECK(known);
                }
        }
}

int main(void)
{
        char source[] = "/tmp/test_aarch64_XXXXXX.s";
        int fd = mkstemps(source, 2);
        FILE *file = fdopen(fd, "w");

        REQUIRE(file);
        for (size_t i = 0; i < N_SAMPLES; i++)
                fprintf(file, "%s\n", samples[i].instruction);
        REQUIRE(fclose(file) == 0);
        test_sorted();
        test_levels();
        test_cores();
        if (system("llvm-mc-19 --version && clang-19 --version") == 0) {
                test_models(source);
                test_implications(source);
                test_names();
        } else {
                printf("not compared with LLVM: llvm-mc-19 or clang-19 is not there\n");
        }
        remove(source);
        return unit_report();
}
