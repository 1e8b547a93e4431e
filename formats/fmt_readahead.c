/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_readahead.h"

#include "fmt_cleanup.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

/* How far ahead of a stream blocks are made. One decompresses 128 KiB in about 0.1 ms, a reader
 * consumes them about as fast, so this is a few wake-ups' worth of work and no more. */
#define AHEAD_BYTES (UINT32_C(2) << 20)
#define LEAST_AHEAD 2
/* Readers at the same time that are told apart. */
#define N_STREAMS 16
#define MOST_THREADS 16

struct stream {
        uint32_t at;    /* the furthest block that was asked for, as an index in the order */
        uint32_t ahead; /* the furthest that is made or queued */
        uint64_t used;  /* when, to replace the oldest */
        bool follows;   /* at least two blocks in sequence */
};

struct fmt_readahead {
        const struct fmt_index *index;
        void (*make)(void *context, const struct fmt_index_block *block);
        void *context;
        uint32_t window; /* blocks */
        atomic_uint_fast64_t count;

        /* All compressed blocks and fragments in the order of the image, made at the first use. */
        const struct fmt_index_block **order;
        uint32_t n_order;

        pthread_mutex_t lock;
        pthread_cond_t work;
        struct stream streams[N_STREAMS];
        uint64_t clock;
        uint32_t queue[N_STREAMS * 8][2]; /* ranges of the order: first, end */
        unsigned head, n_queued;
        bool stop;
        unsigned most_threads, n_threads;
        pthread_t threads[MOST_THREADS];
};
#define QUEUE_SIZE (N_STREAMS * 8)

int fmt_readahead_new(const struct fmt_index *index, unsigned threads,
        void (*make)(void *context, const struct fmt_index_block *block), void *context,
        struct fmt_readahead **ret)
{
        struct fmt_readahead *readahead = calloc(1, sizeof *readahead);
        if (readahead == NULL)
                return -ENOMEM;
        readahead->index = index;
        readahead->make = make;
        readahead->context = context;
        readahead->window = AHEAD_BYTES / index->header->block_size;
        if (readahead->window < LEAST_AHEAD)
                readahead->window = LEAST_AHEAD;
        readahead->most_threads = threads < MOST_THREADS ? threads : MOST_THREADS;
        pthread_mutex_init(&readahead->lock, NULL);
        pthread_cond_init(&readahead->work, NULL);
        *ret = readahead;
        return 0;
}

void fmt_readahead_free(struct fmt_readahead *readahead)
{
        if (readahead == NULL)
                return;
        pthread_mutex_lock(&readahead->lock);
        readahead->stop = true;
        pthread_cond_broadcast(&readahead->work);
        pthread_mutex_unlock(&readahead->lock);
        for (unsigned i = 0; i < readahead->n_threads; i++)
                pthread_join(readahead->threads[i], NULL);
        pthread_cond_destroy(&readahead->work);
        pthread_mutex_destroy(&readahead->lock);
        free(readahead->order);
        free(readahead);
}

uint64_t fmt_readahead_count(const struct fmt_readahead *readahead)
{
        return atomic_load(&readahead->count);
}

/* ---- the order ---- */

static int compare_positions(const void *a, const void *b)
{
        const uint64_t x = (*(const struct fmt_index_block *const *)a)->position;
        const uint64_t y = (*(const struct fmt_index_block *const *)b)->position;
        return (x > y) - (x < y);
}

static uint32_t add_compressed(const struct fmt_index_block **order, uint32_t n,
        const struct fmt_index_block *blocks, uint32_t n_blocks)
{
        for (uint32_t i = 0; i < n_blocks; i++)
                if (blocks[i].stored > 0 && !blocks[i].raw)
                        order[n++] = &blocks[i];
        return n;
}

/* Files with the same content share blocks: each counts once. Without memory nothing is read
 * ahead. */
static void make_order(struct fmt_readahead *readahead)
{
        const struct fmt_index_header *header = readahead->index->header;
        const size_t most = (size_t)header->n_blocks + header->n_fragments;
        const struct fmt_index_block **order = malloc((most + 1) * sizeof *order);
        if (order == NULL || most > UINT32_MAX) {
                free(order);
                return;
        }
        uint32_t n = add_compressed(order, 0, readahead->index->blocks, header->n_blocks);
        n = add_compressed(order, n, readahead->index->fragments, header->n_fragments);
        qsort(order, n, sizeof *order, compare_positions);
        uint32_t kept = 0;
        for (uint32_t i = 0; i < n; i++)
                if (kept == 0 || order[kept - 1]->position != order[i]->position)
                        order[kept++] = order[i];
        readahead->order = order;
        readahead->n_order = kept;
}

/* With the lock held. The block's place in the order, or n_order. */
static uint32_t place_of(struct fmt_readahead *readahead, uint64_t position)
{
        uint32_t low = 0, high = readahead->n_order;
        while (low < high) {
                const uint32_t middle = low + (high - low) / 2;
                if (readahead->order[middle]->position < position)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

/* ---- streams ---- */

/* With the lock held: the stream that PLACE continues, or one that begins with it. */
static struct stream *find_stream(struct fmt_readahead *readahead, uint32_t place)
{
        struct stream *oldest = &readahead->streams[0];
        for (size_t i = 0; i < N_STREAMS; i++) {
                struct stream *stream = &readahead->streams[i];
                if (stream->used > 0 && place >= stream->at &&
                        place - stream->at <= readahead->window) {
                        stream->follows |= place > stream->at;
                        stream->at = place;
                        return stream;
                }
                if (stream->used < oldest->used)
                        oldest = stream;
        }
        *oldest = (struct stream){.at = place, .ahead = place};
        return oldest;
}

static void *run(void *context)
{
        struct fmt_readahead *readahead = context;
        pthread_mutex_lock(&readahead->lock);
        for (;;) {
                while (!readahead->stop && readahead->n_queued == 0)
                        pthread_cond_wait(&readahead->work, &readahead->lock);
                if (readahead->stop)
                        break;
                uint32_t *range = readahead->queue[readahead->head];
                const struct fmt_index_block *block = readahead->order[range[0]];
                if (++range[0] == range[1]) {
                        readahead->head = (readahead->head + 1) % QUEUE_SIZE;
                        readahead->n_queued--;
                }
                pthread_mutex_unlock(&readahead->lock);
                readahead->make(readahead->context, block);
                atomic_fetch_add(&readahead->count, 1);
                pthread_mutex_lock(&readahead->lock);
        }
        pthread_mutex_unlock(&readahead->lock);
        return NULL;
}

/* With the lock held. A queue that is full means that enough is being read ahead. */
static void enqueue(struct fmt_readahead *readahead, uint32_t first, uint32_t end)
{
        if (readahead->n_queued == QUEUE_SIZE || first >= end)
                return;
        if (readahead->n_threads < readahead->most_threads &&
                readahead->n_queued >= readahead->n_threads &&
                pthread_create(&readahead->threads[readahead->n_threads], NULL, run, readahead) ==
                        0)
                readahead->n_threads++;
        uint32_t *range = readahead->queue[(readahead->head + readahead->n_queued) % QUEUE_SIZE];
        range[0] = first;
        range[1] = end;
        readahead->n_queued++;
        pthread_cond_broadcast(&readahead->work);
}

void fmt_readahead_note(struct fmt_readahead *readahead, const struct fmt_index_block *block)
{
        /* A hint is not worth waiting for. */
        if (readahead->most_threads == 0 || pthread_mutex_trylock(&readahead->lock) != 0)
                return;
        if (readahead->order == NULL)
                make_order(readahead);
        const uint32_t place = place_of(readahead, block->position);
        if (place < readahead->n_order) {
                struct stream *stream = find_stream(readahead, place);
                stream->used = ++readahead->clock;
                if (stream->ahead < place)
                        stream->ahead = place;
                /* Half a window at a time, so that threads are not woken for every block. */
                const uint32_t left = readahead->n_order - 1 - place;
                const uint32_t until =
                        place + (left < readahead->window ? left : readahead->window);
                if (stream->follows && stream->ahead - place <= readahead->window / 2) {
                        enqueue(readahead, stream->ahead + 1, until + 1);
                        stream->ahead = stream->ahead > until ? stream->ahead : until;
                }
        }
        pthread_mutex_unlock(&readahead->lock);
}
