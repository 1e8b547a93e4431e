/* SPDX-License-Identifier: Apache-2.0 */
/* How names get into a tree: between pack_tree.c, which orders them, and the two places they
 * come from. */
#ifndef PACK_SCAN_H
#define PACK_SCAN_H

#include "pack_tree.h"

struct pack_scan {
        struct pack_tree *tree;
        char *const *exclude;
        void *by_path;  /* tsearch: struct pack_name, excluded ones too */
        void *by_inode; /* tsearch: files of a folder that have several names */
        unsigned layer; /* of a container image, from 1 on; 0: there are none */
};

/* PATH as someone wrote it ("./a//b/") the way a tree has it ("a/b"; "" for the root). -EINVAL
 * for paths that leave the tree. The caller frees *ret. */
int pack_path_normalise(const char *path, char **ret);

/* A file that the tree owns from now on; takes over META, also on failure. */
int pack_scan_file(struct pack_scan *scan, struct archive_entry *meta, struct pack_file **ret);

/* Names FILE: PATH is normalised and not empty. What had that name before has lost it. */
int pack_scan_name(struct pack_scan *scan, const char *path, struct pack_file *file);

/* The file at PATH so far, or NULL. */
struct pack_file *pack_scan_find(const struct pack_scan *scan, const char *path);

/* ".wh.NAME" in a layer takes NAME out that earlier layers brought, ".wh..wh..opq" all that they
 * have in its folder. True if PATH is one of these. */
bool pack_scan_whiteout(struct pack_scan *scan, const char *path);

/* Walks the folder that tree->folder is, and PATH names. */
int pack_scan_folder(struct pack_scan *scan, const char *path);

/* Reads the tar at PATH, "-" being stdin, to its end into tree->spool. */
int pack_scan_tar(struct pack_scan *scan, const char *path);

/* The same for an archive that is open already; NAME is for messages. */
struct archive;
int pack_scan_archive(struct pack_scan *scan, struct archive *tar, const char *name);

/* A reader for tars in any compression; NULL without memory. */
struct archive *pack_scan_new_archive(void);

#endif
