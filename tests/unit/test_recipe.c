/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "jit_recipe.h"
#include "unit_check.h"

#include <string.h>

#define LINE(...) ((char *[]){__VA_ARGS__, NULL})

static struct jit_link_line *parse(char **argv)
{
        struct jit_link_line *line = NULL;
        REQUIRE(jit_link_line_parse(argv, &line) == 0);
        return line;
}

static bool has_option(const struct jit_link_line *line, const char *text)
{
        for (size_t i = 0; i < line->n_options; i++)
                if (strcmp(line->options[i].text, text) == 0)
                        return true;
        return false;
}

static void test_files_and_their_state(void)
{
        struct jit_link_line *line = parse(LINE("-o", "out", "a.o", "--push-state", "--as-needed",
                "-lm", "-Bstatic", "-lz", "--pop-state", "--whole-archive", "lib.a",
                "--no-whole-archive", "-l:exact.so", "-L", "dir", "-Ldir2", "b.o"));
        REQUIRE(line->n_files == 6);
        CHECK(strcmp(line->output, "out") == 0);
        CHECK(strcmp(line->files[0].path, "a.o") == 0 && !line->files[0].is_library);
        CHECK(line->files[1].is_library && line->files[1].as_needed &&
                !line->files[1].prefer_static);
        CHECK(line->files[2].prefer_static && line->files[2].as_needed);
        CHECK(line->files[3].whole_archive && !line->files[3].as_needed);
        CHECK(strcmp(line->files[4].path, ":exact.so") == 0);
        CHECK(!line->files[5].whole_archive);
        CHECK(strcmp(line->search[0], "dir") == 0 && strcmp(line->search[1], "dir2") == 0);
        CHECK(line->n_options == 0 && !line->native_reasons[0]);
        jit_link_line_free(line);
}

static void test_kinds(void)
{
        struct {
                char **argv;
                enum fmt_output_kind kind;
        } cases[] = {
                {LINE("a.o"), FMT_OUTPUT_EXECUTABLE},
                {LINE("-pie", "a.o"), FMT_OUTPUT_PIE},
                {LINE("-static", "a.o"), FMT_OUTPUT_STATIC},
                {LINE("-static", "-pie", "--no-dynamic-linker", "-z", "text", "a.o"),
                        FMT_OUTPUT_STATIC_PIE},
                {LINE("-shared", "a.o"), FMT_OUTPUT_SHARED},
                {LINE("-Bshareable", "a.o"), FMT_OUTPUT_SHARED},
                {LINE("-pie", "-no-pie", "a.o"), FMT_OUTPUT_EXECUTABLE},
                {LINE("-Bstatic", "-lx", "-Bdynamic", "a.o"), FMT_OUTPUT_EXECUTABLE},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct jit_link_line *line = parse(cases[i].argv);
                CHECK(line->kind == cases[i].kind && !line->relocatable);
                jit_link_line_free(line);
        }
        struct jit_link_line *line = parse(LINE("-r", "a.o"));
        CHECK(line->relocatable);
        jit_link_line_free(line);
}

/* What is given, and what the recipe holds for it; NULL: nothing. */
static const struct {
        char **argv;
        const char *text;
} spellings[] = {
        {LINE("-E"), "--export-dynamic"},
        {LINE("-export-dynamic"), "--export-dynamic"},
        {LINE("--export-dynamic"), "--export-dynamic"},
        {LINE("-znow"), "-z now"},
        {LINE("-z", "now"), "-z now"},
        {LINE("-z", "max-page-size=0x1000"), "-z max-page-size=0x1000"},
        {LINE("--wrap=f"), "--wrap=f"},
        {LINE("--wrap", "f"), "--wrap=f"},
        {LINE("-wrap", "f"), "--wrap=f"},
        {LINE("-u", "f"), "--undefined=f"},
        {LINE("-uf"), "--undefined=f"},
        {LINE("-e", "start"), "--entry=start"},
        {LINE("-s"), "--strip-all"},
        {LINE("-x"), "--discard-all"},
        {LINE("--gc-sections"), "--gc-sections"},
        {LINE("-O1"), "-O1"},
        {LINE("-O"), "-O1"},
        {LINE("-O9"), "-O2"},
        {LINE("--build-id"), "--build-id"},
        {LINE("--build-id=md5"), "--build-id=md5"},
        {LINE("--hash-style=gnu"), "--hash-style=gnu"},
        {LINE("-Bsymbolic"), "--Bsymbolic"},
        {LINE("--defsym=a=b+1"), "--defsym=a=b+1"},
        {LINE("--defsym", "a=1"), "--defsym=a=1"},
        {LINE("--no-undefined"), "--no-undefined"},
        {LINE("-z", "ibt"), "-z force-ibt"},
        {LINE("-rpath", "/x"), NULL},
        {LINE("-rpath=/x"), NULL},
        {LINE("-soname", "x"), NULL},
        {LINE("-h", "x"), NULL},
        {LINE("--start-group"), NULL},
        {LINE("-("), NULL},
        {LINE("-Map", "m"), NULL},
        {LINE("-Map=m"), NULL},
        {LINE("-M"), NULL},
        {LINE("--no-warn-mismatch"), NULL},
        {LINE("--fatal-warnings"), NULL},
        {LINE("-plugin-opt=-pass-through=-lgcc"), NULL},
        {LINE("--sort-common=descending"), NULL},
        {LINE("-m", "elf_x86_64"), NULL},
        {LINE("-melf_x86_64"), NULL},
        {LINE("--no-copy-dt-needed-entries"), NULL},
        {LINE("-z", "x86-64-v3"), NULL},
        {LINE("--dynamic-linker=/lib64/ld.so"), NULL},
        {LINE("-I", "/lib64/ld.so"), NULL},
        {LINE("--thinlto-jobs=3"), NULL},
        {LINE("-mllvm", "-x"), NULL},
};

static void test_spellings(void)
{
        for (size_t i = 0; i < sizeof(spellings) / sizeof(*spellings); i++) {
                struct jit_link_line *line = parse(spellings[i].argv);
                bool right = spellings[i].text
                                     ? line->n_options == 1 && has_option(line, spellings[i].text)
                                     : line->n_options == 0;
                if (!right || line->native_reasons[0] || line->n_files != 0)
                        fprintf(stderr, "%s: %s\n", spellings[i].argv[0],
                                line->native_reasons[0] ? line->native_reasons[0]
                                : line->n_options       ? line->options[0].text
                                                        : "nothing");
                CHECK(right && !line->native_reasons[0] && line->n_files == 0);
                jit_link_line_free(line);
        }
}

static void test_reasons_to_stay_native(void)
{
        char **cases[] = {LINE("-T", "x.ld"), LINE("-Tx.ld"), LINE("--script=x.ld"),
                LINE("-Ttext=0x1000"), LINE("-Ttext", "0x1000"), LINE("--section-start=.a=0"),
                LINE("--just-symbols=x"), LINE("-m", "elf_i386"), LINE("-melf32_x86_64"),
                LINE("--oformat=binary"), LINE("-b", "binary"), LINE("--audit", "x"),
                LINE("-plugin", "/usr/lib/LLVMgold.so"), LINE("--default-symver"),
                LINE("--never-heard-of"), LINE("-z", "never-heard-of"), LINE("-c", "script"),
                LINE("-z", "nosectionheader"), LINE("--wrap")};
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct jit_link_line *line = parse(cases[i]);
                if (!line->native_reasons[0])
                        fprintf(stderr, "%s would be repeated\n", cases[i][0]);
                CHECK(line->native_reasons[0]);
                jit_link_line_free(line);
        }
}

static void test_files_of_options(void)
{
        struct jit_link_line *line =
                parse(LINE("--version-script=a.map", "--dynamic-list", "b.list"));
        REQUIRE(line->n_options == 2);
        CHECK(strcmp(line->options[0].text, "--version-script=") == 0);
        CHECK(strcmp(line->options[0].file, "a.map") == 0);
        CHECK(strcmp(line->options[1].text, "--dynamic-list=") == 0);
        CHECK(strcmp(line->options[1].file, "b.list") == 0);
        jit_link_line_free(line);
        line = parse(LINE("--exclude-libs", "ALL", "-plugin", "/x/liblto_plugin.so"));
        CHECK(line->excludes_libraries && line->uses_gcc_plugin && line->n_options == 0);
        CHECK(!line->native_reasons[0]);
        jit_link_line_free(line);
}

static void test_response_files(void)
{
        char path[] = "/tmp/xaasfs-recipe-XXXXXX";
        int fd = mkstemp(path);
        REQUIRE(fd >= 0);
        dprintf(fd, "a.o \"with space.o\" 'single \\'\n --wrap=\\\"q\\\" @/no/such/file\n");
        close(fd);
        char at[sizeof(path) + 1];
        snprintf(at, sizeof(at), "@%s", path);
        char **words = NULL;
        REQUIRE(jit_response_expand(LINE("first", at, "last"), &words) == 0);
        unlink(path);
        const char *wanted[] = {"first", "a.o", "with space.o", "single \\", "--wrap=\"q\"",
                "@/no/such/file", "last"};
        REQUIRE(fmt_strings_count(words) == 7);
        for (size_t i = 0; i < 7; i++)
                CHECK(strcmp(words[i], wanted[i]) == 0);
        fmt_strings_free(words);
}

static void test_response_written(void)
{
        static const char *const words[] = {"plain", "with space", "line\nbreak", "\ttab",
                "it's", "\"quoted\"", "back\\slash\\", "--soname=a=b", "\xc3\xa9", NULL};
        char path[] = "/tmp/xaasfs-recipe-XXXXXX", *text, **read = NULL;
        int fd = mkstemp(path);
        REQUIRE(fd >= 0 && jit_response_write((char *const *)words, &text) == 0);
        REQUIRE(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        close(fd);
        free(text);
        char at[sizeof(path) + 1];
        snprintf(at, sizeof(at), "@%s", path);
        REQUIRE(jit_response_expand(LINE(at), &read) == 0);
        unlink(path);
        size_t n = 0;
        for (; words[n] && read[n]; n++)
                CHECK(strcmp(words[n], read[n]) == 0);
        CHECK(!words[n] && !read[n]);
        fmt_strings_free(read);
}

/* A hostile record must not make the linker open or write what it names. */
static void test_check(void)
{
        static const char *const refused[] = {"-o/x", "--output=/x", "-o", "--Map=/x",
                "--reproduce=/x", "--dependency-file=/x", "--version-script=/etc/passwd",
                "--plugin=/x", "-plugin=/x", "--script=/x", "-T/x", "@/etc/passwd", "/etc/passwd",
                "-lfoo", "--library=foo", "-L/x", "--thinlto-cache-dir=/x", "--lto-obj-path=/x",
                "-mllvm", "--print-archive-stats=/x", "--why-extract=/x", "--wrap", "-z", "-z ",
                "-z nosense", "--gc-sections=x", "", "-", "--", "a\n--b", "--wrap=a\nb", "--shared",
                "--retain-symbols-file=/x", "--call-graph-ordering-file=/x", "--time-trace=/x",
                "--chroot=/x", "--opt-remarks-filename=/x", "-O4", "-Oa"};
        static const char *const taken[] = {"--gc-sections", "--wrap=f", "-z now", "--build-id",
                "--build-id=none", "-O2", "--Bsymbolic", "--defsym=a=1", "--hash-style=gnu",
                "--export-dynamic", "-z max-page-size=4096", "--icf=all"};
        struct fmt_option option = {0};
        struct fmt_recipe recipe = {.options = &option, .n_options = 1};
        fmt_log_setup("test", FMT_LOG_ERROR);
        FILE *saved = freopen("/dev/null", "w", stderr);
        REQUIRE(saved);
        unsigned wrong = 0;
        for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
                option.text = (char *)(uintptr_t)refused[i];
                if (jit_recipe_check(&recipe) != -EINVAL) {
                        printf("taken: %s\n", refused[i]);
                        wrong++;
                }
        }
        for (size_t i = 0; i < sizeof(taken) / sizeof(*taken); i++) {
                option.text = (char *)(uintptr_t)taken[i];
                if (jit_recipe_check(&recipe) != 0) {
                        printf("refused: %s\n", taken[i]);
                        wrong++;
                }
        }
        CHECK(wrong == 0);
        option = (struct fmt_option){.text = "--version-script=", .has_file = true};
        CHECK(jit_recipe_check(&recipe) == 0);
        option.text = "--version-script=/x";
        CHECK(jit_recipe_check(&recipe) == -EINVAL);
        option.text = "--wrap=";
        CHECK(jit_recipe_check(&recipe) == -EINVAL);
}

static size_t position(char *const *argv, const char *word)
{
        for (size_t i = 0; argv[i]; i++)
                if (strcmp(argv[i], word) == 0)
                        return i;
        return SIZE_MAX;
}

static void test_command(void)
{
        struct fmt_stub stubs[] = {{.soname = "libc.so.6", .needed = true}, {.soname = "libm.so.6"},
                {.soname = "libx.so", .needed = true}};
        char *needed[] = {"libx.so", "libc.so.6", NULL};
        struct fmt_option options[] = {{.text = "-z now"},
                {.text = "--version-script=", .has_file = true}, {.text = "--build-id=uuid"}};
        struct fmt_variant variant = {.recipe = {.kind = FMT_OUTPUT_SHARED,
                                              .soname = "liby.so.1",
                                              .needed = needed,
                                              .rpath = "/r",
                                              .rpath_is_old = true,
                                              .interposable = true,
                                              .options = options,
                                              .n_options = 3},
                .stubs = stubs,
                .n_stubs = 3};
        const char *stub_paths[] = {"/c", "/m", "/x"};
        const char *files[] = {NULL, "/script", NULL};
        struct jit_link_paths paths = {.inputs = "/in",
                .lazy_inputs = "/lazy",
                .stubs = stub_paths,
                .option_files = files,
                .thinlto_cache = "/cache"};
        char **argv = NULL;
        REQUIRE(jit_recipe_command(&variant, &paths, "znver4", "+avx2", &JIT_POLICY_DEFAULT, 5, &argv) == 0);
        static const char *const wanted[] = {"ld.lld", "-shared", "--soname=liby.so.1",
                "--disable-new-dtags", "--rpath=/r", "-znow", "--version-script=/script",
                "--build-id=sha1", "--lto-O3", "-plugin-opt=mcpu=znver4", "-mattr=+avx2",
                "-import-instr-limit=0", "--thinlto-cache-dir=/cache", "--thinlto-jobs=5",
                "--no-dependent-libraries", "--allow-shlib-undefined", "-znostart-stop-gc"};
        for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
                if (position(argv, wanted[i]) == SIZE_MAX)
                        fprintf(stderr, "missing: %s\n", wanted[i]);
                CHECK(position(argv, wanted[i]) != SIZE_MAX);
        }
        /* Inputs, then lazy ones, then libraries in the order of NEEDED, then the others. */
        CHECK(position(argv, "--whole-archive") < position(argv, "/in"));
        CHECK(position(argv, "/in") < position(argv, "--no-whole-archive"));
        CHECK(position(argv, "--no-whole-archive") < position(argv, "/lazy"));
        CHECK(position(argv, "/lazy") < position(argv, "/x"));
        CHECK(position(argv, "--no-as-needed") < position(argv, "/x"));
        CHECK(position(argv, "/x") < position(argv, "/c"));
        CHECK(position(argv, "/c") < position(argv, "--as-needed"));
        CHECK(position(argv, "--as-needed") < position(argv, "/m"));
        CHECK(position(argv, "-fast-isel") == SIZE_MAX);
        fmt_strings_free(argv);
        /* Nothing of one module goes to another where nobody has the time to optimise. */
        variant.recipe.interposable = false;
        REQUIRE(jit_recipe_command(&variant, &paths, NULL, NULL, &JIT_POLICY_DEFAULT, 1, &argv) == 0);
        CHECK(position(argv, "-import-instr-limit=0") == SIZE_MAX);
        CHECK(position(argv, "-enable-ext-tsp-block-placement") == SIZE_MAX);
        fmt_strings_free(argv);
        paths.is_profiled = true;
        REQUIRE(jit_recipe_command(&variant, &paths, NULL, NULL, &JIT_POLICY_DEFAULT, 1, &argv) == 0);
        CHECK(position(argv, "-enable-ext-tsp-block-placement") != SIZE_MAX);
        fmt_strings_free(argv);
        paths.is_profiled = false;
        const struct jit_policy least = {.opt = 0};
        REQUIRE(jit_recipe_command(&variant, &paths, NULL, NULL, &least, 1, &argv) == 0);
        CHECK(position(argv, "-import-instr-limit=0") != SIZE_MAX);
        CHECK(position(argv, "-fast-isel") != SIZE_MAX);
        fmt_strings_free(argv);
        needed[0] = "libgone.so";
        CHECK(jit_recipe_command(&variant, &paths, NULL, NULL, &JIT_POLICY_DEFAULT, 1, &argv) == -EINVAL);
}

static void test_order_matters(void)
{
        struct fmt_input inputs[] = {{.kind = FMT_INPUT_NATIVE, .has_constructors = true},
                {.kind = FMT_INPUT_MODULE}, {.kind = FMT_INPUT_NATIVE}};
        struct fmt_variant variant = {.inputs = inputs, .n_inputs = 3};
        CHECK(!jit_recipe_order_matters(&variant));
        inputs[2].has_constructors = true;
        CHECK(jit_recipe_order_matters(&variant));
        inputs[2].lazy = true;
        CHECK(!jit_recipe_order_matters(&variant));
}

int main(void)
{
        test_files_and_their_state();
        test_kinds();
        test_spellings();
        test_reasons_to_stay_native();
        test_files_of_options();
        test_response_files();
        test_response_written();
        test_command();
        test_order_matters();
        test_check();
        return unit_report();
}
