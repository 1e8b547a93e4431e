/* SPDX-License-Identifier: Apache-2.0 */
/* The closed vocabulary of linker options: what GNU ld 2.40 and ld.lld 19 accept, and what each
 * means for making the link again. One table for both directions (jit_link_line.c reads a
 * command line with it, jit_recipe.c checks a record with it). */
#ifndef JIT_LINK_OPTIONS_H
#define JIT_LINK_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* How an option takes its value. */
enum jit_arity {
        JIT_FLAG,        /* --name */
        JIT_VALUE,       /* --name=VALUE, --name VALUE, -name VALUE */
        JIT_OPTIONAL,    /* --name or --name=VALUE */
        JIT_JOINED,      /* -nVALUE or -n VALUE: the one-letter ones */
        JIT_JOINED_ONLY, /* -nVALUE or -n alone: -O2, -plugin-opt… */
};

enum jit_meaning {
        JIT_KEEP,      /* goes into the recipe under `canonical` */
        JIT_KEEP_FILE, /* so does it, and its value is a file whose content goes along */
        JIT_DROP,      /* no effect on what the result does */
        JIT_NATIVE,    /* cannot be repeated: `why` says why */
        JIT_STATE, /* handled by jit_link_line.c: position, files, output, what the ELF tells itself
                    */
};

struct jit_link_option {
        const char *name; /* without dashes */
        enum jit_arity arity;
        enum jit_meaning meaning;
        const char *canonical; /* ld.lld's long name where it differs, or why it stays native, or
                                  NULL */
};

/* The option that TEXT ("--name…", "-name…") begins, exact names first, or NULL. *ret_value is the
 * part of TEXT that is its value, or NULL if it has none (yet). */
const struct jit_link_option *jit_link_option_find(const char *text, const char **ret_value);

/* The -z keyword that TEXT ("now", "max-page-size=4096") begins, or NULL. */
const struct jit_link_option *jit_link_keyword_find(const char *text);

/* Whether TEXT is what a recipe may hold: "--name", "--name=VALUE", "-z keyword[=VALUE]"; with
 * HAS_FILE "--name=". */
bool jit_link_option_may_stand(const char *text, bool has_file);

#endif
