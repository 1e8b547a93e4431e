/* SPDX-License-Identifier: Apache-2.0 */
/* The tar stream that an image is made of: POSIX pax, names in the tree's order, metadata reduced
 * to what squashfs keeps, so that the same tree gives the same bytes wherever it came from. */
#ifndef PACK_STREAM_H
#define PACK_STREAM_H

#include "pack_tree.h"

struct pack_stream;

/* Writes to FD, which stays the caller's. TIME: no file is younger. */
int pack_stream_open(int fd, uint32_t time, struct pack_stream **ret);

/* One name of TREE: with its data, or as a hard link to the first name of its file. CONTENT >= 0
 * replaces the data. */
int pack_stream_add(
        struct pack_stream *stream, const struct pack_tree *tree, size_t index, int content);

/* A folder (CONTENT -1) or a regular file of root's that is not in the tree, as old as the image.
 */
int pack_stream_add_own(struct pack_stream *stream, const char *path, unsigned mode, int content);

/* Ends the archive unless FAILED, and frees STREAM. */
int pack_stream_close(struct pack_stream *stream, bool failed);

#endif
