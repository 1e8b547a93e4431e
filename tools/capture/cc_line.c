/* SPDX-License-Identifier: Apache-2.0 */
#include "cc_line.h"

#include "capture_programs.h"
#include "cc_flags.h"
#include "fmt_cleanup.h"
#include "fmt_record.h"
#include "jit_recipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct cc_identity cc_identify(const char *name)
{
        struct cc_identity identity = {.like_gcc = true};
        identity.cxx = strstr(name, "++") != NULL;
        if (strstr(name, "clang"))
                identity.like_gcc = false;
        if (strcmp(name, "c89") == 0)
                identity.standard = "-std=c89";
        if (strcmp(name, "c99") == 0)
                identity.standard = "-std=c99";
        return identity;
}

static bool is_one_of(const char *word, const char *const *list)
{
        for (; *list; list++)
                if (strcmp(word, *list) == 0)
                        return true;
        return false;
}

enum input { INPUT_OBJECT, INPUT_BITCODE, INPUT_FORTRAN, INPUT_PLAIN };

/* What clang makes of an input: by -x, else by the end of its name. */
static enum input classify(const char *path, const char *language)
{
        static const char *const languages[] = {"c", "c++", "objective-c", "objective-c++",
                "cpp-output", "c++-cpp-output", "cuda", NULL};
        static const char *const endings[] = {"c", "cc", "cp", "cxx", "cpp", "CPP", "c++", "C",
                "CC", "i", "ii", "m", "mi", "mm", "M", "mii", NULL};
        static const char *const plain[] = {"s", "S", "sx", "asm", "h", "hh", "hpp", "H", "hxx",
                "ll", "bc", "cppm", "ixx", "pcm", "gch", "pch", NULL};
        static const char *const fortran[] = {"f", "for", "F", "FOR", "f77", "f90", "F90", "f95",
                "F95", "f03", "F03", "f08", "F08", "f18", "F18", NULL};
        if (language && strcmp(language, "none") != 0)
                return is_one_of(language, languages) ? INPUT_BITCODE : INPUT_PLAIN;
        const char *dot = strrchr(capture_base_name(path), '.');
        if (dot && is_one_of(dot + 1, endings))
                return INPUT_BITCODE;
        if (dot && is_one_of(dot + 1, fortran))
                return INPUT_FORTRAN;
        return dot && is_one_of(dot + 1, plain) ? INPUT_PLAIN : INPUT_OBJECT;
}

/* Clang makes a precompiled header of it, with or without -c. */
static bool is_header(const char *path, const char *language)
{
        static const char *const endings[] = {
                "h", "hh", "hpp", "H", "hxx", "hp", "h++", "tcc", NULL};
        const char *dot = strrchr(capture_base_name(path), '.');
        if (language && strcmp(language, "none") != 0)
                return strstr(language, "-header") != NULL;
        return dot && is_one_of(dot + 1, endings);
}

static int add_source(struct cc_line *line, size_t word, const char *language)
{
        enum input input = classify(line->words[word], language);
        if (input == INPUT_OBJECT)
                return 0;
        struct cc_source *grown =
                realloc(line->sources, (line->n_sources + 1) * sizeof(*line->sources));
        if (!grown)
                return -ENOMEM;
        line->sources = grown;
        grown[line->n_sources++] = (struct cc_source){.word = word,
                .language = language,
                .bitcode = input == INPUT_BITCODE,
                .fortran = input == INPUT_FORTRAN};
        return 0;
}

/* Flags that say what is made. */
static void note_mode(struct cc_line *line, const char *flag, bool *links)
{
        static const char *const other[] = {"-E", "-S", "-M", "-MM", "-fsyntax-only", "-emit-llvm",
                "-emit-ast", "--analyze", "--precompile", "-###", "--version", "--help",
                "-dumpversion", "-dumpfullversion", "-dumpmachine", "-dumpspecs", "--assemble",
                "--preprocess", "-verify-pch", "-cc1", "-cc1as", NULL};
        if (is_one_of(flag, other) || strncmp(flag, "-print-", 7) == 0 ||
                strncmp(flag, "--print-", 8) == 0 || strncmp(flag, "--help", 6) == 0)
                *links = false;
        else if (strcmp(flag, "-c") == 0 || strcmp(flag, "--compile") == 0)
                line->mode = CC_COMPILE;
}

static void note_flag(struct cc_line *line, const char *flag)
{
        const char *why = cc_flag_forbids_bitcode(flag);
        if (why)
                line->forbidden = why;
        if (strncmp(flag, "-fuse-ld=", 9) == 0 && !(line->linker && line->linker[0] == '/'))
                line->linker = flag + 9;
        if (strncmp(flag, "--ld-path=", 10) == 0)
                line->linker = flag + 10;
        if (strcmp(flag, "-gsplit-dwarf") == 0 || strncmp(flag, "-save-temps", 11) == 0 ||
                strncmp(flag, "--save-temps", 12) == 0 || strcmp(flag, "-ftime-trace") == 0)
                line->splits_badly = true;
        if (strcmp(flag, "-MD") == 0 || strcmp(flag, "-MMD") == 0)
                line->wants_dependencies = true;
        if (strncmp(flag, "-MT", 3) == 0 || strncmp(flag, "-MQ", 3) == 0)
                line->has_target = true;
}

/* What clang calls a flag that it does not know but that means something to it, or NULL.
 * -specs=/usr/share/dpkg/no-pie-link.specs is how Debian's packages switch PIE off. */
static const char *in_clang_s_words(const char *flag)
{
        if (strcmp(flag, "-fwrapv-pointer") == 0)
                return "-fwrapv"; /* which covers pointers up to clang 19 */
        if (strcmp(flag, "-mprefer-avx128") == 0)
                return "-mprefer-vector-width=128";
        if (strncmp(flag, "-specs=", 7) != 0)
                return NULL;
        const char *name = capture_base_name(flag + 7);
        if (strcmp(name, "no-pie-compile.specs") == 0)
                return "-fno-pie";
        if (strcmp(name, "no-pie-link.specs") == 0)
                return "-no-pie";
        if (strcmp(name, "pie-compile.specs") == 0)
                return "-fPIE";
        return strcmp(name, "pie-link.specs") == 0 ? "-pie" : NULL;
}

/* gcc does without the profile it is told to use where there is none; clang does not. */
static bool names_no_profile(const char *word)
{
        struct stat st;
        _cleanup_free_ char *inside = NULL;
        if (strncmp(word, "-fprofile-use=", 14) != 0)
                return false;
        if (stat(word + 14, &st) < 0)
                return true;
        return S_ISDIR(st.st_mode) && asprintf(&inside, "%s/default.profdata", word + 14) >= 0 &&
               access(inside, R_OK) < 0;
}

/* Copies ARGV into line->words without what clang or capture cannot have there. */
static int filter(char *const *argv, const struct cc_identity *identity, struct cc_line *line)
{
        int r = 0;
        line->words = calloc(1, sizeof(char *));
        if (!line->words)
                return -ENOMEM;
        for (size_t i = 0; argv[i] && r == 0; i++) {
                const char *word = argv[i];
                if (cc_flag_takes_value(word) && argv[i + 1]) {
                        bool gcc_only = strcmp(word, "--param") == 0 ||
                                        strcmp(word, "-aux-info") == 0 ||
                                        strcmp(word, "-wrapper") == 0;
                        if (!(identity->like_gcc && gcc_only)) {
                                r = fmt_strings_append(&line->words, word);
                                if (r == 0)
                                        r = fmt_strings_append(&line->words, argv[i + 1]);
                        }
                        i++;
                        continue;
                }
                const char *translated = identity->like_gcc ? in_clang_s_words(word) : NULL;
                if (translated)
                        r = fmt_strings_append(&line->words, translated);
                else if (!cc_flag_is_lto(word) &&
                         !(identity->like_gcc &&
                                 (cc_flag_is_gcc_only(word) || names_no_profile(word))))
                        r = fmt_strings_append(&line->words, word);
        }
        return r;
}

static int read_words(struct cc_line *line)
{
        const char *language = NULL;
        bool links = true, inputs = false, only_flags = false, has_mf = false;
        for (size_t i = 0; line->words[i]; i++) {
                const char *word = line->words[i];
                if (only_flags || word[0] != '-' || word[1] == 0) {
                        inputs = true;
                        links = links && !is_header(word, language);
                        int r = add_source(line, i, language);
                        if (r < 0)
                                return r;
                        continue;
                }
                if (strcmp(word, "--") == 0) {
                        only_flags = true;
                } else if (strncmp(word, "-x", 2) == 0) {
                        language = word[2] ? word + 2 : line->words[++i];
                } else if (strncmp(word, "-o", 2) == 0) {
                        line->has_output = true;
                        line->output = word[2] ? i : ++i;
                } else if (cc_flag_takes_value(word)) {
                        inputs = inputs || strcmp(word, "-l") == 0;
                        note_flag(line, word);
                        has_mf = has_mf || strcmp(word, "-MF") == 0;
                        i++;
                } else {
                        inputs = inputs || strncmp(word, "-l", 2) == 0 ||
                                 strncmp(word, "-Wl,", 4) == 0;
                        has_mf = has_mf || strncmp(word, "-MF", 3) == 0;
                        note_flag(line, word);
                        note_mode(line, word, &links);
                }
                if (!line->words[i])
                        break;
        }
        if (!links || !inputs)
                line->mode = CC_OTHER;
        line->has_dependency_file = has_mf;
        return 0;
}

static void free_words(char ***words)
{
        fmt_strings_free(*words);
}

int cc_line_parse(char *const *argv, const struct cc_identity *identity, struct cc_line *ret)
{
        *ret = (struct cc_line){.mode = CC_LINK};
        _cleanup_(free_words) char **expanded = NULL;
        int r = jit_response_expand(argv, &expanded);
        if (r == 0)
                r = filter(expanded, identity, ret);
        if (r == 0)
                r = read_words(ret);
        if (r < 0)
                cc_line_done(ret);
        return r;
}

/* A word that has no say in compiling: an input, the output, a library. */
static bool is_for_linking(const struct cc_line *line, size_t i)
{
        const char *word = line->words[i];
        for (size_t k = 0; k < line->n_sources; k++)
                if (line->sources[k].word == i)
                        return true;
        if (line->has_output && i == line->output)
                return true;
        return word[0] != '-' || word[1] == 0 || strncmp(word, "-l", 2) == 0 ||
               strncmp(word, "-Wl,", 4) == 0 || strncmp(word, "-x", 2) == 0 ||
               strcmp(word, "--") == 0;
}

static bool value_is_for_linking(const char *flag)
{
        static const char *const flags[] = {
                "-o", "-x", "-l", "-L", "-Xlinker", "-z", "-u", "-e", "-T", "-h", "-rpath", NULL};
        for (const char *const *p = flags; *p; p++)
                if (strcmp(flag, *p) == 0)
                        return true;
        return false;
}

int cc_line_compile_flags(const struct cc_line *line, char ***ret)
{
        int r = 0;
        for (size_t i = 0; line->words[i] && r == 0; i++) {
                const char *word = line->words[i];
                bool pair = cc_flag_takes_value(word) && line->words[i + 1];
                if (pair && value_is_for_linking(word)) {
                        i++;
                } else if (pair) {
                        r = fmt_strings_append(ret, word);
                        if (r == 0)
                                r = fmt_strings_append(ret, line->words[++i]);
                } else if (!is_for_linking(line, i)) {
                        r = fmt_strings_append(ret, word);
                }
        }
        return r;
}

void cc_line_done(struct cc_line *line)
{
        fmt_strings_free(line->words);
        free(line->sources);
        *line = (struct cc_line){0};
}
