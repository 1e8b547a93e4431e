/* SPDX-License-Identifier: Apache-2.0 */
/* Text that is looked through: how many lines and words, which letter how often, where a word stands. Bytes instead of
 * numbers; some loops suit vectors, others are one decision after the other. */
#include <stdlib.h>
#include <string.h>

#include "kernel.h"

static const char *const words[] = {"harbour", "tide", "sea", "the", "of", "waves", "standing", "a", "lake",
                                    "seiche", "basin", "wind", "and", "water", "period", "long"};
#define WORDS (sizeof words / sizeof *words)
#define SOUGHT 9 /* seiche */

struct count {
        long lines, words, letters, found;
};

/* Writes SIZE bytes of text, and what there is to be found. */
static void write_text(char *text, long size, struct count *known)
{
        unsigned random = 1;
        long at = 0;

        *known = (struct count){0};
        while (at < size) {
                random = random * 1664525 + 1013904223;
                const unsigned pick = random >> 28;
                const long length = (long)strlen(words[pick]);

                if (at + length + 1 > size) {
                        memset(text + at, '.', size - at);
                        known->words += at < size;
                        return;
                }
                memcpy(text + at, words[pick], length);
                at += length;
                text[at++] = (random >> 20) % 11 ? ' ' : '\n';
                known->lines += text[at - 1] == '\n';
                known->words++;
                known->found += pick == SOUGHT;
                for (long i = 0; i < length; i++)
                        known->letters += words[pick][i] == 'e';
        }
}

static long count_byte(const char *text, long size, char byte)
{
        long count = 0;

        for (long i = 0; i < size; i++)
                count += text[i] == byte;
        return count;
}

static bool is_space(char byte)
{
        return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static long count_words(const char *text, long size)
{
        long count = 0;
        bool inside = false;

        for (long i = 0; i < size; i++) {
                count += !inside && !is_space(text[i]);
                inside = !is_space(text[i]);
        }
        return count;
}

/* Horspool's: looks at the end of the word first, and leaps as far as the byte there allows. */
static long count_word(const char *text, long size, const char *word)
{
        const long length = (long)strlen(word);
        long leap[256], count = 0, at = 0;

        for (int i = 0; i < 256; i++)
                leap[i] = length;
        for (long i = 0; i < length - 1; i++)
                leap[(unsigned char)word[i]] = length - 1 - i;
        while (at + length <= size) {
                long i = length - 1;

                while (i >= 0 && text[at + i] == word[i])
                        i--;
                count += i < 0;
                at += leap[(unsigned char)text[at + length - 1]];
        }
        return count;
}

static bool run(long size, long rounds, double *ret_value, double *ret_error)
{
        const long bytes = size << 10;
        struct count known, seen = {0};
        char *text = malloc(bytes);

        if (!text)
                return false;
        write_text(text, bytes, &known);
        for (long round = 0; round < rounds; round++) {
                seen.lines += count_byte(text, bytes, '\n');
                seen.letters += count_byte(text, bytes, 'e');
                seen.words += count_words(text, bytes);
                seen.found += count_word(text, bytes, words[SOUGHT]);
                /* So that no round can be taken for another one. */
                text[round % bytes] ^= 1;
                text[round % bytes] ^= 1;
        }
        free(text);
        *ret_value = (double)(seen.lines + seen.words + seen.letters + seen.found);
        *ret_error = seen.lines == rounds * known.lines && seen.words == rounds * known.words &&
                                     seen.letters == rounds * known.letters && seen.found == rounds * known.found
                             ? 0
                             : 2;
        return true;
}

const struct kernel kernel = {"scan", "KiB of text", "times", 1024, 100, 1, 1 << 20, run};
