/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_suggest.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LONGEST_NAME 63

static size_t least(size_t a, size_t b)
{
        return a < b ? a : b;
}

/* Optimal string alignment distance, with three rows of the usual table. */
static size_t distance(const char *a, const char *b)
{
        size_t rows[3][LONGEST_NAME + 1];
        size_t *before = rows[0], *last = rows[1], *row = rows[2];
        size_t a_size = strlen(a), b_size = strlen(b);

        if (a_size > LONGEST_NAME || b_size > LONGEST_NAME)
                return SIZE_MAX;
        for (size_t j = 0; j <= b_size; j++)
                last[j] = j;
        for (size_t i = 1; i <= a_size; i++) {
                row[0] = i;
                for (size_t j = 1; j <= b_size; j++) {
                        row[j] = least(last[j], row[j - 1]) + 1;
                        row[j] = least(row[j], last[j - 1] + (a[i - 1] != b[j - 1]));
                        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                                row[j] = least(row[j], before[j - 2] + 1);
                }
                size_t *oldest = before;
                before = last;
                last = row;
                row = oldest;
        }
        return last[b_size];
}

const char *fmt_suggest(const char *given, const char *const *known)
{
        size_t size = strlen(given);
        /* One slip in a short name, one per three letters in a long one: more is another word. */
        size_t allowed = size < 6 ? 1 : size / 3;
        const char *best = NULL;

        if (size < 2)
                return NULL;
        for (; *known; known++) {
                size_t off = strncmp(given, *known, size) == 0 ? 0 : distance(given, *known);
                if (off <= allowed && (!best || off < allowed)) {
                        best = *known;
                        allowed = off;
                }
        }
        return best;
}
