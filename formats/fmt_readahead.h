/* SPDX-License-Identifier: Apache-2.0 */
/* Read-ahead by place in the image, not by file: mksquashfs writes small files next to each other
 * in the order of their names, so whoever reads a tree reads the image from one end to the other.
 *
 * A reader is known by the blocks it asks for: a block a little behind the last one of a stream
 * continues that stream, and from its second block on the next ones are made before they are asked
 * for, on threads of their own. A block that begins no such sequence (a random read) costs nothing.
 * Thread-safe. */
#ifndef FMT_READAHEAD_H
#define FMT_READAHEAD_H

#include "fmt_index.h"

struct fmt_readahead;

/* MAKE puts a block into the cache unless it is there. INDEX and CONTEXT are borrowed. No thread
 * is started before the first stream is seen; THREADS at most. */
int fmt_readahead_new(const struct fmt_index *index, unsigned threads,
        void (*make)(void *context, const struct fmt_index_block *block), void *context,
        struct fmt_readahead **ret);
void fmt_readahead_free(struct fmt_readahead *readahead);

/* Somebody reads BLOCK, one of the index's compressed ones. Never waits. */
void fmt_readahead_note(struct fmt_readahead *readahead, const struct fmt_index_block *block);

/* Blocks made ahead so far. */
uint64_t fmt_readahead_count(const struct fmt_readahead *readahead);

#endif
