/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged bitcode, which crashes ld.lld now and then, is an answer with a reason: never a hang, a
 * dead session or something left behind. The seed is printed; give it as an argument to replay. */
#include "session_harness.h"

#include "fmt_cleanup.h"
#include "jit_spawner.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define PROMISED (UINT64_C(1) << 20)
#define N_MUTANTS 16

static const char source[] =
        "#include <stdio.h>\n#include <string.h>\n"
        "static double table[64];\n"
        "double sum(const double *x, int n) { double s = 0; for (int i = 0; i < n; i++)"
        " s += x[i] * table[i & 63]; return s; }\n"
        "int parse(const char *text) { switch (text[0]) { case 'a': return 1; case 'b': return 22;"
        " case 'c': return strlen(text); case 'd': return printf(\"%s\", text); } return 0; }\n";

static void add_mutant(struct sample_image *image, const char *bitcode, size_t size, unsigned index)
{
        char path[16];
        struct fmt_record *record = sample_record(image, FMT_OUTPUT_SHARED);
        _cleanup_free_ char *copy = malloc(size);
        REQUIRE(copy);
        memcpy(copy, bitcode, size);
        for (int flips = 1 + rand() % 6; flips > 0; flips--)
                copy[(size_t)rand() % size] ^= (char)(1 << rand() % 8);
        REQUIRE(fmt_strings_append(&record->variants[0].exports, "parse") == 0);
        REQUIRE(fmt_strings_append(&record->variants[0].exports, "sum") == 0);
        struct fmt_input *input = sample_bytes(image, record, "src/mutant.c", copy, size);
        input->module.has_extras = index % 2;
        snprintf(path, sizeof path, "lib/%02u", index);
        sample_program(image, record, path, PROMISED);
}

int main(int argc, char **argv)
{
        struct jit_spawner *spawner = harness_spawner();
        struct sample_image image;
        struct session_harness harness;
        struct jit_options options = {.deadline_s = 60};
        unsigned seed = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : (unsigned)time(NULL);
        printf("seed %u\n", seed);
        srand(seed);
        sample_image_open(&image);
        size_t size;
        _cleanup_free_ char *bitcode = sample_bitcode(&image, source, "", false, &size);
        for (unsigned i = 0; i < N_MUTANTS; i++)
                add_mutant(&image, bitcode, size, i);
        sample_image_close(&image);
        harness_open(&harness, &image, spawner, "cache", NULL, &options);
        for (unsigned i = 0; i < N_MUTANTS; i++) {
                char path[16];
                struct harness_answer answer;
                snprintf(path, sizeof path, "lib/%02u", i);
                harness_ask(&harness, path, &answer);
                REQUIRE((answer.error == 0) == (answer.fd >= 0));
                REQUIRE((answer.error == 0) == (answer.reason == NULL));
                REQUIRE(answer.error != -ETIMEDOUT);
                harness_answer_done(&answer);
        }
        REQUIRE(harness_counter(&harness, CACHE_COMPILES) +
                        harness_counter(&harness, CACHE_COMPILES_FAILED) ==
                N_MUTANTS);
        harness_close(&harness);
        sample_image_done(&image);
        jit_spawner_stop(spawner);
        return 0;
}
