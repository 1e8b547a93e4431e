/* SPDX-License-Identifier: Apache-2.0 */
/* A cache of decompressed blocks, shared by all threads.
 *
 * Sharded by key; least recently used first out, by bytes. No lock is held while a block is
 * made: the first thread that asks for a missing block makes it, everybody else who wants the same
 * one meanwhile waits for that one block only. The life of a block:
 *
 *     get, missing -> LOADING (pinned by the maker) -> READY, in the list by last use
 *                                                   -> gone, if making it failed
 *     get, READY   -> pinned; put -> unpinned; unpinned and last in the list -> evicted
 *
 * Pinned blocks are never evicted, so memory exceeds the limit by what readers hold right now.
 * All functions are thread-safe. */
#ifndef FMT_BLOCK_CACHE_H
#define FMT_BLOCK_CACHE_H

#include <stddef.h>
#include <stdint.h>

struct fmt_block_cache;

/* LIMIT: bytes of block data kept; each of the shards gets its part, but never less than two blocks
 * of BLOCK_SIZE. */
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

struct fmt_block_counts {
        uint64_t hits;  /* found ready */
        uint64_t waits; /* found in the making */
        uint64_t makes; /* made here */
        uint64_t bytes; /* held now */
        uint64_t evictions;
};
void fmt_block_cache_counts(struct fmt_block_cache *cache, struct fmt_block_counts *ret);

#endif
