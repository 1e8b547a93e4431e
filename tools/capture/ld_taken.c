/* SPDX-License-Identifier: Apache-2.0 */
#include "ld_taken.h"

#include "capture_programs.h"
#include "fmt_cleanup.h"
#include "ld_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int add(struct ld_taken_list *list, const char *path, const char *member, const char *symbol)
{
        struct ld_taken *grown = realloc(list->items, (list->n + 1) * sizeof(*list->items));
        if (!grown)
                return -ENOMEM;
        list->items = grown;
        struct ld_taken *item = &grown[list->n++];
        *item = (struct ld_taken){.path = strdup(path)};
        if (member)
                item->member = strdup(member);
        if (symbol)
                item->symbol = strdup(symbol);
        bool ok = item->path && (item->member || !member) && (item->symbol || !symbol);
        return ok ? 0 : -ENOMEM;
}

void ld_taken_done(struct ld_taken_list *list)
{
        for (size_t i = 0; i < list->n; i++) {
                free(list->items[i].path);
                free(list->items[i].member);
                free(list->items[i].symbol);
        }
        free(list->items);
        *list = (struct ld_taken_list){0};
}

/* "archive(member)" in two, in place; false if NAME is not of that form. */
static bool split_member(char *name, char **ret_member)
{
        size_t length = strlen(name);
        if (length == 0 || name[length - 1] != ')')
                return false;
        char *open = strrchr(name, '(');
        /* A member's name may hold parentheses too: the archive is what exists as a file. */
        for (; open; open = memrchr(name, '(', (size_t)(open - name))) {
                *open = 0;
                if (access(name, F_OK) == 0) {
                        name[length - 1] = 0;
                        *ret_member = open + 1;
                        return true;
                }
                *open = '(';
        }
        return false;
}

/* Runs over the lines of a text; the text is cut into lines as it goes. */
static char *next_line(char **text)
{
        char *line = *text;
        if (!line || !*line)
                return NULL;
        char *end = strchr(line, '\n');
        if (end)
                *end = 0;
        *text = end ? end + 1 : NULL;
        return line;
}

/* ---- GNU ld ---- */

/* binutils 2.40, ldlang.c and ldmain.c: a member's name stands at the start of a line; what it
 * was taken for follows in column 30, or on the next line where the name is longer than that. */
#define MAP_COLUMN 30

static void read_reason(char *text, char **ret_symbol)
{
        while (*text == ' ')
                text++;
        size_t length = strlen(text);
        char *open = strrchr(text, '(');
        *ret_symbol = NULL;
        if (length == 0 || text[length - 1] != ')' || !open ||
                strcmp(open, "(--whole-archive)") == 0)
                return;
        text[length - 1] = 0;
        *ret_symbol = open + 1;
}

static int read_extracted(char **text, struct ld_taken_list *list)
{
        for (char *line = next_line(text); line; line = next_line(text)) {
                char *member = NULL, *symbol = NULL, *reason = NULL;
                if (*line == 0 && list->n > 0)
                        break;
                if (*line == 0)
                        continue;
                size_t length = strlen(line);
                if (length > MAP_COLUMN && line[MAP_COLUMN - 1] == ' ') {
                        reason = line + MAP_COLUMN;
                        for (char *p = reason - 1; p > line && *p == ' '; p--)
                                *p = 0;
                } else {
                        reason = next_line(text);
                }
                if (reason)
                        read_reason(reason, &symbol);
                bool is_member = split_member(line, &member);
                int r = add(list, line, is_member ? member : NULL, symbol);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Whether FILE is the member of thin ARCHIVE that the map calls PATH. */
static bool is_thin_member(const struct ld_file *archive, const char *path)
{
        char wanted[PATH_MAX], found[PATH_MAX];
        if (!realpath(path, wanted))
                return false;
        for (size_t i = 0; i < archive->n_members; i++)
                if (archive->members[i].path && realpath(archive->members[i].path, found) &&
                        strcmp(wanted, found) == 0)
                        return true;
        return false;
}

static void close_file(struct ld_file **file)
{
        ld_file_free(*file);
}

/* A LOAD line's file, and the members that came out of it: "archive(member)", or for a thin
 * archive the member's own path. Each is taken once, however often the archive is loaded. */
static int add_loaded(const char *path, struct ld_taken_list *extracted, struct ld_taken_list *ret)
{
        _cleanup_(close_file) struct ld_file *archive = NULL;
        int r = add(ret, path, NULL, NULL);
        if (r == 0 && extracted->n > 0 && ld_file_open(path, &archive) < 0)
                archive = NULL;
        bool thin = archive && archive->n_members > 0 && archive->members[0].path;
        for (size_t i = 0; i < extracted->n && r == 0; i++) {
                struct ld_taken *item = &extracted->items[i];
                if (item->member ? strcmp(item->path, path) != 0
                                 : !(thin && *item->path && is_thin_member(archive, item->path)))
                        continue;
                r = add(ret, item->member ? path : item->path, item->member, item->symbol);
                item->path[0] = 0;
        }
        return r;
}

int ld_taken_from_map(const char *map, struct ld_taken_list *ret)
{
        _cleanup_(ld_taken_done) struct ld_taken_list extracted = {0};
        _cleanup_free_ char *copy = strdup(map);
        *ret = (struct ld_taken_list){0};
        if (!copy)
                return -ENOMEM;
        char *text = copy;
        int r = 0;
        for (char *line = next_line(&text); line && r == 0; line = next_line(&text)) {
                if (strncmp(line, "Archive member included", 23) == 0)
                        r = read_extracted(&text, &extracted);
                else if (strncmp(line, "LOAD ", 5) == 0)
                        r = add_loaded(line + 5, &extracted, ret);
        }
        for (size_t i = 0; i < extracted.n && r == 0; i++)
                if (*extracted.items[i].path)
                        r = -ENOENT;
        return r;
}

/* ---- ld.lld ---- */

/* The symbol that FILE ("archive(member)") was extracted for the USED-th time. */
static int find_reason(const char *reasons, const char *name, size_t used, char **ret)
{
        _cleanup_free_ char *copy = strdup(reasons);
        *ret = NULL;
        if (!copy)
                return -ENOMEM;
        char *text = copy;
        for (char *line = next_line(&text); line; line = next_line(&text)) {
                char *extracted = strchr(line, '\t');
                char *symbol = extracted ? strchr(extracted + 1, '\t') : NULL;
                if (!symbol)
                        continue;
                *symbol++ = 0;
                if (strcmp(extracted + 1, name) == 0 && used-- == 0) {
                        *ret = strdup(symbol);
                        return *ret ? 0 : -ENOMEM;
                }
        }
        return 0;
}

static size_t count_taken(const struct ld_taken_list *list, const char *path, const char *member)
{
        size_t n = 0;
        for (size_t i = 0; i < list->n; i++)
                n += list->items[i].member && strcmp(list->items[i].path, path) == 0 &&
                     strcmp(list->items[i].member, member) == 0;
        return n;
}

int ld_taken_from_trace(
        const char *trace, const char *reasons, bool echo, struct ld_taken_list *ret)
{
        _cleanup_free_ char *copy = strdup(trace);
        *ret = (struct ld_taken_list){0};
        if (!copy)
                return -ENOMEM;
        char *text = copy;
        int r = 0;
        for (char *line = next_line(&text); line && r == 0; line = next_line(&text)) {
                _cleanup_free_ char *name = strdup(line);
                _cleanup_free_ char *symbol = NULL;
                char *member = NULL;
                if (!name)
                        return -ENOMEM;
                bool file = access(line, F_OK) == 0;
                bool is_member = !file && split_member(line, &member);
                if (echo || (!file && !is_member))
                        puts(name);
                if (is_member) {
                        r = find_reason(reasons, name, count_taken(ret, line, member), &symbol);
                        if (r == 0)
                                r = add(ret, line, member, symbol);
                } else if (file) {
                        r = add(ret, line, NULL, NULL);
                }
        }
        return r;
}
