/* SPDX-License-Identifier: Apache-2.0 */
/* The shared libraries of a tree by file name: which of them a program NEEDs and would miss. */
#ifndef PACK_LIBRARIES_H
#define PACK_LIBRARIES_H

#include "pack_tree.h"

struct pack_libraries;

int pack_libraries_new(const struct pack_tree *tree, struct pack_libraries **ret);
void pack_libraries_free(struct pack_libraries *libraries);

static inline void pack_libraries_freep(struct pack_libraries **libraries)
{
        pack_libraries_free(*libraries);
}

/* Whether a file of that name lies anywhere in the tree. */
bool pack_libraries_have(const struct pack_libraries *libraries, const char *soname);

/* Whether a file of that name lies in a folder where one called NEIGHBOUR lies, too. */
bool pack_libraries_have_beside(
        const struct pack_libraries *libraries, const char *soname, const char *neighbour);

/* A regular file of that name, symbolic links within its folder followed, or NULL. */
const struct pack_file *pack_libraries_find(
        const struct pack_libraries *libraries, const char *soname);

#endif
