/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_link_order.h"

#include "fmt_cleanup.h"
#include "jit_archive.h"

#include <ar.h>
#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Entries without a priority run after all others. */
#define NO_PRIORITY 65536

static const char *const arrays[] = {".init_array", ".fini_array"};
#define N_ARRAYS 2

/* ld.lld names what it made "DIRECTORY/-.lto.STEM", after output "-" and the input. */
static const char made_by_lto[] = "/-.lto.";

struct input {
        const char *name; /* not terminated */
        size_t name_size;
        size_t offset; /* of its header */
};

/* One input section of an array. */
struct piece {
        unsigned array; /* index into arrays */
        unsigned priority;
        size_t rank;  /* place of its input; SIZE_MAX: not one of ours, stays behind */
        size_t place; /* where ld.lld put it */
        char *file;   /* as in the map */
        char *section;
};

struct order {
        const char *path;
        struct input *inputs;
        size_t n_inputs;
        struct piece *pieces;
        size_t n_pieces, room;
        const char *anchor; /* output section behind the arrays */
};

/* ---- what the inputs are ---- */

static int read_inputs(struct order *order, const void *archive, size_t size)
{
        struct jit_archive_member member;
        size_t cursor = 0, n = 0;
        int r;
        while ((r = jit_archive_next(archive, size, &cursor, &member)) > 0)
                n++;
        if (r < 0)
                return r;
        order->inputs = calloc(n + 1, sizeof *order->inputs);
        if (!order->inputs)
                return -ENOMEM;
        cursor = 0;
        while (jit_archive_next(archive, size, &cursor, &member) > 0)
                order->inputs[order->n_inputs++] = (struct input){.name = member.name,
                        .name_size = member.name_size,
                        .offset = (size_t)((const char *)member.data - (const char *)archive) -
                                  sizeof(struct ar_hdr)};
        return 0;
}

/* "…/-.lto.4(NAME at OFFSET).o", made of archive …/4: the input whose header lies at OFFSET. */
static size_t rank_of_module(const struct order *order, const char *file)
{
        const char *stem = strstr(file, made_by_lto) + strlen(made_by_lto);
        const char *archive = strrchr(order->path, '/') + 1;
        if (strncmp(stem, archive, strlen(archive)) != 0 || stem[strlen(archive)] != '(')
                return SIZE_MAX;
        const char *at = NULL;
        for (const char *next = file; (next = strstr(next, " at ")); next++)
                at = next;
        size_t offset = at ? strtoull(at + strlen(" at "), NULL, 10) : 0;
        for (size_t i = 0; i < order->n_inputs; i++)
                if (order->inputs[i].offset == offset)
                        return i;
        return SIZE_MAX;
}

/* "PATH(NAME)": the input of that name; of several the one behind the last that was found. */
static size_t rank_of_native(const struct order *order, const struct piece *piece, const char *file)
{
        size_t prefix = strlen(order->path), size = strlen(file), first = SIZE_MAX, after = 0;
        if (size < prefix + 2 || memcmp(file, order->path, prefix) != 0 || file[prefix] != '(')
                return SIZE_MAX;
        const char *name = file + prefix + 1;
        size -= prefix + 2;
        for (size_t i = 0; i < order->n_pieces; i++) {
                const struct piece *earlier = &order->pieces[i];
                if (earlier->array == piece->array && earlier->priority == piece->priority &&
                        strcmp(earlier->file, file) == 0 && earlier->rank != SIZE_MAX)
                        after = earlier->rank + 1;
        }
        for (size_t i = 0; i < order->n_inputs; i++) {
                const struct input *input = &order->inputs[i];
                if (input->name_size != size || memcmp(input->name, name, size) != 0)
                        continue;
                if (i >= after)
                        return i;
                if (first == SIZE_MAX)
                        first = i;
        }
        return first;
}

static size_t rank_of(const struct order *order, const struct piece *piece, const char *file)
{
        return strstr(file, made_by_lto) ? rank_of_module(order, file)
                                         : rank_of_native(order, piece, file);
}

/* ---- reading the map ---- */

static unsigned priority_of(const char *section, const char *array)
{
        size_t size = strlen(array);
        if (section[size] != '.')
                return NO_PRIORITY;
        unsigned long priority = strtoul(section + size + 1, NULL, 10);
        return priority < NO_PRIORITY ? (unsigned)priority : NO_PRIORITY;
}

static int add_piece(struct order *order, unsigned array, char *file)
{
        char *section = NULL;
        for (char *at = file; (at = strstr(at, ":(")); at++)
                section = at;
        char *end = section ? strrchr(section, ')') : NULL;
        if (!end)
                return -EBADMSG;
        *section = *end = '\0';
        section += 2;
        if (strncmp(section, arrays[array], strlen(arrays[array])) != 0)
                return -EBADMSG; /* .ctors and the like: not expected in here */
        if (order->n_pieces == order->room) {
                size_t room = order->room ? 2 * order->room : 64;
                struct piece *pieces = reallocarray(order->pieces, room, sizeof *pieces);
                if (!pieces)
                        return -ENOMEM;
                order->pieces = pieces;
                order->room = room;
        }
        struct piece *piece = &order->pieces[order->n_pieces];
        *piece = (struct piece){.array = array,
                .priority = priority_of(section, arrays[array]),
                .place = order->n_pieces,
                .file = file,
                .section = section};
        piece->rank = rank_of(order, piece, file);
        order->n_pieces++;
        return 0;
}

/* What stands behind the four numbers of a line: its blanks tell the kind. NULL: no such line. */
static char *skip_numbers(char *line, bool *ret_is_empty)
{
        char *end;
        for (int i = 0; i < 4; i++) {
                unsigned long long number = strtoull(line, &end, i < 3 ? 16 : 10);
                if (end == line)
                        return NULL;
                if (i == 2)
                        *ret_is_empty = number == 0;
                line = end;
        }
        return line;
}

static int read_map(struct order *order, char *map, size_t size)
{
        int array = -1, r = 0;
        for (char *line = map, *next; line < map + size && r == 0; line = next) {
                char *end = memchr(line, '\n', (size_t)(map + size - line));
                bool is_empty = false;
                next = end ? end + 1 : map + size;
                if (end)
                        *end = '\0';
                char *rest = skip_numbers(line, &is_empty);
                size_t blanks = rest ? strspn(rest, " ") : 0;
                if (blanks == 1) {
                        const char *name = rest + 1;
                        bool was_array = array >= 0;
                        array = -1;
                        for (int i = 0; i < N_ARRAYS; i++)
                                if (strcmp(name, arrays[i]) == 0)
                                        array = i;
                        if (was_array && array < 0 && strcmp(name, ".relro_padding") != 0)
                                order->anchor = name;
                } else if (blanks == 9 && array >= 0 && !is_empty) {
                        r = add_piece(order, (unsigned)array, rest + blanks);
                }
        }
        return r;
}

/* ---- the order as it should be ---- */

static int compare_pieces(const void *a, const void *b)
{
        const struct piece *x = a, *y = b;
        if (x->array != y->array)
                return x->array < y->array ? -1 : 1;
        if (x->priority != y->priority)
                return x->priority < y->priority ? -1 : 1;
        if (x->rank != y->rank)
                return x->rank < y->rank ? -1 : 1;
        return x->place < y->place ? -1 : x->place > y->place;
}

static bool is_in_order(const struct order *order)
{
        for (size_t i = 1; i < order->n_pieces; i++) {
                const struct piece *x = &order->pieces[i - 1], *y = &order->pieces[i];
                if (x->array == y->array && compare_pieces(x, y) > 0)
                        return false;
        }
        return true;
}

/* The name under which a script knows a file: members are ARCHIVE:NAME there; whatever a script
 * or a pattern could misread becomes '?', which stands for any character. */
static void write_pattern(FILE *stream, const struct order *order, const char *file)
{
        size_t prefix = strlen(order->path);
        bool is_member = strncmp(file, order->path, prefix) == 0 && file[prefix] == '(';
        size_t size = strlen(file) - (is_member ? 1 : 0);
        for (size_t i = 0; i < size; i++) {
                char c = file[i];
                if (is_member && i == prefix)
                        c = ':';
                else if (!isalnum((unsigned char)c) && !strchr("_./-", c))
                        c = '?';
                fputc(c, stream);
        }
}

static void write_array(FILE *stream, const struct order *order, unsigned array)
{
        const char *name = arrays[array];
        fprintf(stream, "SECTIONS { %s : {\n", name);
        for (size_t i = 0; i < order->n_pieces; i++) {
                const struct piece *piece = &order->pieces[i];
                if (piece->array != array)
                        continue;
                fputs("KEEP(", stream);
                write_pattern(stream, order, piece->file);
                fprintf(stream, "(%s))\n", piece->section);
        }
        fprintf(stream,
                "KEEP(*(SORT_BY_INIT_PRIORITY(%s.*)))\nKEEP(*(%s))\n} } INSERT BEFORE %s;\n", name,
                name, order->anchor);
}

static int write_script(const struct order *order, char **ret_script)
{
        bool has_pieces[N_ARRAYS] = {false};
        size_t size;
        FILE *stream = open_memstream(ret_script, &size);
        if (!stream)
                return -ENOMEM;
        for (size_t i = 0; i < order->n_pieces; i++)
                has_pieces[order->pieces[i].array] = true;
        for (unsigned array = 0; array < N_ARRAYS; array++)
                if (has_pieces[array])
                        write_array(stream, order, array);
        return fclose(stream) == 0 ? 0 : -ENOMEM;
}

int jit_link_order(char *map, size_t map_size, const char *path, const void *archive,
        size_t archive_size, char **ret_script)
{
        struct order order = {.path = path};
        *ret_script = NULL;
        int r = read_inputs(&order, archive, archive_size);
        if (r == 0)
                r = read_map(&order, map, map_size);
        if (r == 0 && !is_in_order(&order)) {
                qsort(order.pieces, order.n_pieces, sizeof *order.pieces, compare_pieces);
                r = order.anchor ? write_script(&order, ret_script) : -EBADMSG;
        }
        free(order.inputs);
        free(order.pieces);
        return r;
}
