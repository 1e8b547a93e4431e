/* SPDX-License-Identifier: Apache-2.0 */
/* Read-ahead by place in the image, not by file: mksquashfs writes small files next to each other
 * in the order of their names, so whoever reads a tree reads the image from one end to the other.
 *
 * A reader is known by the blocks it asks for: a block a little behind the last one of a stream
 * continues that stream. After two such steps the next blocks are made before they are asked for,
 * on threads of their own, and what lies behind those is fetched from the disk. One step alone
 * means nothing: where many blocks of a file are read at random, some are neighbours. How many are
 * made ahead doubles as long as the reader takes most of them, and halves when it passes most of
 * them by, as a program does that maps pieces of its libraries. Thread-safe. */
#ifndef FMT_READAHEAD_H
#define FMT_READAHEAD_H

#include "fmt_index.h"

#include <stdbool.h>

struct fmt_readahead;

/* What it has done; CONTEXT is the caller's. Called from several threads. */
struct fmt_readahead_work {
        /* Makes a block unless it is there. */
        void (*make)(void *context, const struct fmt_index_block *block);
        /* Starts reading SIZE bytes of the image from POSITION on, and need not wait for them. */
        void (*fetch)(void *context, uint64_t position, uint64_t size);
        void *context;
};

/* Readers at the same time that are told apart. */
#define FMT_READAHEAD_STREAMS 16

/* INDEX and what WORK points to are borrowed. WINDOW: how many blocks are made ahead of a reader at
 * most, 2 or more. No thread is started before the first read; THREADS at most. */
int fmt_readahead_new(const struct fmt_index *index, uint32_t window, unsigned threads,
        const struct fmt_readahead_work *work, struct fmt_readahead **ret);
void fmt_readahead_free(struct fmt_readahead *readahead);

/* Somebody reads BLOCK, one of the index's that are no holes. Never waits: false if it went
 * unnoticed because another thread was just here, or because the order is not known yet. */
bool fmt_readahead_note(struct fmt_readahead *readahead, const struct fmt_index_block *block);

#endif
