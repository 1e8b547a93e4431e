/* SPDX-License-Identifier: Apache-2.0 */
/* From a record to a program that runs; one compile however many ask; what fails, fails with a
 * sentence and leaves nothing behind. */
#include "session_harness.h"

#include "fmt_cleanup.h"
#include "jit_spawner.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#define PROMISED (UINT64_C(1) << 20)

static const char main_source[] = "#include <stdio.h>\n"
                                  "int twice(int);\n"
                                  "int main(void) { printf(\"%d\\n\", twice(21)); return 0; }\n";
static const char twice_source[] = "int twice(int x) { return 2 * x; }\n";

static void add_simple(struct sample_image *image, const char *path)
{
        struct fmt_record *record = sample_record(image, FMT_OUTPUT_PIE);
        sample_module(image, record, "src/main.c", main_source, "", false);
        sample_module(image, record, "src/twice.c", twice_source, "", false);
        sample_program(image, record, path, PROMISED);
}

/* ---- one key, many requests ---- */

#define N_ASKING 50

struct asking {
        struct session_harness *harness;
        struct harness_answer answer;
        pthread_t thread;
};

static void *ask_in_thread(void *context)
{
        struct asking *asking = context;
        harness_ask(asking->harness, "bin/simple", &asking->answer);
        return NULL;
}

static void test_one_compile_for_many(struct sample_image *image, struct jit_spawner *spawner)
{
        struct session_harness harness;
        struct asking asking[N_ASKING] = {0};
        char first[FMT_DIGEST_HEX_SIZE], other[FMT_DIGEST_HEX_SIZE];
        harness_open(&harness, image, spawner, "cache", NULL, NULL);
        for (size_t i = 0; i < N_ASKING; i++) {
                asking[i].harness = &harness;
                REQUIRE(pthread_create(&asking[i].thread, NULL, ask_in_thread, &asking[i]) == 0);
        }
        for (size_t i = 0; i < N_ASKING; i++) {
                pthread_join(asking[i].thread, NULL);
                REQUIRE(asking[i].answer.error == 0);
                harness_digest(asking[i].answer.fd, i == 0 ? first : other);
                REQUIRE(i == 0 || strcmp(first, other) == 0);
        }
        struct stat st;
        REQUIRE(fstat(asking[0].answer.fd, &st) == 0 && st.st_size == PROMISED);
        REQUIRE(write(asking[0].answer.fd, "x", 1) < 0);
        for (size_t i = 0; i < N_ASKING; i++)
                harness_answer_done(&asking[i].answer);
        REQUIRE(harness_counter(&harness, CACHE_COMPILES) == 1);
        harness_close(&harness);
}

static void test_later_sessions_hit(struct sample_image *image, struct jit_spawner *spawner)
{
        struct session_harness harness;
        int fd;
        harness_open(&harness, image, spawner, "cache", NULL, NULL);
        struct jit_program *program = harness_load(&harness, "bin/simple");
        REQUIRE(jit_session_lookup(harness.session, program, &fd) == 0);
        _cleanup_free_ char *output = sample_run(image, fd);
        REQUIRE(strcmp(output, "42\n") == 0);
        close(fd);
        REQUIRE(harness_counter(&harness, CACHE_COMPILES) == 1);
        REQUIRE(harness_counter(&harness, CACHE_HITS) == 1);
        jit_program_free(program);
        harness_close(&harness);
}

/* ---- what ld.lld would do differently ---- */

static void add_constructors(struct sample_image *image)
{
        static const char announce[] =
                "#include <stdio.h>\n"
                "__attribute__((constructor)) static void say(void) { putchar(NAME); }\n"
                "__attribute__((constructor(200))) static void first(void) { putchar(NAME - 32); "
                "}\n"
                "__attribute__((destructor)) static void end(void) { putchar(NAME); }\n";
        struct fmt_record *record = sample_record(image, FMT_OUTPUT_PIE);
        sample_module(image, record, "a.c", announce, "-DNAME=97", false);
        sample_native(image, record, "n.o", announce, "-DNAME=110")->has_constructors = true;
        sample_module(image, record, "b.c", announce, "-DNAME=98", false);
        sample_module(image, record, "main.c",
                "#include <stdio.h>\nint main(void) { putchar(124); return 0; }\n", "", false);
        sample_program(image, record, "bin/constructors", PROMISED);
}

static void test_constructor_order(struct sample_image *image, struct jit_spawner *spawner)
{
        struct session_harness harness;
        harness_open(&harness, image, spawner, "cache", NULL, NULL);
        _cleanup_free_ char *output = harness_ask_and_run(&harness, "bin/constructors");
        REQUIRE(strcmp(output, "ANBanb|bna") == 0);
        harness_close(&harness);
}

/* ---- the same bytes, however they are made ---- */

static void test_determinism(struct sample_image *image, struct jit_spawner *spawner)
{
        static const char *const paths[] = {"bin/simple", "bin/constructors"};
        for (size_t i = 0; i < 2; i++) {
                char digests[3][FMT_DIGEST_HEX_SIZE], cache[16];
                for (unsigned threads = 1; threads <= 3; threads++) {
                        struct session_harness harness;
                        struct harness_answer answer;
                        struct jit_options options = {.threads = threads};
                        snprintf(cache, sizeof cache, "cache-%zu-%u", i, threads);
                        harness_open(&harness, image, spawner, cache, NULL, &options);
                        harness_ask(&harness, paths[i], &answer);
                        REQUIRE(answer.error == 0);
                        harness_digest(answer.fd, digests[threads - 1]);
                        harness_answer_done(&answer);
                        harness_close(&harness);
                }
                REQUIRE(strcmp(digests[0], digests[1]) == 0 && strcmp(digests[0], digests[2]) == 0);
        }
}

int main(void)
{
        struct jit_spawner *spawner = harness_spawner();
        struct sample_image image;
        sample_image_open(&image);
        add_simple(&image, "bin/simple");
        add_constructors(&image);
        sample_image_close(&image);
        test_one_compile_for_many(&image, spawner);
        test_later_sessions_hit(&image, spawner);
        test_constructor_order(&image, spawner);
        test_determinism(&image, spawner);
        sample_image_done(&image);
        jit_spawner_stop(spawner);
        return 0;
}
