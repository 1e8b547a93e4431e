/* SPDX-License-Identifier: Apache-2.0 */
/* The root file system that is to become an image: every name of a folder or a tar, in memory
 * by its metadata, sorted by path, the data readable at any time.
 *
 * Life: pack_tree_read, which walks the folder or spools the tar into an unnamed file; then
 * anything in any order; then pack_tree_free. Not thread-safe. */
#ifndef PACK_TREE_H
#define PACK_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archive_entry;

/* Where some data of a file lies in the spool; what no extent covers is a hole. Bytes. */
struct pack_extent {
        uint64_t at; /* in the file */
        uint64_t spool;
        uint64_t length;
};

/* A file, whatever the number of its names. */
struct pack_file {
        struct archive_entry *meta;  /* everything that stat and listxattr say; no path */
        char *source;                /* path below the folder; NULL in a tar */
        struct pack_extent *extents; /* of a regular file in a tar, ascending */
        size_t n_extents;
        size_t first;           /* index of its first name: the others are hard links to that */
        bool has_name;          /* `first` is set: not every name was excluded */
        void *program;          /* for whoever works on the tree */
        struct pack_file *next; /* all files of the tree */
};

struct pack_name {
        char *path; /* relative, no empty, "." and ".." components */
        struct pack_file *file;
        bool excluded; /* while reading; later there are none of these */
        bool removed;  /* by a later layer of a container image */
        unsigned layer;
};

struct pack_tree {
        struct pack_name **names; /* sorted by path: a folder comes before what is in it */
        size_t n_names;
        struct pack_file *files;
        struct pack_file *root; /* the root folder itself, which has no name */
        int folder;             /* descriptor of the folder, or -1 */
        int spool;              /* or -1 */
        uint64_t data_size;     /* bytes of all regular files, hard links once */
        int64_t newest;         /* largest modification time, seconds, not negative */
        unsigned n_sockets;     /* passed over: a tar stream has no sockets */
};

/* PATH is a folder, a tar in any compression that libarchive reads, or "-": a tar on stdin. Either
 * may be a container image (OCI layout, docker archive), whose layers are then put together.
 * EXCLUDE: fnmatch patterns over whole paths ('*' matches '/', a folder takes along what is in it),
 * or NULL. Prints what is wrong through fmt_error. */
int pack_tree_read(const char *path, char *const *exclude, struct pack_tree **ret);
void pack_tree_free(struct pack_tree *tree);

static inline void pack_tree_freep(struct pack_tree **tree)
{
        pack_tree_free(*tree);
}

/* The name at PATH, or NULL. */
const struct pack_name *pack_tree_find(const struct pack_tree *tree, const char *path);

/* Whether the INDEXth name is the one that its file's data is stored under. */
bool pack_tree_is_first(const struct pack_tree *tree, size_t index);

/* Whether a regular file starts with the SIZE bytes of START (at most 16). Negative errno. */
int pack_file_starts_with(
        const struct pack_tree *tree, const struct pack_file *file, const void *start, size_t size);

/* A read-only descriptor of a regular file's bytes: the file itself, or a copy in memory of what
 * the tar held. Negative errno. */
int pack_file_open(const struct pack_tree *tree, const struct pack_file *file, int *ret_fd);

#endif
