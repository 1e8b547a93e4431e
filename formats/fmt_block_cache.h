/* SPDX-License-Identifier: Apache-2.0 */
/* A cache of decompressed blocks, shared by all threads.
 *
 * A fixed number of slots of one block each, sharded by key; what was used longest ago makes room.
 * A slot gets its memory when it is first used and keeps it, so that later blocks cost neither an
 * allocation nor page faults. No lock is held while a block is made: the first thread that asks
 * for a missing block makes it, everybody else who wants the same one meanwhile waits for that one
 * block only. The life of a slot:
 *
 *     EMPTY --get, missing--> LOADING (pinned by the maker) --> READY
 *                                                           --> FAILED, if making it failed
 *     READY  --get--> pinned; put: unpinned, and first in the list by last use
 *     READY  --unpinned, last in that list, and a slot is wanted--> LOADING another block
 *     FAILED --last put--> EMPTY
 *
 * Pinned blocks stay. Where all slots of a shard are pinned, one more block is made in memory of
 * its own that goes with its last pin; so memory exceeds the limit by what readers hold right now.
 * All functions are thread-safe. */
#ifndef FMT_BLOCK_CACHE_H
#define FMT_BLOCK_CACHE_H

#include <stddef.h>
#include <stdint.h>

struct fmt_block_cache;

/* LIMIT: bytes of memory for blocks, of which each takes BLOCK_SIZE; a few blocks at least. */
int fmt_block_cache_new(uint64_t limit, size_t block_size, struct fmt_block_cache **ret);
void fmt_block_cache_free(struct fmt_block_cache *cache);

/* Fills BUFFER (block_size bytes) and says how many bytes it holds. 0 or a negative errno, which
 * everybody who waits for the block gets and nobody remembers. */
typedef int fmt_block_maker(void *context, uint64_t key, void *buffer, size_t *ret_size);

struct fmt_cached_block;
/* Pins the block named KEY, making it first if need be. */
int fmt_block_cache_get(struct fmt_block_cache *cache, uint64_t key, fmt_block_maker *maker,
        void *context, struct fmt_cached_block **ret);
void fmt_block_cache_put(struct fmt_cached_block *block);
/* Valid while pinned. */
const void *fmt_cached_block_data(const struct fmt_cached_block *block, size_t *ret_size);

/* Makes the block unless it is there or in the making, for somebody who will get it soon. */
void fmt_block_cache_make_ahead(
        struct fmt_block_cache *cache, uint64_t key, fmt_block_maker *maker, void *context);

struct fmt_block_counts {
        uint64_t hits;   /* found ready */
        uint64_t waits;  /* found in the making */
        uint64_t misses; /* made by who asked */
        uint64_t makes;  /* made, ahead or not */
        uint64_t bytes_made;
        uint64_t failures;     /* could not be made */
        uint64_t ahead;        /* made ahead */
        uint64_t ahead_used;   /* of those: asked for later */
        uint64_t ahead_unused; /* of those: evicted before anybody asked */
        uint64_t evictions;
        uint64_t bytes; /* held now */
        uint64_t limit; /* most that is held, but for what is pinned; bytes */
};
void fmt_block_cache_counts(struct fmt_block_cache *cache, struct fmt_block_counts *ret);

#endif
