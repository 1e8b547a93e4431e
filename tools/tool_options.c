/* SPDX-License-Identifier: Apache-2.0 */
#include "tool_options.h"

#include "fmt_log.h"
#include "fmt_suggest.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_OPTIONS 64

static void print_option(
        const char *letter, const char *name, const char *argument, const char *help)
{
        char left[64];

        snprintf(left, sizeof(left), "%s--%s%s%s", letter, name, argument ? " " : "",
                argument ? argument : "");
        printf("  %-24s  %s\n", left, help);
}

static void print_help(const struct tool_line *line)
{
        printf("usage: %s\n", line->usage);
        if (line->about)
                printf("\n%s\n", line->about);
        printf("\n");
        for (const struct tool_option *option = line->options; option->name; option++) {
                char letter[8] = "";
                if (option->letter)
                        snprintf(letter, sizeof(letter), "-%c, ", option->letter);
                print_option(letter, option->name, option->argument, option->help);
        }
        print_option("", "help", NULL, "this text");
}

int tool_wrong(const struct tool_line *line, const char *format, ...)
{
        char text[512];
        va_list arguments;

        va_start(arguments, format);
        vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        fmt_error("%s; usage: %s", text, line->usage);
        return TOOL_WRONG;
}

/* Long options are known by NAME_SIZE bytes of ARGUMENT after "--". */
static const struct tool_option *find_long(
        const struct tool_line *line, const char *argument, size_t name_size)
{
        for (const struct tool_option *option = line->options; option->name; option++)
                if (strlen(option->name) == name_size &&
                        !strncmp(option->name, argument + 2, name_size))
                        return option;
        return NULL;
}

static int unknown_option(const struct tool_line *line, const char *argument)
{
        const char *names[MOST_OPTIONS + 2];
        const char *close = NULL;
        char given[64];
        size_t n = 0;

        for (const struct tool_option *option = line->options; option->name && n < MOST_OPTIONS;
                option++)
                names[n++] = option->name;
        names[n++] = "help";
        names[n] = NULL;
        if (argument[1] == '-') {
                snprintf(given, sizeof(given), "%.*s", (int)strcspn(argument + 2, "="),
                        argument + 2);
                close = fmt_suggest(given, names);
        }
        if (close)
                return tool_wrong(
                        line, "there is no option %s; did you mean --%s?", argument, close);
        return tool_wrong(line, "there is no option %s", argument);
}

static int take_value(
        struct tool_line *line, const struct tool_option *option, const char **ret_value)
{
        if (line->next + 1 >= line->argc)
                return tool_wrong(line, "option --%s needs a value: --%s %s", option->name,
                        option->name, option->argument);
        *ret_value = line->argv[++line->next];
        return option->id;
}

static int next_short(struct tool_line *line, const char *argument, const char **ret_value)
{
        for (const struct tool_option *option = line->options; option->name; option++) {
                if (option->letter != argument[1])
                        continue;
                if (!argument[2])
                        return option->argument ? take_value(line, option, ret_value) : option->id;
                if (option->argument) {
                        *ret_value = argument + 2;
                        return option->id;
                }
        }
        return unknown_option(line, argument);
}

static int next_long(struct tool_line *line, const char *argument, const char **ret_value)
{
        size_t name_size = strcspn(argument + 2, "=");
        const struct tool_option *option = find_long(line, argument, name_size);
        const char *value = argument[2 + name_size] ? argument + 2 + name_size + 1 : NULL;

        if (!option && !strcmp(argument, "--help")) {
                print_help(line);
                return TOOL_HELP;
        }
        if (!option)
                return unknown_option(line, argument);
        if (!option->argument && value)
                return tool_wrong(line, "option --%s takes no value", option->name);
        if (option->argument && !value)
                return take_value(line, option, ret_value);
        *ret_value = value;
        return option->id;
}

int tool_next(struct tool_line *line, const char **ret_value)
{
        const char *argument;

        *ret_value = NULL;
        if (line->next + 1 >= line->argc)
                return TOOL_END;
        argument = line->argv[++line->next];
        if (line->only_operands || argument[0] != '-' || !argument[1]) {
                *ret_value = argument;
                return TOOL_OPERAND;
        }
        if (!strcmp(argument, "--")) {
                line->only_operands = 1;
                return tool_next(line, ret_value);
        }
        return argument[1] == '-' ? next_long(line, argument, ret_value)
                                  : next_short(line, argument, ret_value);
}

int tool_parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret)
{
        unsigned long long value;
        char *end;

        if (!isdigit((unsigned char)text[0]))
                return -EINVAL;
        errno = 0;
        value = strtoull(text, &end, 10);
        if (*end)
                return -EINVAL;
        if (errno || value < least || value > most)
                return -ERANGE;
        *ret = value;
        return 0;
}

int tool_parse_size(const char *text, uint64_t *ret_bytes)
{
        static const char units[] = "KMGT";
        size_t size = strlen(text);
        unsigned shift = 0;
        char digits[32];
        uint64_t value;
        const char *unit = size > 1 ? strchr(units, toupper((unsigned char)text[size - 1])) : NULL;
        int r;

        if (unit && *unit) {
                shift = 10 * (unsigned)(unit - units + 1);
                size--;
        }
        if (size >= sizeof(digits))
                return -ERANGE;
        memcpy(digits, text, size);
        digits[size] = '\0';
        r = tool_parse_number(digits, 0, UINT64_MAX >> shift, &value);
        if (r < 0)
                return r;
        *ret_bytes = value << shift;
        return 0;
}
