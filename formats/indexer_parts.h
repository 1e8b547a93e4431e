/* SPDX-License-Identifier: Apache-2.0 */
/* The growing parts of an index while it is made. */
#ifndef INDEXER_PARTS_H
#define INDEXER_PARTS_H

#include "fmt_index.h"

#include <stddef.h>

/* One array of the index. */
struct indexer_part {
        char *data;
        size_t size; /* bytes in use */
        size_t capacity;
};

/* Appends SIZE bytes (zeroes where BYTES is NULL). -ENOMEM. */
int indexer_part_append(struct indexer_part *part, const void *bytes, size_t size);

struct indexer_parts {
        struct indexer_part inodes;
        struct indexer_part entries;
        struct indexer_part blocks;
        struct indexer_part fragments;
        struct indexer_part xattr_sets;
        struct indexer_part xattrs;
        struct indexer_part text;
};

/* Appends SIZE bytes and a NUL to the text. -E2BIG beyond 4 GiB, -ENOMEM. */
int indexer_text(struct indexer_parts *parts, const void *bytes, size_t size, uint32_t *ret_offset);

/* Completes HEADER and writes everything to FD. */
int indexer_write(
        const struct indexer_parts *parts, struct fmt_index_header *header, int output_fd);

void indexer_parts_done(struct indexer_parts *parts);

#endif
