/* SPDX-License-Identifier: Apache-2.0 */
/* One program compiled by every policy: what its code holds, what it prints, and that no policy's
 * result is taken for another's. */
#include "session_harness.h"

#include "fmt_cleanup.h"
#include "jit_choice.h"
#include "jit_spawner.h"

#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#define PROMISED (UINT64_C(1) << 20)
#define TARGET "x86-64-v3" /* has FMA and 256-bit vectors */

/* The last digit of the recurrence depends on whether a product is rounded before the sum. */
static const char main_source[] =
        "#include <stdio.h>\n"
        "#include <stdlib.h>\n"
        "double step(double a, double b, double c);\n"
        "void scale(float *restrict to, const float *restrict from, int n);\n"
        "int main(int argc, char **argv) {\n"
        "        double x = 0.1 * argc;\n"
        "        static float to[1000], from[1000];\n"
        "        for (int i = 0; i < 1000; i++) from[i] = (float)(i + argc);\n"
        "        for (int i = 0; i < 5000; i++) x = step(x, 0.9999, 1.0 / (i + argc));\n"
        "        scale(to, from, 1000);\n"
        "        printf(\"%.17g %g\\n\", x, to[999]);\n"
        "        return 0;\n"
        "}\n";
static const char step_source[] = "double step(double a, double b, double c)\n"
                                  "{ return a * b + c * a - c; }\n";
static const char scale_source[] =
        "__attribute__((noinline)) void scale(float *restrict to, const float *restrict from, "
        "int n)\n"
        "{ for (int i = 0; i < n; i++) to[i] = from[i] * 3.0f; }\n";
/* Asks for more than the target has been told, which full LTO must not lose. */
static const char wide_source[] =
        "#include <immintrin.h>\n"
        "__attribute__((target(\"bmi2\"), noinline, used)) unsigned long long spread("
        "unsigned long long x) { return _pdep_u64(x, 0x5555555555555555ull); }\n";

static struct sample_image image;
static struct jit_spawner *spawner;

static void add_program(void)
{
        struct fmt_record *record = sample_record(&image, FMT_OUTPUT_PIE);
        sample_module(&image, record, "main.c", main_source, "", false);
        sample_module(&image, record, "step.c", step_source, "", false);
        sample_module(&image, record, "scale.c", scale_source, "", false);
        struct fmt_input *wide = sample_module(&image, record, "wide.c", wide_source, "", true);
        wide->module.has_extras = true;
        wide->module.extras = strdup("+bmi2");
        sample_program(&image, record, "bin/digits", PROMISED);
}

struct compiled {
        char *output;
        char *code; /* disassembled */
        char key[FMT_DIGEST_HEX_SIZE];
};

static char *disassemble(int fd)
{
        char path[200], command[300];
        struct stat st;
        snprintf(path, sizeof path, "%s/program", image.folder);
        FILE *file = fopen(path, "w");
        REQUIRE(file != NULL && fstat(fd, &st) == 0);
        off_t offset = 0;
        while (offset < st.st_size)
                REQUIRE(sendfile(fileno(file), fd, &offset, (size_t)(st.st_size - offset)) > 0);
        fclose(file);
        snprintf(command, sizeof command, "llvm-objdump-19 -d --no-show-raw-insn %s", path);
        FILE *pipe = popen(command, "r");
        size_t size = 0;
        char *text = NULL;
        REQUIRE(pipe != NULL && getdelim(&text, &size, '\0', pipe) > 0);
        REQUIRE(pclose(pipe) == 0);
        return text;
}

/* TEXT NULL: as the cache says. */
static void compile(const char *target, const char *text, struct compiled *ret)
{
        struct session_harness harness;
        struct jit_options options = {0};
        struct harness_answer answer;
        struct fmt_digest key;
        if (text != NULL)
                REQUIRE(jit_wish_set(&options.wish, "policy", text, NULL) == 0);
        harness_open(&harness, &image, spawner, "cache", target, &options);
        struct jit_program *program = harness_load(&harness, "bin/digits");
        jit_program_key(program, &key);
        fmt_digest_to_hex(&key, ret->key);
        jit_program_free(program);
        harness_ask(&harness, "bin/digits", &answer);
        if (answer.error < 0)
                fprintf(stderr, "%s for %s: %s\n", text ? text : "chosen", target, answer.reason);
        REQUIRE(answer.error == 0);
        ret->output = sample_run(&image, answer.fd);
        ret->code = disassemble(answer.fd);
        harness_answer_done(&answer);
        harness_close(&harness);
}

static void done(struct compiled *compiled)
{
        free(compiled->output);
        free(compiled->code);
}

static bool holds(const struct compiled *compiled, const char *word)
{
        return strstr(compiled->code, word) != NULL;
}

/* Strict digits are those of a machine that cannot contract; the usual ones are not. */
static void test_floating_point(void)
{
        struct compiled generic, usual, strict;
        compile("x86-64", "opt=3", &generic);
        compile(TARGET, "opt=3", &usual);
        compile(TARGET, "opt=3,fp=strict", &strict);
        CHECK(!holds(&generic, "vfmadd") && holds(&usual, "vfm") && !holds(&strict, "vfm"));
        CHECK(strcmp(strict.output, generic.output) == 0);
        CHECK(strcmp(usual.output, generic.output) != 0);
        CHECK(strcmp(usual.key, strict.key) != 0);
        done(&generic);
        done(&usual);
        done(&strict);
}

static void test_width(void)
{
        struct compiled narrow, wide;
        compile(TARGET, "opt=3,width=128", &narrow);
        compile(TARGET, "opt=3,width=256", &wide);
        CHECK(!holds(&narrow, "ymm") && holds(&wide, "ymm"));
        CHECK(strcmp(narrow.output, wide.output) == 0);
        done(&narrow);
        done(&wide);
}

/* Only what was made one module by ThinLTO's import or by full LTO has no call of step left. */
static void test_lto(void)
{
        struct compiled thin, full, off;
        compile(TARGET, "opt=3", &thin);
        compile(TARGET, "opt=3,lto=full", &full);
        compile(TARGET, "opt=3,lto=off", &off);
        CHECK(!holds(&thin, "<step>\n") && !holds(&full, "<step>\n") && holds(&off, "<step>\n"));
        CHECK(holds(&full, "pdep") && holds(&thin, "pdep"));
        CHECK(strcmp(thin.output, full.output) == 0 && strcmp(thin.output, off.output) == 0);
        done(&thin);
        done(&full);
        done(&off);
}

/* What was chosen for the program is used by sessions that are not told otherwise, for that target
 * alone, until it is taken back. */
static void test_choice(void)
{
        struct session_harness harness;
        struct compiled usual, chosen, elsewhere, forgotten;
        struct fmt_digest name;
        struct jit_choice choice = {.program = (char *)"bin/digits",
                .target = (char *)TARGET,
                .policy = {.opt = 2, .width = 128},
                .why = (char *)"measured"};
        harness_open(&harness, &image, spawner, "cache", TARGET, NULL);
        struct jit_program *program = harness_load(&harness, "bin/digits");
        jit_program_choice_name(program, &name);
        jit_program_free(program);
        REQUIRE(jit_choice_write(harness.cache, &name, &choice) == 0);
        harness_close(&harness);

        compile(TARGET, "opt=3", &usual);
        compile(TARGET, NULL, &chosen);
        compile("x86-64-v2", NULL, &elsewhere);
        CHECK(holds(&usual, "ymm") && !holds(&chosen, "ymm"));
        CHECK(strcmp(usual.key, chosen.key) != 0);
        harness_open(&harness, &image, spawner, "cache", TARGET, NULL);
        REQUIRE(jit_choice_remove(harness.cache, &name) == 0);
        harness_close(&harness);
        compile(TARGET, NULL, &forgotten);
        CHECK(strcmp(usual.key, forgotten.key) == 0);
        done(&usual);
        done(&chosen);
        done(&elsewhere);
        done(&forgotten);
}

/* The program as for any x86-64, on a host that could do more. */
static void test_target_of_a_policy(void)
{
        struct compiled generic, lesser;
        compile("x86-64", "opt=3", &generic);
        compile(TARGET, "opt=3,target=x86-64", &lesser);
        CHECK(!holds(&lesser, "ymm") && strcmp(generic.output, lesser.output) == 0);
        CHECK(strcmp(generic.code, lesser.code) == 0);
        done(&generic);
        done(&lesser);
}

int main(void)
{
        spawner = harness_spawner();
        sample_image_open(&image);
        add_program();
        sample_image_close(&image);
        struct jit_target *target;
        REQUIRE(jit_target_detect("native", true, &target) == 0);
        const bool runs = jit_target_has(target, "+avx2,+fma,+bmi2", NULL);
        jit_target_free(target);
        if (!runs) {
                puts("this CPU has no AVX2, FMA and BMI2");
                return 77;
        }
        test_floating_point();
        test_width();
        test_lto();
        test_choice();
        test_target_of_a_policy();
        jit_spawner_stop(spawner);
        sample_image_done(&image);
        return unit_report();
}
