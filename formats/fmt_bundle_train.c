/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_bundle_train.h"
#include "fmt_cleanup.h"

#include <stdint.h>
#include <string.h>
#include <zdict.h>
#include <zstd.h>

/* zstd's own advice: some hundred times the dictionary's size is enough to learn from. Beyond that
 * only time is spent, and what the trainer reads at most of one sample is 128 KiB. */
#define LEARN_FACTOR 100
#define LEARN_MAX_SAMPLE ((size_t)128 << 10)

/* Whether it pays is estimated at this level: quick, and gains at higher levels are alike. */
#define ESTIMATE_LEVEL 3

struct lesson {
        char *bytes; /* samples one after the other */
        size_t *sizes;
        unsigned count;
        size_t total;
        uint64_t raw; /* bytes of all samples, uncut */
};

static void lesson_done(struct lesson *lesson)
{
        free(lesson->bytes);
        free(lesson->sizes);
}

/* Takes every STEPth sample, so that a large bundle is learnt from evenly. */
static int lesson_fill(
        struct lesson *lesson, const struct fmt_train_sample *samples, size_t n, size_t limit)
{
        uint64_t cut = 0;

        for (size_t i = 0; i < n; i++) {
                cut += samples[i].size < LEARN_MAX_SAMPLE ? samples[i].size : LEARN_MAX_SAMPLE;
                lesson->raw += samples[i].size;
        }
        size_t step = (size_t)(cut / limit) + 1;
        lesson->bytes = malloc(
                (size_t)(cut < limit + LEARN_MAX_SAMPLE ? cut : limit + LEARN_MAX_SAMPLE) + 1);
        lesson->sizes = malloc((n + 1) * sizeof *lesson->sizes);
        if (!lesson->bytes || !lesson->sizes)
                return -ENOMEM;
        for (size_t i = 0; i < n && lesson->total < limit; i += step) {
                size_t size =
                        samples[i].size < LEARN_MAX_SAMPLE ? samples[i].size : LEARN_MAX_SAMPLE;
                memcpy(lesson->bytes + lesson->total, samples[i].data, size);
                lesson->sizes[lesson->count++] = size;
                lesson->total += size;
        }
        return 0;
}

static int compressed_sizes(const struct lesson *lesson, const void *dictionary, size_t size,
        uint64_t *ret_without, uint64_t *ret_with)
{
        size_t bound = ZSTD_compressBound(LEARN_MAX_SAMPLE);
        ZSTD_CCtx *context = ZSTD_createCCtx();
        ZSTD_CDict *digested = ZSTD_createCDict(dictionary, size, ESTIMATE_LEVEL);
        _cleanup_free_ void *out = malloc(bound);
        const char *at = lesson->bytes;
        int r = context && digested && out ? 0 : -ENOMEM;

        *ret_without = *ret_with = 0;
        for (unsigned i = 0; r == 0 && i < lesson->count; i++) {
                size_t plain = ZSTD_compressCCtx(
                        context, out, bound, at, lesson->sizes[i], ESTIMATE_LEVEL);
                size_t helped = ZSTD_compress_usingCDict(
                        context, out, bound, at, lesson->sizes[i], digested);
                if (ZSTD_isError(plain) || ZSTD_isError(helped))
                        r = -ENOMEM;
                *ret_without += plain;
                *ret_with += helped;
                at += lesson->sizes[i];
        }
        ZSTD_freeCDict(digested);
        ZSTD_freeCCtx(context);
        return r;
}

/* What the samples gain, projected on all bytes, must exceed what the dictionary itself takes. */
static int pays(const struct lesson *lesson, const void *dictionary, size_t size)
{
        uint64_t without;
        uint64_t with;

        int r = compressed_sizes(lesson, dictionary, size, &without, &with);
        if (r < 0)
                return r;
        double gain =
                ((double)without - (double)with) * (double)lesson->raw / (double)lesson->total;
        return gain > (double)size ? 0 : -ENODATA;
}

static int train(const struct fmt_train_sample *samples, size_t n, void *dictionary,
        size_t capacity, size_t *ret_size)
{
        struct lesson lesson = {0};

        int r = lesson_fill(&lesson, samples, n, capacity * LEARN_FACTOR);
        if (r == 0) {
                size_t size = ZDICT_trainFromBuffer(
                        dictionary, capacity, lesson.bytes, lesson.sizes, lesson.count);
                if (ZDICT_isError(size))
                        r = -ENODATA; /* too few or too uniform samples */
                else
                        r = pays(&lesson, dictionary, size);
                *ret_size = size;
        }
        lesson_done(&lesson);
        return r;
}

int fmt_bundle_train(const struct fmt_train_sample *samples, size_t n, size_t size,
        void **ret_dictionary, size_t *ret_size)
{
        if (n == 0 || size == 0)
                return -ENODATA;
        _cleanup_free_ void *dictionary = malloc(size);
        if (!dictionary)
                return -ENOMEM;
        int r = train(samples, n, dictionary, size, ret_size);
        if (r < 0)
                return r;
        *ret_dictionary = steal_pointer(&dictionary);
        return 0;
}
