/* SPDX-License-Identifier: Apache-2.0 */
/* Command lines of the xaas commands: options and operands in any order, "--" ends options,
 * nothing is abbreviated, what is misspelt is refused by name. */
#ifndef TOOL_OPTIONS_H
#define TOOL_OPTIONS_H

#include <stdint.h>

struct tool_option {
        int id;           /* > 0, what tool_next returns */
        char letter;      /* 'o' for -o, or 0 */
        const char *name; /* "output" for --output */
        const char
                *argument; /* "FILE": takes one (--output FILE, --output=FILE, -o FILE); or NULL */
        const char *help;  /* for --help */
};

struct tool_line {
        const char *usage;                 /* "xaas pack [OPTIONS] ROOTFS IMAGE" */
        const char *about;                 /* a sentence for --help */
        const struct tool_option *options; /* ends with an entry without a name */
        int argc;                          /* argv[0] is the command itself, and skipped */
        char **argv;

        int next; /* index of the next argument less one; set to 0 */
        int only_operands;
};

enum {
        TOOL_END = 0,
        TOOL_OPERAND = -1, /* *ret_value is the operand */
        TOOL_WRONG = -2,   /* a message was printed: exit with TOOL_USAGE */
        TOOL_HELP = -3,    /* --help was printed: exit with 0 */
};

/* Exit status for a command line that makes no sense; 1 is for what failed. */
#define TOOL_USAGE 2

/* Takes the next argument. An option's id, or one of the above. */
int tool_next(struct tool_line *line, const char **ret_value);

/* For operands: 0 and says so if there are too few or too many. */
int tool_wrong(const struct tool_line *line, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* Bytes: digits with an optional K, M, G or T (powers of 1024). 0, or -EINVAL / -ERANGE. */
int tool_parse_size(const char *text, uint64_t *ret_bytes);

/* A decimal number from LEAST to MOST. 0, or -EINVAL / -ERANGE. */
int tool_parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret);

#endif
