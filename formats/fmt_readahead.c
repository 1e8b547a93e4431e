/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_readahead.h"

#include "fmt_cleanup.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define MOST_THREADS 16
/* A reader in sequence goes to one of the next few blocks each time (small files lie in fragments
 * between the blocks of larger ones), one at random seldom does so twice: with all streams in use
 * and 256 MiB of 128 KiB blocks, once in a thousand reads. */
#define STEPS_TO_FOLLOW 2
#define NEAR 4
#define FIRST_WINDOW 2
#define QUEUE_SIZE (FMT_READAHEAD_STREAMS * 8)

struct stream {
        uint32_t at;     /* the furthest block that was asked for, as an index in the order */
        uint32_t ahead;  /* the furthest that is made or queued */
        uint64_t used;   /* when, to replace the oldest; 0: never */
        unsigned steps;  /* forward, up to STEPS_TO_FOLLOW */
        uint32_t window; /* how far ahead of it blocks are made */
        uint32_t from;   /* where it stood when blocks were queued last */
        uint32_t asked;  /* how many it has asked for since */
};

struct range {
        uint32_t first, end; /* of the order */
        bool begun;
};

struct fmt_readahead {
        const struct fmt_index *index;
        struct fmt_readahead_work work;
        uint32_t window; /* blocks */

        pthread_mutex_t lock;
        pthread_cond_t wanted;
        /* All blocks and fragments in the order of the image; NULL until the first thread, started
         * by the first read, has made it. */
        const struct fmt_index_block **order;
        uint32_t n_order;
        struct stream streams[FMT_READAHEAD_STREAMS];
        uint64_t clock;
        struct range queue[QUEUE_SIZE];
        unsigned head, n_queued;
        bool stop;
        unsigned most_threads, n_threads;
        pthread_t threads[MOST_THREADS];
};

int fmt_readahead_new(const struct fmt_index *index, uint32_t window, unsigned threads,
        const struct fmt_readahead_work *work, struct fmt_readahead **ret)
{
        struct fmt_readahead *readahead = calloc(1, sizeof *readahead);
        if (readahead == NULL)
                return -ENOMEM;
        readahead->index = index;
        readahead->work = *work;
        readahead->window = window;
        readahead->most_threads = threads < MOST_THREADS ? threads : MOST_THREADS;
        pthread_mutex_init(&readahead->lock, NULL);
        pthread_cond_init(&readahead->wanted, NULL);
        *ret = readahead;
        return 0;
}

void fmt_readahead_free(struct fmt_readahead *readahead)
{
        if (readahead == NULL)
                return;
        pthread_mutex_lock(&readahead->lock);
        readahead->stop = true;
        pthread_cond_broadcast(&readahead->wanted);
        pthread_mutex_unlock(&readahead->lock);
        for (unsigned i = 0; i < readahead->n_threads; i++)
                pthread_join(readahead->threads[i], NULL);
        pthread_cond_destroy(&readahead->wanted);
        pthread_mutex_destroy(&readahead->lock);
        free(readahead->order);
        free(readahead);
}

/* ---- the order ---- */

static int compare_positions(const void *a, const void *b)
{
        const uint64_t x = (*(const struct fmt_index_block *const *)a)->position;
        const uint64_t y = (*(const struct fmt_index_block *const *)b)->position;
        return (x > y) - (x < y);
}

static uint32_t add_blocks(const struct fmt_index_block **order, uint32_t n,
        const struct fmt_index_block *blocks, uint32_t n_blocks)
{
        for (uint32_t i = 0; i < n_blocks; i++)
                if (blocks[i].stored > 0)
                        order[n++] = &blocks[i];
        return n;
}

/* Files with the same content share blocks: each counts once. NULL without memory: then nothing is
 * read ahead. */
static const struct fmt_index_block **make_order(const struct fmt_index *index, uint32_t *ret_n)
{
        const size_t most = (size_t)index->header->n_blocks + index->header->n_fragments;
        const struct fmt_index_block **order =
                most < UINT32_MAX ? malloc((most + 1) * sizeof *order) : NULL;
        if (order == NULL)
                return NULL;
        uint32_t n = add_blocks(order, 0, index->blocks, index->header->n_blocks);
        n = add_blocks(order, n, index->fragments, index->header->n_fragments);
        qsort(order, n, sizeof *order, compare_positions);
        uint32_t kept = 0;
        for (uint32_t i = 0; i < n; i++)
                if (kept == 0 || order[kept - 1]->position != order[i]->position)
                        order[kept++] = order[i];
        *ret_n = kept;
        return order;
}

/* With the lock held. The block's place in the order, or n_order. */
static uint32_t place_of(const struct fmt_readahead *readahead, uint64_t position)
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

/* ---- the threads ---- */

/* With the lock held. The next block of the oldest range; *ret_fetch is that range if this is its
 * first block. */
static const struct fmt_index_block *take(struct fmt_readahead *readahead, struct range *ret_fetch)
{
        struct range *range = &readahead->queue[readahead->head];
        *ret_fetch = range->begun ? (struct range){0} : *range;
        range->begun = true;
        const struct fmt_index_block *block = readahead->order[range->first];
        if (++range->first == range->end) {
                readahead->head = (readahead->head + 1) % QUEUE_SIZE;
                readahead->n_queued--;
        }
        return block;
}

/* What lies behind RANGE will be wanted after it, and about as much. */
static void fetch_behind(const struct fmt_readahead *readahead, const struct range *range)
{
        const struct fmt_index_block *last = readahead->order[range->end - 1];
        const uint64_t end = last->position + last->stored;
        readahead->work.fetch(
                readahead->work.context, end, 2 * (end - readahead->order[range->first]->position));
}

static void *run(void *context)
{
        struct fmt_readahead *readahead = context;
        pthread_mutex_lock(&readahead->lock);
        for (;;) {
                while (!readahead->stop && readahead->n_queued == 0)
                        pthread_cond_wait(&readahead->wanted, &readahead->lock);
                if (readahead->stop)
                        break;
                struct range fetch;
                const struct fmt_index_block *block = take(readahead, &fetch);
                pthread_mutex_unlock(&readahead->lock);
                if (fetch.end > 0)
                        fetch_behind(readahead, &fetch);
                if (!block->raw)
                        readahead->work.make(readahead->work.context, block);
                pthread_mutex_lock(&readahead->lock);
        }
        pthread_mutex_unlock(&readahead->lock);
        return NULL;
}

static void *run_first(void *context)
{
        struct fmt_readahead *readahead = context;
        uint32_t n = 0;
        const struct fmt_index_block **order = make_order(readahead->index, &n);
        pthread_mutex_lock(&readahead->lock);
        readahead->order = order;
        readahead->n_order = n;
        pthread_mutex_unlock(&readahead->lock);
        return run(readahead);
}

/* With the lock held. */
static void start_thread(struct fmt_readahead *readahead, void *(*function)(void *))
{
        if (pthread_create(&readahead->threads[readahead->n_threads], NULL, function, readahead) ==
                0)
                readahead->n_threads++;
        else
                readahead->most_threads = readahead->n_threads;
}

/* With the lock held. A queue that is full means that enough is being read ahead. */
static void enqueue(struct fmt_readahead *readahead, uint32_t first, uint32_t end)
{
        if (readahead->n_queued == QUEUE_SIZE || first >= end)
                return;
        readahead->queue[(readahead->head + readahead->n_queued) % QUEUE_SIZE] =
                (struct range){.first = first, .end = end};
        readahead->n_queued++;
        if (readahead->n_threads < readahead->most_threads)
                start_thread(readahead, run);
        pthread_cond_broadcast(&readahead->wanted);
}

/* ---- streams ---- */

/* With the lock held: whether somebody's furthest block is asked for once more, which is what
 * happens when small files lie in one block. */
static bool is_repeated(const struct fmt_readahead *readahead, uint64_t position)
{
        for (size_t i = 0; i < FMT_READAHEAD_STREAMS; i++) {
                const struct stream *stream = &readahead->streams[i];
                if (stream->used > 0 && readahead->order[stream->at]->position == position)
                        return true;
        }
        return false;
}

static void step(struct stream *stream, uint32_t place)
{
        stream->at = place;
        stream->asked++;
        if (stream->steps < STEPS_TO_FOLLOW)
                stream->steps++;
}

/* With the lock held: the stream that PLACE continues or lags a little behind, as one of several
 * readers does; or one that begins with it. */
static struct stream *find_stream(struct fmt_readahead *readahead, uint32_t place)
{
        struct stream *oldest = &readahead->streams[0];
        for (size_t i = 0; i < FMT_READAHEAD_STREAMS; i++) {
                struct stream *stream = &readahead->streams[i];
                const uint32_t reach = stream->steps < STEPS_TO_FOLLOW ? NEAR : readahead->window;
                if (stream->used > 0 && place + reach >= stream->at &&
                        place <= stream->at + reach) {
                        if (place > stream->at)
                                step(stream, place);
                        return stream;
                }
                if (stream->used < oldest->used)
                        oldest = stream;
        }
        *oldest =
                (struct stream){.at = place, .ahead = place, .from = place, .window = FIRST_WINDOW};
        return oldest;
}

/* Twice as far ahead if at least half of what it went past was wanted. */
static void adapt(const struct fmt_readahead *readahead, struct stream *stream)
{
        const uint32_t passed = stream->at - stream->from;
        if (stream->asked >= passed - stream->asked)
                stream->window *= 2;
        else if (stream->window > FIRST_WINDOW)
                stream->window /= 2;
        if (stream->window > readahead->window)
                stream->window = readahead->window;
        stream->from = stream->at;
        stream->asked = 0;
}

static void follow(struct fmt_readahead *readahead, struct stream *stream)
{
        stream->used = ++readahead->clock;
        if (stream->ahead < stream->at)
                stream->ahead = stream->at;
        /* Half a window at a time, so that threads are not woken for every block. */
        if (stream->steps < STEPS_TO_FOLLOW || stream->ahead - stream->at > stream->window / 2)
                return;
        adapt(readahead, stream);
        const uint32_t left = readahead->n_order - 1 - stream->at;
        const uint32_t until = stream->at + (left < stream->window ? left : stream->window);
        if (stream->ahead < until) {
                enqueue(readahead, stream->ahead + 1, until + 1);
                stream->ahead = until;
        }
}

bool fmt_readahead_note(struct fmt_readahead *readahead, const struct fmt_index_block *block)
{
        /* A hint is not worth waiting for. */
        if (pthread_mutex_trylock(&readahead->lock) != 0)
                return false;
        const bool is_known = readahead->order != NULL;
        if (is_known && !is_repeated(readahead, block->position)) {
                const uint32_t place = place_of(readahead, block->position);
                if (place < readahead->n_order)
                        follow(readahead, find_stream(readahead, place));
        }
        if (!is_known && readahead->n_threads == 0 && readahead->most_threads > 0)
                start_thread(readahead, run_first);
        pthread_mutex_unlock(&readahead->lock);
        return is_known;
}
