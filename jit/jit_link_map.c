/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_link_map.h"

#include "jit_archive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Begins the name of what ld.lld compiled itself. */
static const char made_by_lto[] = "/-.lto.";

struct module_name {
        const char *name;
        const char *extras;
};

static int compare_names(const void *a, const void *b)
{
        const struct module_name *x = a, *y = b;
        int order = strcmp(x->name, y->name);
        /* The one with extras first, so that bsearch's neighbours can be walked back to it. */
        return order ? order : (x->extras == NULL) - (y->extras == NULL);
}

/* "+a,+b" of all NAMES; NULL where there is nothing. */
static int join_extras(const struct module_name *names, size_t n, char **ret)
{
        size_t size = 0;
        FILE *stream = n > 0 ? open_memstream(ret, &size) : NULL;
        if (n > 0 && !stream)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                fprintf(stream, "%s%s", i > 0 ? "," : "", names[i].extras);
        return n == 0 || fclose(stream) == 0 ? 0 : -ENOMEM;
}

static int compare_ranges(const void *a, const void *b)
{
        const struct jit_code_range *x = a, *y = b;
        return x->start < y->start ? -1 : x->start > y->start;
}

static int collect_names(
        const struct fmt_variant *variant, struct module_name **ret_names, size_t *ret_n)
{
        struct module_name *names = calloc(variant->n_inputs + 1, sizeof *names);
        size_t n = 0;
        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < variant->n_inputs; i++) {
                const struct fmt_input *input = &variant->inputs[i];
                if (input->kind != FMT_INPUT_MODULE || !input->module.extras)
                        continue;
                names[n++] = (struct module_name){input->name, input->module.extras};
        }
        qsort(names, n, sizeof *names, compare_names);
        *ret_names = names;
        *ret_n = n;
        return 0;
}

/* Cuts "STEM(MEMBER at OFFSET).o" or "ARCHIVE(MEMBER)" down to MEMBER. */
static char *cut_member(char *file, bool is_native)
{
        char *member = strchr(file, '(');
        if (!member)
                return file;
        char *end = is_native ? strrchr(member, ')') : NULL;
        for (char *at = member; !is_native && (at = strstr(at, " at ")); at++)
                end = at;
        if (end)
                *end = '\0';
        return member + 1;
}

/* LINE is that of an input section, split behind its numbers. */
static void describe(char *file, const struct module_name *names, size_t n_names,
        const char *all_extras, struct jit_code_range *range)
{
        char *section = strstr(file, ":(");
        for (char *at = section; at && (at = strstr(at + 1, ":("));)
                section = at;
        if (section)
                *section = '\0';
        bool by_lto = strstr(file, made_by_lto);
        bool of_all = by_lto && !strchr(file, '(');
        range->is_native = !by_lto && strchr(file, '(');
        char *member = cut_member(file, range->is_native);
        jit_archive_restore_slashes(member);
        range->origin = member;
        if (range->is_native)
                return;
        struct module_name wanted = {range->origin, ""};
        const struct module_name *found =
                bsearch(&wanted, names, n_names, sizeof *names, compare_names);
        if (found)
                range->features = found->extras;
        else if (of_all)
                range->features = all_extras;
}

/* 1 and the range if LINE speaks of an input section with bytes in it. */
static int parse_line(char *line, const struct module_name *names, size_t n_names,
        const char *all_extras, struct jit_code_range *range)
{
        char *at = line;
        uint64_t numbers[4]; /* VMA, LMA, Size, Align */
        for (int i = 0; i < 4; i++) {
                char *end;
                numbers[i] = strtoull(at, &end, i < 3 ? 16 : 10);
                if (end == at)
                        return 0;
                at = end;
        }
        size_t indent = strspn(at, " ");
        if (indent != 9 || numbers[2] == 0 || numbers[0] + numbers[2] < numbers[0] ||
                !strstr(at, ":("))
                return 0;
        *range = (struct jit_code_range){.start = numbers[0], .end = numbers[0] + numbers[2]};
        describe(at + indent, names, n_names, all_extras, range);
        return 1;
}

static int append(struct jit_link_map *map, size_t *room, const struct jit_code_range *range)
{
        if (map->n == *room) {
                size_t more = *room ? 2 * *room : 256;
                struct jit_code_range *ranges = reallocarray(map->ranges, more, sizeof *ranges);
                if (!ranges)
                        return -ENOMEM;
                map->ranges = ranges;
                *room = more;
        }
        map->ranges[map->n++] = *range;
        return 0;
}

/* Merged sections and the like may share addresses: the later one loses what is taken. */
static void drop_overlaps(struct jit_link_map *map)
{
        size_t kept = 0;
        for (size_t i = 0; i < map->n; i++) {
                struct jit_code_range range = map->ranges[i];
                if (kept && range.start < map->ranges[kept - 1].end)
                        range.start = map->ranges[kept - 1].end;
                if (range.start < range.end)
                        map->ranges[kept++] = range;
        }
        map->n = kept;
}

int jit_link_map_parse(
        char *text, size_t size, const struct fmt_variant *variant, struct jit_link_map *ret)
{
        struct module_name *names;
        size_t n_names, room = 0;
        *ret = (struct jit_link_map){0};
        int r = collect_names(variant, &names, &n_names);
        if (r < 0)
                return r;
        r = join_extras(names, n_names, &ret->all_extras);
        for (char *line = text, *next; r == 0 && line < text + size; line = next) {
                char *end = memchr(line, '\n', (size_t)(text + size - line));
                next = end ? end + 1 : text + size;
                if (end)
                        *end = '\0';
                struct jit_code_range range;
                if (parse_line(line, names, n_names, ret->all_extras, &range))
                        r = append(ret, &room, &range);
        }
        free(names);
        if (r < 0) {
                jit_link_map_done(ret);
                return r;
        }
        qsort(ret->ranges, ret->n, sizeof *ret->ranges, compare_ranges);
        drop_overlaps(ret);
        return 0;
}

void jit_link_map_done(struct jit_link_map *map)
{
        free(map->ranges);
        free(map->all_extras);
        *map = (struct jit_link_map){0};
}
