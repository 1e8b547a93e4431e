/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the ld.lld command line that makes a program again out of its record. */
#include "jit_recipe.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "jit_link_options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* LLVM 19 gives no copy of a computed goto to the places that lead there once both those and its
 * targets are more than 16: what an interpreter does for each instruction then goes through one
 * jump, which no CPU can predict. Before and after that version there is no such limit; this one
 * is beyond the instructions of any interpreter we know, where the copies cost the compiler 2 s (of
 * 900 it would be 11 s). Lua: 85 jumps in luaV_execute instead of 9, and 8 % of its time. */
#define GOTO_COPIES 500

/* A command line under construction; the first error sticks, so that calls need no checks. */
struct command {
        char **words;
        int error;
};

static void free_words(struct command *command)
{
        fmt_strings_free(command->words);
}

static void add(struct command *command, const char *word)
{
        if (command->error == 0)
                command->error = fmt_strings_append(&command->words, word);
}

static void addf(struct command *command, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

static void addf(struct command *command, const char *format, ...)
{
        va_list arguments;
        char *word = NULL;
        va_start(arguments, format);
        int r = vasprintf(&word, format, arguments);
        va_end(arguments);
        if (r < 0) {
                command->error = -ENOMEM;
                return;
        }
        add(command, word);
        free(word);
}

/* An option of LLVM itself. */
static void add_llvm(struct command *command, const char *option)
{
        add(command, "-mllvm");
        add(command, option);
}

static void add_kind(struct command *command, const struct fmt_recipe *recipe)
{
        switch (recipe->kind) {
        case FMT_OUTPUT_SHARED:
                add(command, "-shared");
                break;
        case FMT_OUTPUT_PIE:
                add(command, "-pie");
                break;
        case FMT_OUTPUT_STATIC_PIE:
                add(command, "-pie");
                add(command, "-static");
                add(command, "--no-dynamic-linker");
                addf(command, "-ztext");
                break;
        case FMT_OUTPUT_STATIC:
                add(command, "-static");
                break;
        case FMT_OUTPUT_EXECUTABLE:
                add(command, "-no-pie");
                break;
        }
        if (recipe->interpreter && recipe->kind != FMT_OUTPUT_STATIC_PIE)
                addf(command, "--dynamic-linker=%s", recipe->interpreter);
        if (recipe->soname)
                addf(command, "--soname=%s", recipe->soname);
        if (recipe->rpath) {
                add(command, recipe->rpath_is_old ? "--disable-new-dtags" : "--enable-new-dtags");
                addf(command, "--rpath=%s", recipe->rpath);
        }
}

/* What GNU ld does unasked and ld.lld must be told (sections found by __start_ symbols survive
 * --gc-sections; a version script may name symbols that do not exist). */
static void add_defaults(struct command *command, const struct fmt_recipe *recipe)
{
        if (recipe->linker == FMT_LINKER_BFD)
                add(command, "-znostart-stop-gc");
        add(command, "--undefined-version");
        add(command, "--allow-shlib-undefined");
        add(command, "--no-dependent-libraries");
        add(command, "--no-warn-symbol-ordering");
}

static void add_options(struct command *command, const struct fmt_recipe *recipe,
        const struct jit_link_paths *paths)
{
        for (size_t i = 0; i < recipe->n_options; i++) {
                const struct fmt_option *option = &recipe->options[i];
                /* For GNU ld a list of what stays in the symbol table, for ld.lld of what is
                 * exported. */
                if (recipe->linker == FMT_LINKER_BFD &&
                        strcmp(option->text, "--retain-symbols-file=") == 0)
                        continue;
                if (option->has_file)
                        addf(command, "%s%s", option->text, paths->option_files[i]);
                else if (strncmp(option->text, "-z ", 3) == 0)
                        addf(command, "-z%s", option->text + 3);
                else if (strcmp(option->text, "--build-id=uuid") == 0)
                        add(command, "--build-id=sha1"); /* the same input gives the same output */
                else
                        add(command, option->text);
        }
}

/* A program exports what libraries that it loads define or use, too: GNU ld also looks at those that only libraries need,
 * of which there is no stub. Those with a version are copies of a library's. */
static void add_exports(struct command *command, const struct fmt_variant *variant)
{
        if (variant->recipe.kind == FMT_OUTPUT_SHARED)
                return;
        for (char **name = variant->exports; *name; name++)
                if (!strpbrk(*name, "@*?[\\"))
                        addf(command, "--export-dynamic-symbol=%s", *name);
}

/* Code out of what capture left, at once. Loops get the vectors that they were kept waiting for: no
 * other pass is missed as much. Code generation does what -O1 asks for, but chooses instructions one by
 * one where that will do. CPU time of the link and of a run, beside -O3 with LLVM 19 on one machine:
 *
 *                                seiche      lua5.4      sqlite3     zstd        chain
 *     this                       .35 1.01    .19 1.09    .35 1.02    .27 1.03    .43 1.00
 *     with LSR, instcombine      .51 1.00    .22 1.09    .42 1.03    .37 1.04    .49 1.01
 *     code generation -O1 alone  .37 2.37    .28 1.06    .46 1.01    .35  .96    .55 1.01
 *     code generation -O0 alone  .16 3.73    .06 1.90    .08 2.23    .06 1.84    .40 3.67
 *     --lto-O1 without imports               .43 1.01    .79 1.03    .80  .95    .74 1.00
 */
static void add_least_work(struct command *command)
{
        add(command, "--lto-newpm-passes=elim-avail-extern,globaldce,"
                     "function(loop-vectorize,simplifycfg)");
        add(command, "--lto-CGO1");
        add_llvm(command, "-fast-isel");
        add_llvm(command, "-disable-lsr");
}

/* lld's cache stays as it is: what is kept and for how long is decided elsewhere. */
static void add_code_generation(struct command *command, const struct fmt_recipe *recipe,
        const struct jit_link_paths *paths, const char *tune, const char *features,
        const struct jit_policy *policy, unsigned threads)
{
        addf(command, "--threads=%u", threads ? threads : 1);
        addf(command, "--thinlto-jobs=%u", threads ? threads : 1);
        addf(command, "--lto-O%u", policy->opt);
        if (policy->opt == 0)
                add_least_work(command);
        if (tune)
                addf(command, "-plugin-opt=mcpu=%s", tune);
        if (features && *features) {
                add(command, "-mllvm");
                addf(command, "-mattr=%s", features);
        }
        add(command, "-mllvm");
        addf(command, "-tail-dup-pred-size=%d", GOTO_COPIES);
        add(command, "-mllvm");
        addf(command, "-tail-dup-succ-size=%d", GOTO_COPIES);
        /* Blocks in the order in which they run: by counts it took 1 % of the time of sqlite3 and
         * Lua and 3 % of zstd's; by guesses, nothing. */
        if (paths->is_profiled)
                add_llvm(command, "-enable-ext-tsp-block-placement");
        if (policy->fp == JIT_FP_STRICT)
                add_llvm(command, "-fp-contract=off");
        if (policy->veclib)
                add_llvm(command, "-vector-library=LIBMVEC-X86");
        if (recipe->interposable || policy->lto == JIT_LTO_OFF || policy->opt == 0)
                add_llvm(command, "-import-instr-limit=0");
        if (policy->lto == JIT_LTO_FULL)
                addf(command, "--lto-partitions=%d", JIT_FULL_LTO_PARTS);
        if (paths->thinlto_cache) {
                addf(command, "--thinlto-cache-dir=%s", paths->thinlto_cache);
                add(command, "--thinlto-cache-policy=prune_after=0s:cache_size=0%:"
                             "cache_size_bytes=0:cache_size_files=0");
        }
}

/* Libraries of NEEDED in its order, whether this host's code refers to them or not; then the
 * others, which enter NEEDED only if code for this host calls what code for the build machine did
 * not. */
static int add_libraries(struct command *command, const struct fmt_variant *variant,
        const struct jit_link_paths *paths)
{
        char *const *needed = variant->recipe.needed;
        add(command, "--no-as-needed");
        for (size_t i = 0; needed && needed[i]; i++) {
                const struct fmt_stub *stub = fmt_variant_find_stub(variant, needed[i]);
                if (!stub) {
                        fmt_error("cannot link against %s: the record has no stub of it; "
                                  "build the program again with xaas build",
                                needed[i]);
                        return -EINVAL;
                }
                add(command, paths->stubs[stub - variant->stubs]);
        }
        add(command, "--as-needed");
        for (size_t i = 0; i < variant->n_stubs; i++) {
                if (!fmt_strings_contain(needed, variant->stubs[i].soname))
                        add(command, paths->stubs[i]);
        }
        return 0;
}

int jit_recipe_command(const struct fmt_variant *variant, const struct jit_link_paths *paths,
        const char *tune, const char *features, const struct jit_policy *policy, unsigned threads,
        char ***ret_argv)
{
        _cleanup_(free_words) struct command command = {0};
        int r = jit_recipe_check(&variant->recipe);
        if (r < 0)
                return r;
        add(&command, "ld.lld");
        add(&command, "-m");
        add(&command, JIT_LINK_EMULATION);
        add(&command, "-o");
        add(&command, "-");
        add_defaults(&command, &variant->recipe);
        add_kind(&command, &variant->recipe);
        add_options(&command, &variant->recipe, paths);
        add_exports(&command, variant);
        add_code_generation(&command, &variant->recipe, paths, tune, features, policy, threads);
        /* Before all others: what it says of sections holds for what follows. */
        if (paths->runtime)
                add(&command, paths->runtime);
        add(&command, "--whole-archive");
        add(&command, paths->inputs);
        add(&command, "--no-whole-archive");
        if (paths->lazy_inputs)
                add(&command, paths->lazy_inputs);
        r = add_libraries(&command, variant, paths);
        if (r == 0)
                r = command.error;
        if (r < 0)
                return r;
        *ret_argv = steal_pointer(&command.words);
        return 0;
}

bool jit_recipe_order_matters(const struct fmt_variant *variant)
{
        bool after_module = false;
        for (size_t i = 0; i < variant->n_inputs; i++) {
                const struct fmt_input *input = &variant->inputs[i];
                if (input->lazy)
                        continue;
                if (input->kind == FMT_INPUT_MODULE)
                        after_module = true;
                else if (after_module && input->has_constructors)
                        return true;
        }
        return false;
}

/* A word that ld.lld would take for something else than the value it stands for. */
static bool is_plain(const char *text)
{
        return text[0] != '@' && !strpbrk(text, "\n\r");
}

int jit_recipe_check(const struct fmt_recipe *recipe)
{
        for (size_t i = 0; i < recipe->n_options; i++) {
                const struct fmt_option *option = &recipe->options[i];
                if (jit_link_option_may_stand(option->text, option->has_file) &&
                        is_plain(option->text))
                        continue;
                fmt_error("the record holds the linker option \"%s\", which this version does not "
                          "know; use a newer xaasfs or build the program again",
                        option->text);
                return -EINVAL;
        }
        return 0;
}
