/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the command line of GNU ld or ld.lld. */
#include "jit_recipe.h"

#include "fmt_cleanup.h"
#include "jit_link_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What applies to the files that follow. */
struct state {
        bool as_needed;
        bool whole_archive;
        bool prefer_static;
};

struct parser {
        struct jit_link_line *line;
        struct state state;
        struct state saved[32]; /* --push-state */
        size_t n_saved;
        bool shared, pie, no_interpreter, any_static;
};

static int duplicate(const char *text, char **slot)
{
        char *copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        free(*slot);
        *slot = copy;
        return 0;
}

/* Why OPTION cannot be repeated. Paths of the build machine are nobody's business later. */
static int native(struct jit_link_line *line, const char *option, const char *why)
{
        _cleanup_free_ char *sentence = NULL;
        size_t length = strchr(option, '/') ? strcspn(option, "=./") : strlen(option);
        if (asprintf(&sentence, "%.*s: %s", (int)length, option, why) < 0)
                return -ENOMEM;
        return fmt_strings_append(&line->native_reasons, sentence);
}

static int add_file(struct parser *parser, const char *path, bool is_library)
{
        struct jit_link_line *line = parser->line;
        struct jit_link_file *grown =
                realloc(line->files, (line->n_files + 1) * sizeof(*line->files));
        if (!grown)
                return -ENOMEM;
        line->files = grown;
        grown[line->n_files] = (struct jit_link_file){.is_library = is_library,
                .as_needed = parser->state.as_needed,
                .whole_archive = parser->state.whole_archive,
                .prefer_static = parser->state.prefer_static};
        int r = duplicate(path, &grown[line->n_files].path);
        if (r == 0)
                line->n_files++;
        return r;
}

static int add_option(struct jit_link_line *line, const char *text, const char *file)
{
        struct jit_link_option_given *grown =
                realloc(line->options, (line->n_options + 1) * sizeof(*line->options));
        if (!grown)
                return -ENOMEM;
        line->options = grown;
        struct jit_link_option_given *option = &grown[line->n_options];
        *option = (struct jit_link_option_given){0};
        int r = duplicate(text, &option->text);
        if (r == 0 && file)
                r = duplicate(file, &option->file);
        if (r < 0) {
                free(option->text);
                return r;
        }
        line->n_options++;
        if (strcmp(text, "--strip-all") == 0 || strcmp(text, "--strip-debug") == 0)
                line->strips_debug = true;
        if (strcmp(text, "--Bsymbolic") == 0 || strcmp(text, "--Bsymbolic-functions") == 0)
                line->binds_symbols = true;
        if (strcmp(text, "--Bno-symbolic") == 0)
                line->binds_symbols = false;
        return 0;
}

/* "--name", "--name=VALUE" or, with a file, "--name=". */
static int keep(struct parser *parser, const struct jit_link_option *option, const char *value)
{
        const char *name = option->canonical ? option->canonical : option->name;
        _cleanup_free_ char *text = NULL;
        bool file = option->meaning == JIT_KEEP_FILE;
        if (option->arity == JIT_JOINED_ONLY) {
                unsigned level =
                        value && *value >= '0' && *value <= '9' ? (unsigned)atoi(value) : 1;
                if (asprintf(&text, "-%s%u", name, level > 2 ? 2 : level) < 0)
                        return -ENOMEM;
        } else if (asprintf(&text, "--%s%s%s", name, value ? "=" : "",
                           value && !file ? value : "") < 0) {
                return -ENOMEM;
        }
        return add_option(parser->line, text, file ? value : NULL);
}

static int read_keyword(struct parser *parser, const char *text)
{
        struct jit_link_line *line = parser->line;
        const struct jit_link_option *keyword = jit_link_keyword_find(text);
        _cleanup_free_ char *full = NULL;
        const char *name = keyword && keyword->canonical && keyword->meaning == JIT_KEEP
                                   ? keyword->canonical
                                   : text;
        if (asprintf(&full, "-z %s", name) < 0)
                return -ENOMEM;
        if (!keyword)
                return native(line, full, "not known to capture");
        if (keyword->meaning == JIT_NATIVE)
                return native(line, full, keyword->canonical);
        return keyword->meaning == JIT_KEEP ? add_option(line, full, NULL) : 0;
}

static int read_emulation(struct parser *parser, const char *value)
{
        if (strcmp(value, JIT_LINK_EMULATION) == 0)
                return 0;
        return native(parser->line, value, "only 64-bit x86 ELF is compiled for the host");
}

static int read_format(struct parser *parser, const char *value)
{
        if (strcmp(value, "elf64-x86-64") == 0 || strcmp(value, "elf") == 0 ||
                strcmp(value, "default") == 0)
                return 0;
        return native(parser->line, value, "only ELF inputs and outputs can be repeated");
}

static int read_plugin(struct parser *parser, const char *value)
{
        const char *base = strrchr(value, '/');
        if (strcmp(base ? base + 1 : value, "liblto_plugin.so") == 0) {
                parser->line->uses_gcc_plugin = true;
                return 0;
        }
        return native(parser->line, "-plugin", "another linker plug-in took part");
}

/* GNU ld: -R DIRECTORY is a run-time path, -R FILE takes symbols from it. */
static int read_r(struct parser *parser, const char *value)
{
        struct stat st;
        if (stat(value, &st) == 0 && S_ISREG(st.st_mode))
                return native(parser->line, "-R FILE", "fixed addresses cannot be repeated");
        return 0;
}

static bool is_one_of(const char *name, const char *const *list)
{
        for (; *list; list++)
                if (strcmp(name, *list) == 0)
                        return true;
        return false;
}

/* Options without a value that change what the following files or the output are. */
static int read_switch(struct parser *parser, const char *name)
{
        static const char *const to_static[] = {"Bstatic", "dn", "non_shared", "static", NULL};
        static const char *const to_dynamic[] = {"Bdynamic", "dy", "call_shared", NULL};
        static const char *const to_shared[] = {"shared", "Bshareable", NULL};
        static const char *const to_pie[] = {"pie", "pic-executable", NULL};
        static const char *const to_object[] = {"r", "i", "relocatable", NULL};
        struct state *state = &parser->state;
        if (is_one_of(name, to_static))
                state->prefer_static = parser->any_static = true;
        else if (is_one_of(name, to_dynamic))
                state->prefer_static = false;
        else if (is_one_of(name, to_shared))
                parser->shared = true;
        else if (is_one_of(name, to_pie))
                parser->pie = true;
        else if (is_one_of(name, to_object))
                parser->line->relocatable = true;
        else if (strcmp(name, "no-pie") == 0)
                parser->pie = false;
        else if (strcmp(name, "no-dynamic-linker") == 0)
                parser->no_interpreter = true;
        else if (strcmp(name, "as-needed") == 0 || strcmp(name, "no-as-needed") == 0)
                state->as_needed = name[0] == 'a';
        else if (strcmp(name, "whole-archive") == 0 || strcmp(name, "no-whole-archive") == 0)
                state->whole_archive = name[0] == 'w';
        else if (strcmp(name, "push-state") == 0 && parser->n_saved < 32)
                parser->saved[parser->n_saved++] = *state;
        else if (strcmp(name, "pop-state") == 0 && parser->n_saved > 0)
                *state = parser->saved[--parser->n_saved];
        return 0;
}

static int read_valued(struct parser *parser, const char *name, const char *value)
{
        struct jit_link_line *line = parser->line;
        if (strcmp(name, "o") == 0 || strcmp(name, "output") == 0)
                return duplicate(value, &line->output);
        if (strcmp(name, "l") == 0 || strcmp(name, "library") == 0)
                return add_file(parser, value, true);
        if (strcmp(name, "L") == 0 || strcmp(name, "library-path") == 0)
                return fmt_strings_append(&line->search, value);
        if (strcmp(name, "sysroot") == 0)
                return duplicate(value, &line->sysroot);
        if (strcmp(name, "z") == 0)
                return read_keyword(parser, value);
        if (strcmp(name, "m") == 0)
                return read_emulation(parser, value);
        if (strcmp(name, "b") == 0 || strcmp(name, "format") == 0 || strcmp(name, "oformat") == 0)
                return read_format(parser, value);
        if (strcmp(name, "plugin") == 0)
                return read_plugin(parser, value);
        if (strcmp(name, "R") == 0)
                return read_r(parser, value);
        if (strcmp(name, "exclude-libs") == 0)
                line->excludes_libraries = true;
        if (strcmp(name, "orphan-handling") == 0 && strcmp(value, "discard") == 0)
                return native(
                        line, "--orphan-handling=discard", "ld.lld cannot leave sections out");
        return 0;
}

/* One option and its value at ARGV[*at]; moves *at to the last word it took. */
static int read_option(struct parser *parser, char *const *argv, size_t *at)
{
        const char *text = argv[*at];
        const char *value = NULL;
        const struct jit_link_option *option = jit_link_option_find(text, &value);
        if (!option)
                return native(parser->line, text, "not known to capture");
        bool wants = option->arity == JIT_VALUE || option->arity == JIT_JOINED;
        if (wants && !value) {
                if (!argv[*at + 1])
                        return native(parser->line, text, "its value is missing");
                value = argv[++*at];
        }
        switch (option->meaning) {
        case JIT_KEEP:
        case JIT_KEEP_FILE:
                return keep(parser, option, value);
        case JIT_NATIVE:
                return native(parser->line, text, option->canonical);
        case JIT_STATE:
                return wants ? read_valued(parser, option->name, value)
                             : read_switch(parser, option->name);
        case JIT_DROP:
                break;
        }
        return 0;
}

static int read_words(struct parser *parser, char *const *argv)
{
        int r = 0;
        for (size_t i = 0; argv[i] && r == 0; i++)
                r = argv[i][0] == '-' && argv[i][1] != 0 ? read_option(parser, argv, &i)
                                                         : add_file(parser, argv[i], false);
        return r;
}

static enum fmt_output_kind output_kind(const struct parser *parser)
{
        if (parser->shared)
                return FMT_OUTPUT_SHARED;
        if (parser->pie)
                return parser->no_interpreter ? FMT_OUTPUT_STATIC_PIE : FMT_OUTPUT_PIE;
        return parser->any_static && parser->state.prefer_static ? FMT_OUTPUT_STATIC
                                                                 : FMT_OUTPUT_EXECUTABLE;
}

static void free_line(struct jit_link_line **line)
{
        jit_link_line_free(*line);
}

static void free_words(char ***words)
{
        fmt_strings_free(*words);
}

int jit_link_line_parse(char *const *argv, struct jit_link_line **ret)
{
        _cleanup_(free_words) char **words = NULL;
        _cleanup_(free_line) struct jit_link_line *line = calloc(1, sizeof(*line));
        if (!line)
                return -ENOMEM;
        struct parser parser = {.line = line};
        line->native_reasons = calloc(1, sizeof(char *));
        line->search = calloc(1, sizeof(char *));
        int r = line->native_reasons && line->search ? duplicate("a.out", &line->output) : -ENOMEM;
        if (r == 0)
                r = jit_response_expand(argv, &words);
        if (r == 0)
                r = read_words(&parser, words);
        if (r < 0)
                return r;
        line->kind = output_kind(&parser);
        *ret = steal_pointer(&line);
        return 0;
}

void jit_link_line_free(struct jit_link_line *line)
{
        if (!line)
                return;
        for (size_t i = 0; i < line->n_files; i++)
                free(line->files[i].path);
        for (size_t i = 0; i < line->n_options; i++) {
                free(line->options[i].text);
                free(line->options[i].file);
        }
        free(line->files);
        free(line->options);
        free(line->output);
        free(line->sysroot);
        fmt_strings_free(line->search);
        fmt_strings_free(line->native_reasons);
        free(line);
}
