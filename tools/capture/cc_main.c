/* SPDX-License-Identifier: Apache-2.0 */
/* xaas-cc and all the compiler names it stands in for.
 *
 * A compile step is clang's, with ThinLTO pre-link bitcode beside the native code; a link step is
 * an ordinary link by the driver, whose linker is xaas-ld. Ours are the last flags, and only on
 * compile steps: on a link line they would change what the link does. One command that compiles
 * and links is split, since the driver would otherwise put the flags on both. */
#include "capture_log.h"
#include "capture_programs.h"
#include "cc_flags.h"
#include "cc_fortran.h"
#include "cc_line.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_record.h"
#include "ld_environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct compiler {
        char *clang;
        struct cc_identity identity;
        struct cc_line line;
        char *scratch; /* folder of objects of a split command, or NULL */
};

static void compiler_done(struct compiler *compiler)
{
        cc_line_done(&compiler->line);
        if (compiler->scratch)
                capture_scratch_remove(compiler->scratch);
        free(compiler->scratch);
        free(compiler->clang);
}

static void free_words(char ***words)
{
        fmt_strings_free(*words);
}

static int append_all(char ***words, const char *const *more)
{
        int r = 0;
        for (; *more && r == 0; more++)
                r = fmt_strings_append(words, *more);
        return r;
}

/* The start of every clang command line. */
static int begin(const struct compiler *compiler, char ***ret)
{
        static const char *const like_gcc[] = {"-Qunused-arguments", "-Wno-unknown-warning-option",
                "-Wno-ignored-optimization-argument", NULL};
        int r = fmt_strings_append(ret, compiler->clang);
        if (r == 0 && compiler->identity.cxx)
                r = fmt_strings_append(ret, "--driver-mode=g++");
        if (r == 0 && compiler->identity.like_gcc)
                r = append_all(ret, like_gcc);
        if (r == 0 && compiler->identity.standard)
                r = fmt_strings_append(ret, compiler->identity.standard);
        return r;
}

static int add_bitcode_flags(char ***words)
{
        static const char *const flags[] = {"-flto=thin", "-ffat-lto-objects", NULL};
        return append_all(words, flags);
}

static int become(const struct compiler *compiler, bool bitcode)
{
        _cleanup_(free_words) char **words = NULL;
        int r = begin(compiler, &words);
        if (r == 0)
                r = append_all(&words, (const char *const *)compiler->line.words);
        if (r == 0 && bitcode)
                r = add_bitcode_flags(&words);
        return r < 0 ? r : capture_become(compiler->clang, words);
}

static bool has_bitcode_source(const struct cc_line *line)
{
        for (size_t i = 0; i < line->n_sources; i++)
                if (line->sources[i].bitcode)
                        return true;
        return false;
}

static void tell_uncaptured(const struct cc_line *line)
{
        for (size_t i = 0; i < line->n_sources; i++)
                if (line->sources[i].bitcode)
                        capture_log_uncaptured(line->words[line->sources[i].word], line->forbidden);
}

/* ---- one command that compiles and links ---- */

/* clang names a dependency file and its target after -o; ours is temporary, so say it. */
static int add_dependency_names(const struct cc_line *line, const char *source, char ***words)
{
        const char *output = line->has_output ? line->words[line->output] : NULL;
        if (output && strncmp(output, "-o", 2) == 0)
                output += 2;
        _cleanup_free_ char *file = strdup(output ? output : capture_base_name(source));
        if (!file)
                return -ENOMEM;
        char *dot = strrchr(file, '.');
        if (dot && dot > strrchr(file, '/'))
                *dot = 0;
        _cleanup_free_ char *dependencies = NULL, *object = NULL;
        if (asprintf(&dependencies, "%s.d", file) < 0 || asprintf(&object, "%s.o", file) < 0)
                return -ENOMEM;
        const char *place[] = {"-MF", dependencies, NULL};
        const char *target[] = {"-MT", output ? output : object, NULL};
        int r = line->has_dependency_file ? 0 : append_all(words, place);
        return r < 0 || line->has_target ? r : append_all(words, target);
}

static int compile_words(const struct compiler *compiler, const struct cc_source *source,
        const char *object, char ***ret)
{
        const struct cc_line *line = &compiler->line;
        const char *path = line->words[source->word];
        int r = begin(compiler, ret);
        if (r == 0)
                r = cc_line_compile_flags(line, ret);
        if (r == 0 && line->wants_dependencies)
                r = add_dependency_names(line, path, ret);
        const char *language[] = {"-x", source->language, NULL};
        if (r == 0 && source->language)
                r = append_all(ret, language);
        if (r == 0 && source->bitcode && !line->forbidden)
                r = add_bitcode_flags(ret);
        const char *rest[] = {"-c", path, "-o", object, NULL};
        return r < 0 ? r : append_all(ret, rest);
}

/* Compiles every source into the scratch folder and puts the object in its place. */
static int compile_sources(struct compiler *compiler)
{
        struct cc_line *line = &compiler->line;
        int r = capture_scratch(&compiler->scratch);
        for (size_t i = 0; i < line->n_sources && r == 0; i++) {
                _cleanup_(free_words) char **words = NULL;
                _cleanup_free_ char *object = NULL;
                const struct cc_source *source = &line->sources[i];
                const char *name = capture_base_name(line->words[source->word]);
                if (asprintf(&object, "%s/%zu+%s.o", compiler->scratch, i, name) < 0)
                        return -ENOMEM;
                r = compile_words(compiler, source, object, &words);
                if (r == 0)
                        r = capture_run(compiler->clang, words, NULL);
                if (r != 0)
                        return r;
                free(line->words[source->word]);
                line->words[source->word] = steal_pointer(&object);
        }
        return r;
}

/* ---- linking ---- */

/* The linker that the driver would have taken. */
static int find_linker(const struct cc_line *line, char **ret)
{
        const char *name = line->linker ? line->linker : "ld";
        _cleanup_free_ char *full = NULL;
        if (name[0] == '/')
                return capture_find(name, ret);
        if (strcmp(name, "ld") != 0 && asprintf(&full, "ld.%s", name) < 0)
                return -ENOMEM;
        int r = capture_find(full ? full : name, ret);
        if (r == -ENOENT && full && strcmp(full, "ld.lld") == 0) {
                /* clang looks beside itself first; Debian has ld.lld-19 on PATH only. */
                r = capture_find("/usr/lib/llvm-19/bin/ld.lld", ret);
        }
        return r;
}

/* Words of the link: languages are for sources, and those are objects now. */
static int link_words(const struct compiler *compiler, const char *xaas_ld, char ***ret)
{
        const struct cc_line *line = &compiler->line;
        int r = begin(compiler, ret);
        for (size_t i = 0; line->words[i] && r == 0; i++) {
                const char *word = line->words[i];
                if (compiler->scratch && strcmp(word, "-x") == 0 && line->words[i + 1])
                        i++;
                else if (compiler->scratch && strncmp(word, "-x", 2) == 0)
                        continue;
                else if (cc_flag_takes_value(word) && line->words[i + 1]) {
                        r = fmt_strings_append(ret, word);
                        if (r == 0)
                                r = fmt_strings_append(ret, line->words[++i]);
                } else if (strncmp(word, "--ld-path=", 10) != 0)
                        r = fmt_strings_append(ret, word);
        }
        _cleanup_free_ char *option = NULL;
        if (r == 0 && asprintf(&option, "--ld-path=%s", xaas_ld) < 0)
                r = -ENOMEM;
        return r < 0 ? r : fmt_strings_append(ret, option);
}

static int link_step(struct compiler *compiler)
{
        struct cc_line *line = &compiler->line;
        _cleanup_free_ char *xaas_ld = NULL, *linker = NULL;
        if (capture_companion("xaas-ld", &xaas_ld) < 0 || find_linker(line, &linker) < 0)
                return become(compiler, false); /* clang says what it misses */
        if (line->n_sources > 0 && !line->splits_badly) {
                int r = compile_sources(compiler);
                if (r != 0)
                        return r;
        }
        if (setenv(LD_REAL_VARIABLE, linker, 1) < 0 ||
                (line->forbidden && setenv(LD_OFF_VARIABLE, line->forbidden, 1) < 0) ||
                (compiler->scratch && setenv(LD_SCRATCH_VARIABLE, compiler->scratch, 1) < 0))
                return -errno;
        _cleanup_(free_words) char **words = NULL;
        int r = link_words(compiler, xaas_ld, &words);
        return r < 0 ? r : capture_run(compiler->clang, words, NULL);
}

static int run(struct compiler *compiler)
{
        struct cc_line *line = &compiler->line;
        if (line->forbidden && line->mode != CC_OTHER)
                tell_uncaptured(line);
        switch (line->mode) {
        case CC_LINK:
                return link_step(compiler);
        case CC_COMPILE:
                return become(compiler, !line->forbidden && has_bitcode_source(line));
        case CC_OTHER:
                break;
        }
        return become(compiler, false);
}

int main(int argc, char **argv)
{
        const char *name = capture_base_name(argv[0]);
        fmt_log_setup(name, FMT_LOG_INFO);
        _cleanup_(compiler_done) struct compiler compiler = {.identity = cc_identify(name)};
        int r = capture_clang(&compiler.clang);
        if (r < 0) {
                fmt_error("cannot find clang 19, which makes the bitcode; install clang-19 or set "
                          "XAASFS_CLANG to it");
                return 127;
        }
        if (cc_is_fortran(name)) {
                r = cc_fortran(argv + (argc > 0), compiler.clang);
        } else {
                r = cc_line_parse(argv + (argc > 0), &compiler.identity, &compiler.line);
                if (r == 0)
                        r = run(&compiler);
        }
        if (r < 0) {
                fmt_error("cannot run %s: %s; check the installation of clang-19", compiler.clang,
                        strerror(-r));
                return 127;
        }
        return r;
}
