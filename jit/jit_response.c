/* SPDX-License-Identifier: Apache-2.0 */
/* @files, as GNU tools and LLVM's read them: words separated by white space, quotes and backslashes
 * taken off, an @word that names no file left as it is. */
#include "jit_recipe.h"

#include "fmt_cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16 /* an @file that names itself must end */

static int read_whole(const char *path, char **ret)
{
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        if (!file)
                return -errno;
        size_t room = 0;
        char *text = NULL;
        if (getdelim(&text, &room, 0, file) < 0) {
                free(text);
                if (ferror(file))
                        return -EIO;
                text = strdup("");
        }
        *ret = text;
        return text ? 0 : -ENOMEM;
}

/* Takes the next word off *text into WORD (as long as the text at most); false at the end. */
static bool next_word(const char **text, char *word)
{
        const char *p = *text;
        while (isspace((unsigned char)*p))
                p++;
        if (*p == 0)
                return false;
        char quote = 0;
        for (; *p && (quote || !isspace((unsigned char)*p)); p++) {
                if (quote && *p == quote)
                        quote = 0;
                else if (!quote && (*p == '\'' || *p == '"'))
                        quote = *p;
                else if (*p == '\\' && p[1] && quote != '\'')
                        *word++ = *++p;
                else
                        *word++ = *p;
        }
        *word = 0;
        *text = p;
        return true;
}

static int expand_word(const char *word, unsigned depth, char ***list)
{
        if (word[0] != '@' || depth >= DEPTH_MAX)
                return fmt_strings_append(list, word);
        _cleanup_free_ char *text = NULL;
        int r = read_whole(word + 1, &text);
        if (r == -ENOENT)
                return fmt_strings_append(list, word);
        if (r < 0)
                return r;
        _cleanup_free_ char *inner = malloc(strlen(text) + 1);
        if (!inner)
                return -ENOMEM;
        const char *rest = text;
        while (r == 0 && next_word(&rest, inner))
                r = expand_word(inner, depth + 1, list);
        return r;
}

int jit_response_expand(char *const *argv, char ***ret)
{
        char **list = calloc(1, sizeof(char *));
        int r = list ? 0 : -ENOMEM;
        for (; r == 0 && *argv; argv++)
                r = expand_word(*argv, 0, &list);
        if (r < 0) {
                fmt_strings_free(list);
                return r;
        }
        *ret = list;
        return 0;
}

int jit_response_write(char *const *words, char **ret)
{
        size_t room = 1;
        for (char *const *word = words; *word; word++)
                room += 2 * strlen(*word) + 1;
        char *to = *ret = malloc(room);
        if (!to)
                return -ENOMEM;
        for (; *words; words++) {
                for (const char *from = *words; *from; from++) {
                        if (isspace((unsigned char)*from) || strchr("'\"\\", *from))
                                *to++ = '\\';
                        *to++ = *from;
                }
                *to++ = '\n';
        }
        *to = 0;
        return 0;
}
