/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_block_cache.h"

#include "fmt_cleanup.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/queue.h>

/* Enough that 64 threads seldom meet in one shard: a shard's lock is held for a hash look-up and
 * two list operations only. */
#define MOST_SHARDS 16
/* A shard with fewer would throw out what is needed next because its neighbours are lucky. */
#define SLOTS_PER_SHARD 16
#define LEAST_SLOTS 8
#define N_BUCKETS 1024

enum block_state { EMPTY, LOADING, READY, FAILED };

struct fmt_cached_block {
        TAILQ_ENTRY(fmt_cached_block) by_use;   /* while unpinned, slots only */
        LIST_ENTRY(fmt_cached_block) in_bucket; /* while LOADING or READY */
        struct shard *shard;
        uint64_t key;
        enum block_state state;
        bool is_slot; /* else it has a life of its own and ends with its last pin */
        bool ahead;   /* made ahead, and nobody has asked for it yet */
        unsigned pins;
        int error;
        size_t size;
        char *data; /* a whole block's memory; NULL before the first use */
};

TAILQ_HEAD(use_list, fmt_cached_block);
LIST_HEAD(bucket, fmt_cached_block);

struct shard {
        struct fmt_block_cache *cache;
        pthread_mutex_t lock;   /* all below */
        pthread_cond_t made;    /* some block of this shard has left LOADING */
        struct use_list by_use; /* unpinned slots, most recent first; EMPTY ones last */
        struct bucket buckets[N_BUCKETS];
        struct fmt_block_counts counts;
};

struct fmt_block_cache {
        size_t block_size;
        size_t n_slots;
        struct fmt_cached_block *slots;
        atomic_size_t n_bare; /* slots without memory */
        char *_Atomic spare;  /* memory for the next of them, or NULL */
        atomic_flag prepares; /* somebody makes a spare one */
        size_t n_shards;
        struct shard shards[MOST_SHARDS];
};

static uint64_t spread(uint64_t key)
{
        /* Fibonacci hashing (Knuth, vol. 3, 6.4): neighbouring positions go to different shards. */
        return key * UINT64_C(0x9e3779b97f4a7c15);
}

int fmt_block_cache_new(uint64_t limit, size_t block_size, struct fmt_block_cache **ret)
{
        struct fmt_block_cache *cache = calloc(1, sizeof *cache);
        if (cache == NULL)
                return -ENOMEM;
        cache->block_size = block_size;
        cache->n_slots = limit / block_size > LEAST_SLOTS ? limit / block_size : LEAST_SLOTS;
        cache->n_shards = cache->n_slots / SLOTS_PER_SHARD;
        cache->n_shards = cache->n_shards < 1             ? 1
                          : cache->n_shards > MOST_SHARDS ? MOST_SHARDS
                                                          : cache->n_shards;
        cache->slots = calloc(cache->n_slots, sizeof *cache->slots);
        if (cache->slots == NULL) {
                free(cache);
                return -ENOMEM;
        }
        cache->n_bare = cache->n_slots;
        atomic_flag_clear(&cache->prepares);
        for (size_t i = 0; i < cache->n_shards; i++) {
                struct shard *shard = &cache->shards[i];
                shard->cache = cache;
                pthread_mutex_init(&shard->lock, NULL);
                pthread_cond_init(&shard->made, NULL);
                TAILQ_INIT(&shard->by_use);
        }
        for (size_t i = 0; i < cache->n_slots; i++) {
                struct fmt_cached_block *slot = &cache->slots[i];
                slot->is_slot = true;
                slot->shard = &cache->shards[i % cache->n_shards];
                TAILQ_INSERT_TAIL(&slot->shard->by_use, slot, by_use);
        }
        *ret = cache;
        return 0;
}

void fmt_block_cache_free(struct fmt_block_cache *cache)
{
        if (cache == NULL)
                return;
        for (size_t i = 0; i < cache->n_shards; i++) {
                pthread_cond_destroy(&cache->shards[i].made);
                pthread_mutex_destroy(&cache->shards[i].lock);
        }
        for (size_t i = 0; i < cache->n_slots; i++)
                free(cache->slots[i].data);
        free(cache->slots);
        free(cache->spare);
        free(cache);
}

/* ---- memory ---- */

/* Asks for the pages of a block's memory in one call: a fault for each of them, when the block is
 * first written to, took half as long again (in a virtual machine, 70 us beside 45 for 128 KiB). */
static void populate(char *data, size_t size)
{
        const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
        const uintptr_t begin = ((uintptr_t)data + page - 1) & ~(page - 1);
        const uintptr_t end = ((uintptr_t)data + size) & ~(page - 1);
        /* Before Linux 5.14 they come one by one. */
        if (begin < end)
                (void)madvise((void *)begin, end - begin, MADV_POPULATE_WRITE);
}

static char *new_data(size_t size)
{
        char *data = malloc(size);
        if (data != NULL)
                populate(data, size);
        return data;
}

/* The memory for the next block shall be there before somebody waits for that block: cold random
 * reads took 0.93 of the time, with populate. */
static void prepare_spare(struct fmt_block_cache *cache)
{
        if (atomic_load(&cache->spare) != NULL || atomic_load(&cache->n_bare) == 0 ||
                atomic_flag_test_and_set(&cache->prepares))
                return;
        /* Which somebody may have done meanwhile. */
        if (atomic_load(&cache->spare) == NULL)
                atomic_store(&cache->spare, new_data(cache->block_size));
        atomic_flag_clear(&cache->prepares);
}

static void equip(struct fmt_block_cache *cache, struct fmt_cached_block *block)
{
        block->data = atomic_exchange(&cache->spare, NULL);
        if (block->data == NULL)
                block->data = new_data(cache->block_size);
        if (block->data != NULL && block->is_slot)
                atomic_fetch_sub(&cache->n_bare, 1);
}

/* ---- all with the shard's lock held ---- */

static struct bucket *bucket_of(struct shard *shard, uint64_t key)
{
        return &shard->buckets[(spread(key) >> 48) % N_BUCKETS];
}

static struct fmt_cached_block *find(struct shard *shard, uint64_t key)
{
        struct fmt_cached_block *block;
        LIST_FOREACH(block, bucket_of(shard, key), in_bucket)
        {
                if (block->key == key)
                        return block;
        }
        return NULL;
}

/* A block for KEY, LOADING and pinned once: in the slot that was used longest ago if there is one
 * that nobody holds. NULL without memory. */
static struct fmt_cached_block *begin(struct shard *shard, uint64_t key)
{
        struct fmt_cached_block *block = TAILQ_LAST(&shard->by_use, use_list);
        if (block != NULL) {
                TAILQ_REMOVE(&shard->by_use, block, by_use);
                if (block->state == READY) {
                        LIST_REMOVE(block, in_bucket);
                        shard->counts.evictions++;
                        shard->counts.ahead_unused += block->ahead;
                        shard->counts.bytes -= block->size;
                }
        } else {
                block = calloc(1, sizeof *block);
                if (block == NULL)
                        return NULL;
                block->shard = shard;
        }
        block->key = key;
        block->state = LOADING;
        block->error = 0;
        block->ahead = false;
        block->pins = 1;
        LIST_INSERT_HEAD(bucket_of(shard, key), block, in_bucket);
        return block;
}

static void pin(struct fmt_cached_block *block)
{
        if (block->pins++ == 0)
                TAILQ_REMOVE(&block->shard->by_use, block, by_use);
}

/* What is to be freed without the lock, or NULL. */
static struct fmt_cached_block *unpin(struct fmt_cached_block *block)
{
        struct shard *shard = block->shard;
        if (--block->pins > 0)
                return NULL;
        if (block->is_slot && block->state == READY) {
                TAILQ_INSERT_HEAD(&shard->by_use, block, by_use);
                return NULL;
        }
        if (block->state == READY) {
                LIST_REMOVE(block, in_bucket);
                shard->counts.bytes -= block->size;
        }
        block->state = EMPTY;
        if (!block->is_slot)
                return block;
        TAILQ_INSERT_TAIL(&shard->by_use, block, by_use);
        return NULL;
}

/* ---- without it ---- */

static struct shard *shard_of(struct fmt_block_cache *cache, uint64_t key)
{
        return &cache->shards[(spread(key) >> 32) % cache->n_shards];
}

static void release(struct fmt_cached_block *gone)
{
        if (gone != NULL) {
                free(gone->data);
                free(gone);
        }
}

/* Ends LOADING. */
static void make(struct fmt_block_cache *cache, struct fmt_cached_block *block,
        fmt_block_maker *maker, void *context)
{
        struct shard *shard = block->shard;
        if (block->data == NULL)
                equip(cache, block);
        int error = block->data == NULL ? -ENOMEM
                                        : maker(context, block->key, block->data, &block->size);
        pthread_mutex_lock(&shard->lock);
        block->error = error;
        if (error == 0) {
                block->state = READY;
                shard->counts.makes++;
                shard->counts.bytes_made += block->size;
                shard->counts.bytes += block->size;
        } else {
                block->state = FAILED;
                shard->counts.failures++;
                LIST_REMOVE(block, in_bucket);
        }
        pthread_cond_broadcast(&shard->made);
        pthread_mutex_unlock(&shard->lock);
}

int fmt_block_cache_get(struct fmt_block_cache *cache, uint64_t key, fmt_block_maker *maker,
        void *context, struct fmt_cached_block **ret)
{
        struct shard *shard = shard_of(cache, key);
        pthread_mutex_lock(&shard->lock);
        struct fmt_cached_block *block = find(shard, key);
        const bool is_new = block == NULL;
        if (is_new) {
                block = begin(shard, key);
                shard->counts.misses++;
        } else {
                pin(block);
                shard->counts.ahead_used += block->ahead;
                block->ahead = false;
                if (block->state == READY)
                        shard->counts.hits++;
                else
                        shard->counts.waits++;
                while (block->state == LOADING)
                        pthread_cond_wait(&shard->made, &shard->lock);
        }
        pthread_mutex_unlock(&shard->lock);
        if (block == NULL)
                return -ENOMEM;
        if (is_new)
                make(cache, block, maker, context);
        const int error = block->error;
        if (error < 0)
                fmt_block_cache_put(block);
        else
                *ret = block;
        return error;
}

void fmt_block_cache_make_ahead(
        struct fmt_block_cache *cache, uint64_t key, fmt_block_maker *maker, void *context)
{
        struct shard *shard = shard_of(cache, key);
        struct fmt_cached_block *block = NULL;
        pthread_mutex_lock(&shard->lock);
        /* A hint is not worth memory beyond the slots. */
        if (find(shard, key) == NULL && !TAILQ_EMPTY(&shard->by_use)) {
                block = begin(shard, key);
                block->ahead = true;
                shard->counts.ahead++;
        }
        pthread_mutex_unlock(&shard->lock);
        if (block == NULL)
                return;
        make(cache, block, maker, context);
        fmt_block_cache_put(block);
}

void fmt_block_cache_put(struct fmt_cached_block *block)
{
        struct shard *shard = block->shard;
        pthread_mutex_lock(&shard->lock);
        struct fmt_cached_block *gone = unpin(block);
        pthread_mutex_unlock(&shard->lock);
        release(gone);
        prepare_spare(shard->cache);
}

const void *fmt_cached_block_data(const struct fmt_cached_block *block, size_t *ret_size)
{
        *ret_size = block->size;
        return block->data;
}

void fmt_block_cache_counts(struct fmt_block_cache *cache, struct fmt_block_counts *ret)
{
        memset(ret, 0, sizeof *ret);
        ret->limit = (uint64_t)cache->n_slots * cache->block_size;
        for (size_t i = 0; i < cache->n_shards; i++) {
                struct shard *shard = &cache->shards[i];
                pthread_mutex_lock(&shard->lock);
                ret->hits += shard->counts.hits;
                ret->waits += shard->counts.waits;
                ret->misses += shard->counts.misses;
                ret->makes += shard->counts.makes;
                ret->bytes_made += shard->counts.bytes_made;
                ret->failures += shard->counts.failures;
                ret->ahead += shard->counts.ahead;
                ret->ahead_used += shard->counts.ahead_used;
                ret->ahead_unused += shard->counts.ahead_unused;
                ret->evictions += shard->counts.evictions;
                ret->bytes += shard->counts.bytes;
                pthread_mutex_unlock(&shard->lock);
        }
}
