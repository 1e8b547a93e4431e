/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_block_cache.h"

#include "fmt_cleanup.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>

/* Enough that 64 threads seldom meet in one shard: a shard's lock is held for a hash look-up and
 * two list operations only. */
#define N_SHARDS 16
#define N_BUCKETS 1024
#define N_SPARE 16

enum block_state { LOADING, READY, FAILED };

struct fmt_cached_block {
        TAILQ_ENTRY(fmt_cached_block) by_use; /* READY and unpinned or pinned: always listed */
        LIST_ENTRY(fmt_cached_block) in_bucket;
        struct fmt_block_cache *cache;
        struct shard *shard;
        uint64_t key;
        size_t size;
        size_t capacity; /* bytes allocated: a whole block's, or exactly size */
        unsigned pins;
        enum block_state state;
        int error;
        char *data;
};

TAILQ_HEAD(use_list, fmt_cached_block);
LIST_HEAD(bucket, fmt_cached_block);

struct shard {
        pthread_mutex_t lock;
        pthread_cond_t made;    /* some block of this shard has left LOADING */
        struct use_list by_use; /* most recent first */
        struct bucket buckets[N_BUCKETS];
        uint64_t bytes;
        uint64_t limit;
        struct fmt_block_counts counts;
};

struct fmt_block_cache {
        size_t block_size;
        /* Buffers of evicted blocks, for the next ones: fresh memory has to be faulted in, and what
         * one thread frees is not what the next one gets from malloc. */
        pthread_mutex_t spare_lock;
        void *spare[N_SPARE];
        unsigned n_spare;
        struct shard shards[N_SHARDS];
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
        pthread_mutex_init(&cache->spare_lock, NULL);
        for (size_t i = 0; i < N_SHARDS; i++) {
                struct shard *shard = &cache->shards[i];
                pthread_mutex_init(&shard->lock, NULL);
                pthread_cond_init(&shard->made, NULL);
                TAILQ_INIT(&shard->by_use);
                shard->limit = limit / N_SHARDS;
                if (shard->limit < 2 * block_size)
                        shard->limit = 2 * block_size;
        }
        *ret = cache;
        return 0;
}

static void *take_buffer(struct fmt_block_cache *cache)
{
        void *buffer = NULL;
        pthread_mutex_lock(&cache->spare_lock);
        if (cache->n_spare > 0)
                buffer = cache->spare[--cache->n_spare];
        pthread_mutex_unlock(&cache->spare_lock);
        return buffer != NULL ? buffer : malloc(cache->block_size);
}

static void give_buffer(struct fmt_block_cache *cache, void *buffer)
{
        pthread_mutex_lock(&cache->spare_lock);
        if (cache->n_spare < N_SPARE) {
                cache->spare[cache->n_spare++] = buffer;
                buffer = NULL;
        }
        pthread_mutex_unlock(&cache->spare_lock);
        free(buffer);
}

static void free_block(struct fmt_block_cache *cache, struct fmt_cached_block *block)
{
        if (block->data != NULL && block->capacity == cache->block_size)
                give_buffer(cache, block->data);
        else
                free(block->data);
        free(block);
}

void fmt_block_cache_free(struct fmt_block_cache *cache)
{
        if (cache == NULL)
                return;
        for (size_t i = 0; i < N_SHARDS; i++) {
                struct shard *shard = &cache->shards[i];
                struct fmt_cached_block *block;
                while ((block = TAILQ_FIRST(&shard->by_use)) != NULL) {
                        TAILQ_REMOVE(&shard->by_use, block, by_use);
                        free_block(cache, block);
                }
                pthread_cond_destroy(&shard->made);
                pthread_mutex_destroy(&shard->lock);
        }
        while (cache->n_spare > 0)
                free(cache->spare[--cache->n_spare]);
        pthread_mutex_destroy(&cache->spare_lock);
        free(cache);
}

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

/* With the lock held. The blocks that go are freed by the caller, without the lock. */
static void evict(struct shard *shard, struct use_list *ret_gone)
{
        struct fmt_cached_block *block, *previous;
        for (block = TAILQ_LAST(&shard->by_use, use_list);
                block != NULL && shard->bytes > shard->limit; block = previous) {
                previous = TAILQ_PREV(block, use_list, by_use);
                if (block->pins > 0)
                        continue;
                TAILQ_REMOVE(&shard->by_use, block, by_use);
                LIST_REMOVE(block, in_bucket);
                shard->bytes -= block->capacity;
                shard->counts.evictions++;
                TAILQ_INSERT_TAIL(ret_gone, block, by_use);
        }
}

/* Without any lock: makes BLOCK's data, in a buffer that is not much larger than it. */
static int make(struct fmt_block_cache *cache, struct fmt_cached_block *block,
        fmt_block_maker *maker, void *context)
{
        block->data = take_buffer(cache);
        block->capacity = cache->block_size;
        if (block->data == NULL)
                return -ENOMEM;
        int error = maker(context, block->key, block->data, &block->size);
        if (error < 0 || block->size > cache->block_size / 4 * 3)
                return error;
        char *exact = malloc(block->size > 0 ? block->size : 1);
        if (exact == NULL)
                return 0;
        memcpy(exact, block->data, block->size);
        give_buffer(cache, block->data);
        block->data = exact;
        block->capacity = block->size;
        return 0;
}

/* Ends LOADING. Waiters of a failed block hold pins on it; the last of them frees it. */
static void publish(struct fmt_cached_block *block, int error)
{
        struct fmt_block_cache *cache = block->cache;
        struct shard *shard = block->shard;
        struct use_list gone = TAILQ_HEAD_INITIALIZER(gone);
        pthread_mutex_lock(&shard->lock);
        block->error = error;
        shard->counts.makes++;
        if (error == 0) {
                block->state = READY;
                shard->bytes += block->capacity;
                TAILQ_INSERT_HEAD(&shard->by_use, block, by_use);
                evict(shard, &gone);
        } else {
                block->state = FAILED;
                LIST_REMOVE(block, in_bucket);
        }
        pthread_cond_broadcast(&shard->made);
        pthread_mutex_unlock(&shard->lock);

        struct fmt_cached_block *next;
        for (struct fmt_cached_block *b = TAILQ_FIRST(&gone); b != NULL; b = next) {
                next = TAILQ_NEXT(b, by_use);
                free_block(cache, b);
        }
}

/* With the lock held: pins a block that somebody else makes or has made. */
static void join(struct shard *shard, struct fmt_cached_block *block)
{
        block->pins++;
        if (block->state == READY) {
                shard->counts.hits++;
                TAILQ_REMOVE(&shard->by_use, block, by_use);
                TAILQ_INSERT_HEAD(&shard->by_use, block, by_use);
                return;
        }
        shard->counts.waits++;
        while (block->state == LOADING)
                pthread_cond_wait(&shard->made, &shard->lock);
}

int fmt_block_cache_get(struct fmt_block_cache *cache, uint64_t key, fmt_block_maker *maker,
        void *context, struct fmt_cached_block **ret)
{
        struct shard *shard = &cache->shards[(spread(key) >> 32) % N_SHARDS];
        pthread_mutex_lock(&shard->lock);
        struct fmt_cached_block *block = find(shard, key);
        if (block != NULL) {
                join(shard, block);
                pthread_mutex_unlock(&shard->lock);
        } else {
                block = calloc(1, sizeof *block);
                if (block == NULL) {
                        pthread_mutex_unlock(&shard->lock);
                        return -ENOMEM;
                }
                block->cache = cache;
                block->shard = shard;
                block->key = key;
                block->pins = 1;
                LIST_INSERT_HEAD(bucket_of(shard, key), block, in_bucket);
                pthread_mutex_unlock(&shard->lock);
                publish(block, make(cache, block, maker, context));
        }
        int error = block->error;
        if (error != 0) {
                fmt_block_cache_put(block);
                return error;
        }
        *ret = block;
        return 0;
}

void fmt_block_cache_put(struct fmt_cached_block *block)
{
        struct shard *shard = block->shard;
        pthread_mutex_lock(&shard->lock);
        bool last_of_failed = --block->pins == 0 && block->state == FAILED;
        pthread_mutex_unlock(&shard->lock);
        if (last_of_failed)
                free_block(block->cache, block);
}

const void *fmt_cached_block_data(const struct fmt_cached_block *block, size_t *ret_size)
{
        *ret_size = block->size;
        return block->data;
}

void fmt_block_cache_counts(struct fmt_block_cache *cache, struct fmt_block_counts *ret)
{
        memset(ret, 0, sizeof *ret);
        for (size_t i = 0; i < N_SHARDS; i++) {
                struct shard *shard = &cache->shards[i];
                pthread_mutex_lock(&shard->lock);
                ret->hits += shard->counts.hits;
                ret->waits += shard->counts.waits;
                ret->makes += shard->counts.makes;
                ret->evictions += shard->counts.evictions;
                ret->bytes += shard->bytes;
                pthread_mutex_unlock(&shard->lock);
        }
}
