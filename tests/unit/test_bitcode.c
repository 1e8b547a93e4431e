/* SPDX-License-Identifier: Apache-2.0 */
/* Normalising many modules through confined processes: right answers in the right slots, and damage
 * that stays with the module that has it. Modules are compiled by clang when the test runs. */
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "jit_bitcode.h"
#include "jit_bitcode_protocol.h"
#include "unit_check.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MODULES 150

static char folder[] = "/tmp/xaasfs-bitcode-XXXXXX";

struct bytes {
        void *data;
        size_t size;
};

static struct bytes read_file(const char *name)
{
        char path[128];
        struct bytes bytes = {0};
        snprintf(path, sizeof(path), "%s/%s", folder, name);
        FILE *file = fopen(path, "re");
        REQUIRE(file);
        struct stat st;
        REQUIRE(fstat(fileno(file), &st) == 0);
        bytes.size = (size_t)st.st_size;
        bytes.data = malloc(bytes.size + 1);
        REQUIRE(bytes.data && fread(bytes.data, 1, bytes.size, file) == bytes.size);
        fclose(file);
        return bytes;
}

/* Compiles SOURCE to a module; REST goes on the command line. */
static struct bytes compile(const char *source, const char *rest)
{
        char command[512];
        snprintf(command, sizeof(command), "%s/m.c", folder);
        FILE *file = fopen(command, "we");
        REQUIRE(file && fputs(source, file) >= 0 && fclose(file) == 0);
        snprintf(command, sizeof(command),
                "clang-19 --target=x86_64-pc-linux-gnu %s -c %s/m.c -o %s/m.bc", rest, folder,
                folder);
        REQUIRE(system(command) == 0);
        return read_file("m.bc");
}

static struct bytes compile_ir(const char *text)
{
        char command[512];
        snprintf(command, sizeof(command), "%s/m.ll", folder);
        FILE *file = fopen(command, "we");
        REQUIRE(file && fputs(text, file) >= 0 && fclose(file) == 0);
        snprintf(command, sizeof(command), "llvm-as-19 %s/m.ll -o %s/m.bc", folder, folder);
        REQUIRE(system(command) == 0);
        return read_file("m.bc");
}

static size_t last_done;

static void count(void *context, size_t done, size_t total)
{
        CHECK(context == &last_done && done > last_done && done <= total && total == MODULES);
        last_done = done;
}

#define HEAD                                                                                       \
        "target triple = \"x86_64-pc-linux-gnu\"\n"                                                \
        "!llvm.module.flags = !{!0}\n!0 = !{i32 1, !\"EnableSplitLTOUnit\", i32 0}\n"

/* Every kind of module many times over, in several processes: each slot must hold what belongs
 * there. */
static void test_many(struct jit_spawner *spawner)
{
        struct bytes good = compile("int f(int x) { return x * 3; }", "-O2 -flto=thin");
        struct bytes extras = compile(
                "__attribute__((target(\"avx2\"))) int f(int x) { return x; }", "-O2 -flto=thin");
        struct bytes full = compile("int f(int x) { return x; }", "-O2 -flto");
        /* LLVM ends the process over this one. */
        struct bytes fatal = compile_ir(HEAD "@llvm.embedded.module = constant i8 0\n");
        struct bytes damaged = compile("int f(int x) { return x; }", "-O2 -flto=thin");
        struct jit_bitcode_input inputs[MODULES];
        struct jit_bitcode_result results[MODULES];

        memset((char *)damaged.data + damaged.size / 2, 0xff, damaged.size / 4);
        const struct bytes *kinds[] = {&good, &extras, &full, &fatal, &damaged};
        for (size_t i = 0; i < MODULES; i++)
                inputs[i] = (struct jit_bitcode_input){
                        kinds[i * 7 % 5]->data, kinds[i * 7 % 5]->size, "m"};
        REQUIRE(jit_bitcode_normalise(
                        spawner, inputs, MODULES, false, 4, count, &last_done, results) == 0);
        CHECK(last_done == MODULES);
        for (size_t i = 0; i < MODULES; i++) {
                struct jit_bitcode_result *result = &results[i];
                switch (i * 7 % 5) {
                case 0:
                        CHECK(result->error == 0 && result->size > 100 && !result->reason);
                        CHECK(!result->facts.has_extras && !result->facts.required);
                        CHECK(result->size == results[0].size &&
                                !memcmp(result->data, results[0].data, result->size));
                        break;
                case 1:
                        CHECK(result->error == 0 && result->facts.has_extras);
                        CHECK(result->facts.extras && strstr(result->facts.extras, "+avx2"));
                        break;
                case 2:
                        CHECK(result->error == -EBADMSG && strstr(result->reason, "full LTO"));
                        break;
                case 3:
                        CHECK(result->error == -EBADMSG && strstr(result->reason, "gave up"));
                        CHECK(strstr(result->reason, "embed"));
                        break;
                default:
                        CHECK(result->error == -EBADMSG && result->reason && !result->data);
                }
        }
        for (size_t i = 0; i < MODULES; i++)
                jit_bitcode_result_done(&results[i]);
        for (size_t i = 0; i < 5; i++)
                free(kinds[i]->data);
}

static void test_not_optimised(struct jit_spawner *spawner)
{
        struct bytes module = compile("int f(int x) { return x; }", "-O0 -flto=thin");
        struct jit_bitcode_input input = {module.data, module.size, "m"};
        struct jit_bitcode_result result;

        CHECK(jit_bitcode_normalise(spawner, &input, 1, false, 1, NULL, NULL, &result) == 0);
        CHECK(result.error == 0 && result.not_optimised);
        jit_bitcode_result_done(&result);
        free(module.data);
}

static void test_nothing(struct jit_spawner *spawner)
{
        struct jit_bitcode_result result;
        struct jit_bitcode_input empty = {"", 0, "empty"};

        CHECK(jit_bitcode_normalise(spawner, NULL, 0, false, 8, NULL, NULL, &result) == 0);
        CHECK(jit_bitcode_normalise(spawner, &empty, 1, false, 8, NULL, NULL, &result) == 0);
        CHECK(result.error == -EBADMSG && result.reason);
        jit_bitcode_result_done(&result);
}

/* Flips, cuts and moves of bytes: whatever LLVM makes of them, every module gets an answer, and the
 * good one in between is read as if they were not there. */
static void test_damage(struct jit_spawner *spawner)
{
        uint64_t state = unit_seed();
        struct bytes good =
                compile("#include <stdio.h>\nstatic int g(int x) { return x * 7; }\n"
                        "__asm__(\".symver f, f@V1\");\n"
                        "int f(int x) { printf(\"%d\", x); return g(x) + 1; }\n"
                        "__attribute__((target(\"avx2\"))) int h(int x) { return x; }\n",
                        "-O2 -g -flto=thin");
        struct jit_bitcode_input inputs[MODULES];
        struct jit_bitcode_result results[MODULES];
        size_t accepted = 0;

        for (size_t i = 0; i < MODULES; i++) {
                unsigned char *copy = malloc(good.size);
                size_t size = good.size;
                REQUIRE(copy);
                memcpy(copy, good.data, size);
                for (uint64_t flips = i % 10 ? 1 + unit_random(&state) % 6 : 0; flips; flips--)
                        copy[unit_random(&state) % size] ^=
                                (unsigned char)(1 + unit_random(&state) % 255);
                if (i % 10 == 7)
                        size = unit_random(&state) % size;
                if (i % 10 == 8)
                        memmove(copy + size / 3, copy + unit_random(&state) % (size / 2), size / 8);
                inputs[i] = (struct jit_bitcode_input){copy, size, "damaged"};
        }
        REQUIRE(jit_bitcode_normalise(spawner, inputs, MODULES, false, 2, NULL, NULL, results) ==
                0);
        for (size_t i = 0; i < MODULES; i++) {
                CHECK(results[i].error == 0 || results[i].error == -EBADMSG);
                CHECK((results[i].error == 0) == (results[i].data != NULL));
                CHECK((results[i].error == 0) == (results[i].reason == NULL));
                CHECK(i % 10 ||
                        (results[i].error == 0 && results[i].size == results[0].size &&
                                !memcmp(results[i].data, results[0].data, results[0].size)));
                accepted += results[i].error == 0;
        }
        printf("%zu of %d damaged modules were read\n", accepted, MODULES);
        for (size_t i = 0; i < MODULES; i++) {
                jit_bitcode_result_done(&results[i]);
                free((void *)inputs[i].data);
        }
        free(good.data);
}

/* A program that dies without a word, or that answers nonsense. */
static void test_broken_companion(struct jit_spawner *spawner)
{
        static const char *const scripts[] = {"#!/bin/sh\nkill -9 $$\n",
                "#!/bin/sh\nhead -c 4096 /dev/zero\n", "#!/bin/sh\necho no memory >&2\nexit 3\n"};
        static const char *const expected[] = {
                "crashed on it (Killed)", "gave up on it", "gave up on it: no memory"};
        const char *libexec = getenv("XAASFS_LIBEXEC");
        _cleanup_free_ char *before = libexec ? strdup(libexec) : NULL;
        struct jit_bitcode_input inputs[] = {{"a", 1, "a"}, {"b", 1, "b"}, {"c", 1, "c"}};
        struct jit_bitcode_result results[3];
        char path[128];

        setenv("XAASFS_LIBEXEC", folder, 1);
        CHECK(jit_bitcode_normalise(spawner, inputs, 3, false, 2, NULL, NULL, results) == -ENOENT);
        snprintf(path, sizeof(path), "%s/%s", folder, JIT_BITCODE_PROGRAM);
        for (size_t i = 0; i < 3; i++) {
                FILE *file = fopen(path, "we");
                REQUIRE(file && fputs(scripts[i], file) >= 0 && fclose(file) == 0);
                REQUIRE(chmod(path, 0755) == 0);
                CHECK(jit_bitcode_normalise(spawner, inputs, 3, false, 1, NULL, NULL, results) ==
                        0);
                for (size_t j = 0; j < 3; j++) {
                        CHECK(results[j].error == -EBADMSG && results[j].reason &&
                                strstr(results[j].reason, expected[i]));
                        jit_bitcode_result_done(&results[j]);
                }
        }
        FILE *full = fopen(path, "we");
        REQUIRE(full && fputs("#!/bin/sh\nexit 74\n", full) >= 0 && fclose(full) == 0);
        CHECK(jit_bitcode_normalise(spawner, inputs, 3, false, 1, NULL, NULL, results) == -ENOSPC);
        unlink(path);
        if (before)
                setenv("XAASFS_LIBEXEC", before, 1);
        else
                unsetenv("XAASFS_LIBEXEC");
}

/* ---- the protocol ---- */

static void test_protocol(void)
{
        _cleanup_close_ int fd = memfd_create("test", MFD_CLOEXEC);
        struct jit_bitcode_answer written = {.flags = JIT_BITCODE_HAS_EXTRAS,
                .data = "module",
                .size = 6,
                .reason = "",
                .required = "+avx",
                .required_size = 4,
                .extras = "+sse3",
                .extras_size = 5};
        struct jit_bitcode_answer refused = {.error = -EBADMSG,
                .data = "",
                .reason = "why",
                .reason_size = 3,
                .required = "",
                .extras = ""};
        struct jit_bitcode_answer answer;
        const void *data;
        size_t size;
        size_t offset = 0;

        CHECK(jit_bitcode_reply(fd, &written) == 0 && jit_bitcode_reply(fd, &refused) == 0);
        CHECK(jit_bitcode_map(fd, &data, &size) == 0 && size % 8 == 0);
        CHECK(jit_bitcode_next_answer(data, size, &offset, &answer) == 1);
        CHECK(answer.error == 0 && answer.size == 6 && !memcmp(answer.data, "module", 6));
        CHECK(answer.flags == JIT_BITCODE_HAS_EXTRAS && answer.extras_size == 5 &&
                !memcmp(answer.extras, "+sse3", 5) && !memcmp(answer.required, "+avx", 4));
        CHECK(jit_bitcode_next_answer(data, size, &offset, &answer) == 1);
        CHECK(answer.error == -EBADMSG && !memcmp(answer.reason, "why", 3));
        CHECK(jit_bitcode_next_answer(data, size, &offset, &answer) == 0);
        /* Cut off anywhere: never an answer beyond the end. */
        for (size_t cut = 1; cut < size; cut++) {
                char *part = malloc(cut);
                REQUIRE(part);
                memcpy(part, data, cut);
                offset = 0;
                int more;
                while ((more = jit_bitcode_next_answer(part, cut, &offset, &answer)) > 0)
                        CHECK(offset <= cut);
                CHECK(more == -EBADMSG || offset == cut);
                free(part);
        }
}

static void test_protocol_noise(void)
{
        uint64_t state = unit_seed();
        _cleanup_close_ int fd = memfd_create("test", MFD_CLOEXEC);
        struct jit_bitcode_answer written = {
                .data = "module", .size = 6, .reason = "", .required = "", .extras = ""};
        struct jit_bitcode_question question = {.data = "module", .size = 6};
        const void *data;
        size_t size;

        CHECK(jit_bitcode_ask(fd, &question) == 0 && jit_bitcode_reply(fd, &written) == 0);
        CHECK(jit_bitcode_map(fd, &data, &size) == 0);
        for (int round = 0; round < 20000; round++) {
                unsigned char *copy = malloc(size);
                struct jit_bitcode_answer answer;
                REQUIRE(copy);
                memcpy(copy, data, size);
                for (int i = 0; i < 3; i++)
                        copy[unit_random(&state) % size] = (unsigned char)unit_random(&state);
                size_t offset = 32;
                while (jit_bitcode_next_answer(copy, size, &offset, &answer) > 0)
                        CHECK(offset <= size && answer.size <= size);
                offset = 0;
                while (jit_bitcode_next_question(copy, size, &offset, &question) > 0)
                        CHECK(offset <= size && question.size <= size);
                free(copy);
        }
}

static void tidy(void)
{
        static const char *const files[] = {"m.c", "m.ll", "m.bc"};
        char path[128];

        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
                snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
                unlink(path);
        }
        rmdir(folder);
}

int main(void)
{
        struct jit_spawner *spawner;

        fmt_log_setup("test_bitcode (expected)", FMT_LOG_ERROR);
        test_protocol();
        test_protocol_noise();
        if (system("clang-19 --version >/dev/null 2>&1 && llvm-as-19 --version >/dev/null") != 0) {
                printf("skipped: there is no clang-19 to compile modules with\n");
                return unit_report() ? 1 : 77;
        }
        REQUIRE(mkdtemp(folder));
        REQUIRE(jit_spawner_start(NULL, &spawner) == 0);
        test_many(spawner);
        test_not_optimised(spawner);
        test_nothing(spawner);
        test_damage(spawner);
        test_broken_companion(spawner);
        jit_spawner_stop(spawner);
        tidy();
        return unit_report();
}
