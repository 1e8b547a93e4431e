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
                EXPECT(pthread_create(&asking[i].thread, NULL, ask_in_thread, &asking[i]) == 0);
        }
        for (size_t i = 0; i < N_ASKING; i++) {
                pthread_join(asking[i].thread, NULL);
                EXPECT(asking[i].answer.error == 0);
                harness_digest(asking[i].answer.fd, i == 0 ? first : other);
                EXPECT(i == 0 || strcmp(first, other) == 0);
        }
        struct stat st;
        EXPECT(fstat(asking[0].answer.fd, &st) == 0 && st.st_size == PROMISED);
        EXPECT(write(asking[0].answer.fd, "x", 1) < 0);
        for (size_t i = 0; i < N_ASKING; i++)
                harness_answer_done(&asking[i].answer);
        EXPECT(harness_counter(&harness, CACHE_COMPILES) == 1);
        harness_close(&harness);
}

static void test_later_sessions_hit(struct sample_image *image, struct jit_spawner *spawner)
{
        struct session_harness harness;
        int fd;
        harness_open(&harness, image, spawner, "cache", NULL, NULL);
        struct jit_program *program = harness_load(&harness, "bin/simple");
        EXPECT(jit_session_lookup(harness.session, program, &fd) == 0);
        _cleanup_free_ char *output = sample_run(image, fd);
        EXPECT(strcmp(output, "42\n") == 0);
        close(fd);
        EXPECT(harness_counter(&harness, CACHE_COMPILES) == 1);
        EXPECT(harness_counter(&harness, CACHE_HITS) == 1);
        jit_program_free(program);
        harness_close(&harness);
}

int main(void)
{
        struct jit_spawner *spawner = harness_spawner();
        struct sample_image image;
        sample_image_open(&image);
        add_simple(&image, "bin/simple");
        sample_image_close(&image);
        test_one_compile_for_many(&image, spawner);
        test_later_sessions_hit(&image, spawner);
        sample_image_done(&image);
        jit_spawner_stop(spawner);
        return 0;
}
