/* SPDX-License-Identifier: Apache-2.0 */
/* Places in metadata: where a block begins, counted from the start of its table, and in the low 16
 * bits an offset into what that block decompresses to. */
#ifndef INDEXER_PLACE_H
#define INDEXER_PLACE_H

#include <squashfuse/squashfuse.h>

/* Whether there is something at PLACE of the table that starts at TABLE. libsquashfuse itself reads
 * behind its buffer where an offset lies behind its block; from there on it stays inside. The block
 * is in its cache afterwards, so this costs nothing that reading would not. */
static inline bool indexer_place_exists(sqfs *fs, uint64_t table, uint64_t place)
{
        sqfs_off_t at = (sqfs_off_t)(table + (place >> 16));
        sqfs_block *block;
        return sqfs_md_cache(fs, &at, &block) == SQFS_OK && (place & 0xffff) < block->size;
}

#endif
