/* SPDX-License-Identifier: Apache-2.0 */
/* NULL-terminated lists of strings, list and strings from malloc. A NULL list is an empty one. */
#ifndef FMT_STRINGS_H
#define FMT_STRINGS_H

#include <stdbool.h>
#include <stddef.h>

/* Appends a copy of STRING. 0 or -ENOMEM, then the list is as it was. */
int fmt_strings_append(char ***list, const char *string);
void fmt_strings_free(char **list);
size_t fmt_strings_count(char *const *list);
bool fmt_strings_contain(char *const *list, const char *string);

static inline void fmt_strings_freep(char ***list)
{
        fmt_strings_free(*list);
}

#endif
