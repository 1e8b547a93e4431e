/* SPDX-License-Identifier: Apache-2.0 */
/* flang 19 cannot put bitcode beside native code. It can stop after the ThinLTO pre-link passes;
 * clang then makes the fat object out of that, native half and module alike. */
#include "cc_fortran.h"

#include "capture_log.h"
#include "capture_programs.h"
#include "cc_line.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_record.h"
#include "ld_environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fortran {
        char *flang;
        const char *clang;
        struct cc_line line;
        char *scratch;
};

static void fortran_done(struct fortran *fortran)
{
        cc_line_done(&fortran->line);
        if (fortran->scratch)
                capture_scratch_remove(fortran->scratch);
        free(fortran->scratch);
        free(fortran->flang);
}

static void free_words(char ***words)
{
        fmt_strings_free(*words);
}

bool cc_is_fortran(const char *name)
{
        return strncmp(name, "xaas-fc", 7) == 0 || strncmp(name, "flang", 5) == 0;
}

static int append_all(char ***words, const char *const *more)
{
        int r = 0;
        for (; *more && r == 0; more++)
                r = fmt_strings_append(words, *more);
        return r;
}

/* Bitcode of SOURCE into BITCODE. */
static int run_flang(const struct fortran *fortran, const char *source, const char *bitcode)
{
        _cleanup_(free_words) char **words = NULL;
        const char *rest[] = {"-flto=thin", "-c", source, "-o", bitcode, NULL};
        int r = fmt_strings_append(&words, fortran->flang);
        if (r == 0)
                r = cc_line_compile_flags(&fortran->line, &words);
        if (r == 0)
                r = append_all(&words, rest);
        return r < 0 ? r
                     : capture_run_quietly(fortran->flang, words,
                               "the option '-flto=thin' is a work in progress");
}

/* Flags that code generation must hear of too. */
static bool is_for_code_generation(const char *flag)
{
        static const char *const begins[] = {"-O", "-fPIC", "-fpic", "-fPIE", "-fpie", "-fno-pic",
                "-fno-PIC", "-fno-pie", "-fno-PIE",
                "-march=", "-mtune=", "-mcpu=", "-mcmodel=", "-g", "-ffast-math",
                "-ffp-contract=", NULL};
        for (const char *const *p = begins; *p; p++)
                if (strncmp(flag, *p, strlen(*p)) == 0)
                        return true;
        return false;
}

static int run_clang(const struct fortran *fortran, const char *bitcode, const char *object)
{
        _cleanup_(free_words) char **words = NULL;
        const char *first[] = {fortran->clang, "-Qunused-arguments", "-Wno-override-module", NULL};
        const char *rest[] = {
                "-flto=thin", "-ffat-lto-objects", "-x", "ir", "-c", bitcode, "-o", object, NULL};
        int r = append_all(&words, first);
        for (char **word = fortran->line.words; *word && r == 0; word++)
                if (is_for_code_generation(*word))
                        r = fmt_strings_append(&words, *word);
        if (r == 0)
                r = append_all(&words, rest);
        return r < 0 ? r : capture_run(fortran->clang, words, NULL);
}

static int compile(struct fortran *fortran, size_t number, const char *object)
{
        const char *source = fortran->line.words[fortran->line.sources[number].word];
        _cleanup_free_ char *bitcode = NULL;
        if (asprintf(&bitcode, "%s/%zu.bc", fortran->scratch, number) < 0)
                return -ENOMEM;
        int r = run_flang(fortran, source, bitcode);
        return r != 0 ? r : run_clang(fortran, bitcode, object);
}

/* The object that -c makes of a source: -o's value, or its name with .o in this folder. */
static int object_name(const struct cc_line *line, const char *source, char **ret)
{
        if (line->has_output && line->words[line->output]) {
                const char *given = line->words[line->output];
                *ret = strdup(strncmp(given, "-o", 2) == 0 ? given + 2 : given);
                return *ret ? 0 : -ENOMEM;
        }
        const char *base = capture_base_name(source);
        const char *dot = strrchr(base, '.');
        return asprintf(ret, "%.*s.o", dot ? (int)(dot - base) : (int)strlen(base), base) < 0
                       ? -ENOMEM
                       : 0;
}

static int become_flang(const struct fortran *fortran)
{
        _cleanup_(free_words) char **words = NULL;
        int r = fmt_strings_append(&words, fortran->flang);
        if (r == 0)
                r = append_all(&words, (const char *const *)fortran->line.words);
        return r < 0 ? r : capture_become(fortran->flang, words);
}

/* flang has no --ld-path: it finds our linker where it looks for any, first on PATH. */
static int link_objects(struct fortran *fortran)
{
        _cleanup_(free_words) char **words = NULL;
        _cleanup_free_ char *folder = NULL, *path = NULL;
        const char *old = getenv("PATH");
        if (capture_companion("path", &folder) < 0)
                return become_flang(fortran);
        if (asprintf(&path, "%s:%s", folder, old ? old : "/usr/bin:/bin") < 0)
                return -ENOMEM;
        if (setenv("PATH", path, 1) < 0 || setenv(LD_SCRATCH_VARIABLE, fortran->scratch, 1) < 0)
                return -errno;
        int r = fmt_strings_append(&words, fortran->flang);
        if (r == 0)
                r = append_all(&words, (const char *const *)fortran->line.words);
        return r < 0 ? r : capture_run(fortran->flang, words, NULL);
}

static int compile_all(struct fortran *fortran)
{
        struct cc_line *line = &fortran->line;
        int r = capture_scratch(&fortran->scratch);
        for (size_t i = 0; i < line->n_sources && r == 0; i++) {
                _cleanup_free_ char *object = NULL;
                size_t word = line->sources[i].word;
                if (line->mode == CC_COMPILE)
                        r = object_name(line, line->words[word], &object);
                else if (asprintf(&object, "%s/%zu+%s.o", fortran->scratch, i,
                                 capture_base_name(line->words[word])) < 0)
                        r = -ENOMEM;
                if (r == 0)
                        r = compile(fortran, i, object);
                if (r == 0 && line->mode == CC_LINK) {
                        free(line->words[word]);
                        line->words[word] = steal_pointer(&object);
                }
        }
        return r;
}

static bool can_be_captured(const struct cc_line *line)
{
        for (size_t i = 0; i < line->n_sources; i++)
                if (!line->sources[i].fortran)
                        return false;
        return !line->forbidden && line->mode != CC_OTHER;
}

int cc_fortran(char *const *argv, const char *clang)
{
        static const struct cc_identity identity = {.like_gcc = false};
        const char *chosen = getenv("XAASFS_FLANG");
        _cleanup_(fortran_done) struct fortran fortran = {.clang = clang};
        int r = capture_find(chosen && *chosen ? chosen : "flang-new-19", &fortran.flang);
        if (r < 0) {
                fmt_error("cannot find flang 19, which compiles Fortran to bitcode; install "
                          "flang-19, "
                          "or compile with gfortran and link natively");
                return 127;
        }
        r = cc_line_parse(argv, &identity, &fortran.line);
        if (r < 0)
                return r;
        if (!can_be_captured(&fortran.line))
                return become_flang(&fortran);
        r = compile_all(&fortran);
        return r != 0 || fortran.line.mode == CC_COMPILE ? r : link_objects(&fortran);
}
