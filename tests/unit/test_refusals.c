/* SPDX-License-Identifier: Apache-2.0 */
/* What is not as its record promises is not served, and the reason says so. */
#include "session_harness.h"

#include "fmt_cleanup.h"
#include "jit_spawner.h"

#include <string.h>

#define PROMISED (UINT64_C(1) << 20)

static const char hello[] = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n";
static const char library[] = "int answer(void) { return 42; }\nint other(void) { return 1; }\n";
/* Enough work on vectors for the compiler to use what it is allowed to. */
static const char vectors[] = "void scale(float *x, int n)\n"
                              "{ for (int i = 0; i < n; i++) x[i] = x[i] * 2 + 1; }\n";
static const char vector_main[] = "#include <stdio.h>\nvoid scale(float *, int);\n"
                                  "float x[100] = {1};\n"
                                  "int main(void) { scale(x, 100); printf(\"%g\\n\", x[0]);"
                                  " return 0; }\n";

#define LONG_PATH (100 << 10)

/* Small libraries that each go wrong, or nearly, in one way. */
static void add_libraries(struct sample_image *image)
{
        struct fmt_record *record = sample_record(image, FMT_OUTPUT_SHARED);
        sample_module(image, record, "answer.c", library, "", false);
        REQUIRE(fmt_strings_append(&record->variants[0].exports, "answer") == 0);
        sample_program(image, record, "lib/exports-more", PROMISED);

        record = sample_record(image, FMT_OUTPUT_SHARED);
        sample_module(image, record, "answer.c", library, "", false);
        REQUIRE(fmt_strings_append(&record->variants[0].exports, "answer") == 0);
        REQUIRE(fmt_strings_append(&record->variants[0].exports, "missing") == 0);
        REQUIRE(fmt_strings_append(&record->variants[0].exports, "other") == 0);
        sample_program(image, record, "lib/exports-less", PROMISED);

        record = sample_record(image, FMT_OUTPUT_SHARED);
        sample_module(image, record, "answer.c", library, "", false);
        REQUIRE(fmt_strings_append(&record->variants[0].exports, "answer") == 0);
        REQUIRE(fmt_strings_append(&record->variants[0].exports, "other") == 0);
        /* Words reach the linker as they are, also when they are more than a pipe holds. */
        free(record->variants[0].recipe.soname);
        record->variants[0].recipe.soname = strdup("lib \"it's\" \\right.so");
        record->variants[0].recipe.rpath = calloc(1, LONG_PATH + 1);
        REQUIRE(record->variants[0].recipe.rpath);
        memset(record->variants[0].recipe.rpath, 'r', LONG_PATH);
        sample_program(image, record, "lib/right", PROMISED);
}

/* And programs. */
static void add_programs(struct sample_image *image)
{
        struct fmt_record *record = sample_record(image, FMT_OUTPUT_PIE);
        sample_module(image, record, "hello.c", hello, "", false);
        REQUIRE(fmt_strings_append(&record->variants[0].exports, "not_there") == 0);
        sample_program(image, record, "bin/exports-less", PROMISED);

        record = sample_record(image, FMT_OUTPUT_PIE);
        sample_module(image, record, "hello.c", hello, "", false);
        sample_program(image, record, "bin/too-large", 4096);

        record = sample_record(image, FMT_OUTPUT_PIE);
        sample_module(image, record, "main.c", vector_main, "", false);
        sample_module(image, record, "src/scale.c", vectors, "-mavx2", true);
        sample_program(image, record, "bin/beyond", PROMISED);

        record = sample_record(image, FMT_OUTPUT_PIE);
        sample_module(image, record, "main.c", vector_main, "", false);
        sample_module(image, record, "src/scale.c", vectors, "-mavx2", true)->module.extras =
                strdup("+avx,+avx2");
        sample_program(image, record, "bin/asked-for", PROMISED);

        record = sample_record(image, FMT_OUTPUT_PIE);
        sample_module(image, record, "main.c", vector_main, "", false);
        sample_native(image, record, "scale.o", vectors, "-mavx2");
        sample_program(image, record, "bin/native-beyond", PROMISED);

        record = sample_record(image, FMT_OUTPUT_PIE);
        sample_module(image, record, "hello.c", hello, "", false);
        sample_module(image, record, "answer.c", library, "", false);
        sample_bytes(image, record, "src/garbage.c", "BC\xc0\xde not bitcode at all", 24);
        sample_program(image, record, "bin/garbage", PROMISED);

        record = sample_record(image, FMT_OUTPUT_PIE);
        sample_module(image, record, "main.c", vector_main, "", false);
        sample_program(image, record, "bin/undefined", PROMISED);

        record = sample_record(image, FMT_OUTPUT_PIE);
        sample_module(image, record, "main.c", vector_main, "", false)->module.has_extras = true;
        struct fmt_input *wide =
                sample_module(image, record, "src/scale.c", vectors, "-mavx2", true);
        wide->module.has_extras = true;
        wide->module.extras = strdup("+avx,+avx2");
        sample_program(image, record, "bin/rewritten", PROMISED);

        record = sample_record(image, FMT_OUTPUT_PIE);
        sample_module(image, record, "hello.c", hello, "", false)->module.has_extras = true;
        sample_bytes(image, record, "src/odd.c", "BC\xc0\xde not bitcode at all", 24)
                ->module.has_extras = true;
        sample_program(image, record, "bin/not-rewritten", PROMISED);
}

/* Little in the image, more than any memory when it is handed to a worker. */
static void add_endless(struct sample_image *image)
{
        enum { SIZE = 32 << 20 };
        _cleanup_free_ void *zeroes = calloc(1, SIZE);
        struct fmt_record *record = sample_record(image, FMT_OUTPUT_PIE);
        REQUIRE(zeroes);
        struct fmt_digest digest = sample_bytes(image, record, "src/0.c", zeroes, SIZE)->digest;
        for (int i = 1; i < 64; i++) {
                char name[32];
                snprintf(name, sizeof name, "src/%d.c", i);
                sample_bytes(image, record, name, "x", 1)->digest = digest;
        }
        sample_program(image, record, "bin/endless", PROMISED);
}

/* Bitcode can make the assembler read any file that its process can open: none of ours. */
static void add_readers(struct sample_image *image)
{
        static const char *const files[] = {
                "/etc/passwd", "/etc/ld.so.cache", "/proc/self/environ", "/proc/self/maps"};
        for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
                char text[256], path[32];
                struct fmt_record *record = sample_record(image, FMT_OUTPUT_PIE);
                snprintf(text, sizeof text,
                        "__asm__(\".data\\n.incbin \\\"%s\\\"\\n\");\n"
                        "int main(void) { return 0; }\n",
                        files[i]);
                sample_module(image, record, "src/reader.c", text, "-fno-integrated-as", false);
                snprintf(path, sizeof path, "bin/reader-%zu", i);
                sample_program(image, record, path, PROMISED);
        }
}

/* PATH is refused with ERROR, and the reason holds EXPECTED. */
static void expect_refusal(
        struct session_harness *harness, const char *path, int error, const char *expected)
{
        struct harness_answer answer;
        harness_ask(harness, path, &answer);
        if (answer.error != error || !answer.reason || !strstr(answer.reason, expected)) {
                fprintf(stderr, "%s: %d (%s), expected %d (…%s…)\n", path, answer.error,
                        answer.reason ? answer.reason : "no reason", error, expected);
                exit(1);
        }
        REQUIRE(answer.fd < 0);
        harness_answer_done(&answer);
}

static void expect_success(struct session_harness *harness, const char *path)
{
        struct harness_answer answer;
        harness_ask(harness, path, &answer);
        if (answer.error < 0)
                fprintf(stderr, "%s: %s\n", path, answer.reason);
        REQUIRE(answer.error == 0);
        harness_answer_done(&answer);
}

/* What a worker has started goes with it, even a linker that was never told what to link. */
static void expect_nothing_left(void)
{
        char path[64];
        int spawner = 0, left;
        snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
        _cleanup_fclose_ FILE *ours = fopen(path, "re");
        REQUIRE(ours && fscanf(ours, "%d", &spawner) == 1);
        snprintf(path, sizeof path, "/proc/%d/task/%d/children", spawner, spawner);
        for (bool some = true; some; usleep(1000)) {
                _cleanup_fclose_ FILE *its = fopen(path, "re");
                REQUIRE(its);
                some = fscanf(its, "%d", &left) == 1;
        }
}

static void test_endless(struct sample_image *image, struct jit_spawner *spawner)
{
        struct session_harness harness;
        struct jit_options options = {.memory_limit = UINT64_C(1) << 30};
        harness_open(&harness, image, spawner, "endless", NULL, &options);
        expect_refusal(&harness, "bin/endless", -EFBIG, "src/31.c cannot be read");
        harness_close(&harness);
}

int main(void)
{
        struct jit_spawner *spawner = harness_spawner();
        struct sample_image image;
        struct session_harness harness;
        sample_image_open(&image);
        add_libraries(&image);
        add_programs(&image);
        add_readers(&image);
        add_endless(&image);
        sample_image_close(&image);
        harness_open(&harness, &image, spawner, "cache", "x86-64-v2", NULL);

        expect_refusal(&harness, "lib/exports-more", -EBADMSG, "exports other");
        expect_refusal(&harness, "lib/exports-less", -EBADMSG, "does not export missing");
        expect_success(&harness, "lib/right");
        expect_refusal(&harness, "bin/exports-less", -EBADMSG, "does not export not_there");
        expect_refusal(&harness, "bin/too-large", -EFBIG, "4096");
        expect_refusal(&harness, "bin/beyond", -EBADMSG, "src/scale.c");
        expect_refusal(&harness, "bin/beyond", -EBADMSG, "needs avx");
        expect_success(&harness, "bin/asked-for");
        expect_success(&harness, "bin/native-beyond");
        expect_refusal(&harness, "bin/garbage", -EBADMSG, "src/garbage.c");
        expect_refusal(&harness, "bin/undefined", -EBADMSG, "undefined symbol: scale");

        for (int i = 0; i < 4; i++) {
                char path[32];
                snprintf(path, sizeof path, "bin/reader-%d", i);
                expect_refusal(&harness, path, -EBADMSG, "incbin");
        }

        expect_success(&harness, "bin/rewritten");
        expect_refusal(&harness, "bin/not-rewritten", -EBADMSG, "src/odd.c cannot be rewritten");
        expect_nothing_left();

        REQUIRE(harness_counter(&harness, CACHE_COMPILES) == 4);
        REQUIRE(harness_counter(&harness, CACHE_COMPILES_FAILED) == 12);
        harness_close(&harness);
        test_endless(&image, spawner);
        sample_image_done(&image);
        jit_spawner_stop(spawner);
        return 0;
}
