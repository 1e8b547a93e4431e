/* SPDX-License-Identifier: Apache-2.0 */
/* Which variant of a program a host gets, and why it gets none. */
#include "session_harness.h"

#include "fmt_cleanup.h"
#include "jit_spawner.h"

#include <string.h>

#define PROMISED (UINT64_C(1) << 20)

static const char hello[] = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n";

static void add_variant(struct fmt_record *record, const char *name, const char *required,
        const char *module_required, bool raw)
{
        struct fmt_variant *variant;
        struct fmt_input *input;
        const struct fmt_input *model = &record->variants[0].inputs[3];
        struct fmt_digest digest = model->digest;
        REQUIRE(fmt_record_add_variant(record, name, &variant) == 0);
        variant->recipe.kind = FMT_OUTPUT_PIE;
        variant->required = required ? strdup(required) : NULL;
        REQUIRE(fmt_variant_add_input(variant, &input) == 0);
        input->kind = FMT_INPUT_MODULE;
        input->digest = digest;
        input->size = 1;
        input->name = strdup("hello.c");
        input->module.required = module_required ? strdup(module_required) : NULL;
        input->module.raw = raw;
}

static struct fmt_record *start(struct sample_image *image)
{
        struct fmt_record *record = sample_record(image, FMT_OUTPUT_PIE);
        sample_module(image, record, "hello.c", hello, "", false);
        return record;
}

static void add_programs(struct sample_image *image)
{
        struct fmt_record *record = start(image);
        add_variant(record, "wide", "+avx2,+fma", NULL, false);
        add_variant(record, "some", "+sse4.2", NULL, false);
        add_variant(record, "never", "+avx512f,+xop,+tbm", NULL, false);
        sample_program(image, record, "bin/variants", PROMISED);

        record = start(image);
        record->variants[0].required = strdup("+xop");
        sample_program(image, record, "bin/unsupported", PROMISED);

        record = start(image);
        record->variants[0].inputs[3].module.required = strdup("+sse4.2,+avx512f");
        sample_program(image, record, "bin/module-unsupported", PROMISED);

        record = start(image);
        record->variants[0].inputs[3].module.raw = true;
        sample_program(image, record, "bin/raw", PROMISED);

        record = start(image);
        struct fmt_option *option;
        REQUIRE(fmt_variant_add_option(&record->variants[0], &option) == 0);
        option->text = strdup("--plugin=/tmp/evil.so");
        sample_program(image, record, "bin/option", PROMISED);
}

static void expect_variant(struct session_harness *harness, const char *name)
{
        struct jit_program *program = harness_load(harness, "bin/variants");
        const char *chosen = jit_program_variant(program)->name;
        if (strcmp(chosen, name) != 0 || jit_program_unsupported(program)) {
                fprintf(stderr, "%s: variant %s, expected %s\n", harness->target->label, chosen,
                        name);
                exit(1);
        }
        jit_program_free(program);
}

static void expect_unsupported(
        struct session_harness *harness, const char *path, const char *expected)
{
        struct jit_program *program = harness_load(harness, path);
        const char *why = jit_program_unsupported(program);
        int fd;
        if (!why || !strstr(why, expected)) {
                fprintf(stderr, "%s: %s, expected %s\n", path, why ? why : "supported", expected);
                exit(1);
        }
        REQUIRE(jit_session_lookup(harness->session, program, &fd) == -ENOENT);
        REQUIRE(jit_session_request(harness->session, program, NULL, NULL) == -ENOTSUP);
        jit_program_free(program);
}

static void test_target(struct sample_image *image, struct jit_spawner *spawner, const char *target,
        const char *wanted, const char *expected)
{
        struct session_harness harness;
        struct jit_options options = {.variant = wanted};
        harness_open(&harness, image, spawner, "cache", target, &options);
        expect_variant(&harness, expected);
        harness_close(&harness);
}

int main(void)
{
        struct jit_spawner *spawner = harness_spawner();
        struct sample_image image;
        struct session_harness harness;
        sample_image_open(&image);
        add_programs(&image);
        sample_image_close(&image);

        test_target(&image, spawner, "x86-64", NULL, "default");
        test_target(&image, spawner, "x86-64-v2", NULL, "some");
        test_target(&image, spawner, "x86-64-v3", NULL, "wide");
        test_target(&image, spawner, "x86-64-v3", "some", "some");
        test_target(&image, spawner, "x86-64-v3", "no-such-variant", "wide");

        harness_open(&harness, &image, spawner, "cache", "x86-64-v2", NULL);
        expect_unsupported(&harness, "bin/unsupported", "needs xop");
        expect_unsupported(&harness, "bin/module-unsupported", "needs avx512f");
        expect_unsupported(&harness, "bin/raw", "not packed");
        expect_unsupported(&harness, "bin/option", "option");
        harness_close(&harness);
        sample_image_done(&image);
        jit_spawner_stop(spawner);
        return 0;
}
