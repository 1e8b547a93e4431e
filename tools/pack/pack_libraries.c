/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_libraries.h"
#include "fmt_cleanup.h"

#include <archive_entry.h>
#include <string.h>

#define MAX_LINKS 8

struct pack_libraries {
        const struct pack_tree *tree;
        const struct pack_name **by_base; /* sorted by last component, then by path */
};

static const char *base_of(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static int compare(const void *a, const void *b)
{
        const struct pack_name *first = *(const struct pack_name *const *)a;
        const struct pack_name *second = *(const struct pack_name *const *)b;
        int order = strcmp(base_of(first->path), base_of(second->path));

        return order ? order : strcmp(first->path, second->path);
}

int pack_libraries_new(const struct pack_tree *tree, struct pack_libraries **ret)
{
        struct pack_libraries *libraries = calloc(1, sizeof *libraries);

        if (!libraries)
                return -ENOMEM;
        libraries->tree = tree;
        libraries->by_base = calloc(tree->n_names + 1, sizeof(struct pack_name *));
        if (!libraries->by_base) {
                free(libraries);
                return -ENOMEM;
        }
        for (size_t i = 0; i < tree->n_names; i++)
                libraries->by_base[i] = tree->names[i];
        qsort(libraries->by_base, tree->n_names, sizeof(struct pack_name *), compare);
        *ret = libraries;
        return 0;
}

void pack_libraries_free(struct pack_libraries *libraries)
{
        if (!libraries)
                return;
        free(libraries->by_base);
        free(libraries);
}

/* The first of that file name; the tree's count where there is none. */
static size_t first_of(const struct pack_libraries *libraries, const char *soname)
{
        size_t low = 0;
        size_t high = libraries->tree->n_names;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (strcmp(base_of(libraries->by_base[middle]->path), soname) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static bool is_named(const struct pack_libraries *libraries, size_t index, const char *soname)
{
        return index < libraries->tree->n_names &&
               strcmp(base_of(libraries->by_base[index]->path), soname) == 0;
}

bool pack_libraries_have(const struct pack_libraries *libraries, const char *soname)
{
        return is_named(libraries, first_of(libraries, base_of(soname)), base_of(soname));
}

bool pack_libraries_have_beside(
        const struct pack_libraries *libraries, const char *soname, const char *neighbour)
{
        for (size_t i = first_of(libraries, soname); is_named(libraries, i, soname); i++) {
                const char *path = libraries->by_base[i]->path;
                _cleanup_free_ char *beside = NULL;
                if (asprintf(&beside, "%.*s%s", (int)(base_of(path) - path), path, neighbour) >= 0 &&
                        pack_tree_find(libraries->tree, beside))
                        return true;
        }
        return false;
}

static const struct pack_file *follow(
        const struct pack_libraries *libraries, const struct pack_name *name)
{
        for (int i = 0; name && i < MAX_LINKS; i++) {
                const char *target = archive_entry_symlink(name->file->meta);
                _cleanup_free_ char *path = NULL;
                if (archive_entry_filetype(name->file->meta) == AE_IFREG)
                        return name->file;
                if (archive_entry_filetype(name->file->meta) != AE_IFLNK || !target ||
                        strchr(target, '/'))
                        return NULL;
                int folder = (int)(base_of(name->path) - name->path);
                if (asprintf(&path, "%.*s%s", folder, name->path, target) < 0)
                        return NULL;
                name = pack_tree_find(libraries->tree, path);
        }
        return NULL;
}

const struct pack_file *pack_libraries_find(
        const struct pack_libraries *libraries, const char *soname)
{
        const char *base = base_of(soname);

        for (size_t i = first_of(libraries, base); is_named(libraries, i, base); i++) {
                const struct pack_file *file = follow(libraries, libraries->by_base[i]);
                if (file)
                        return file;
        }
        return NULL;
}
