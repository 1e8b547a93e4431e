/* SPDX-License-Identifier: Apache-2.0 */
/* How long things took, in little space: a histogram with eight buckets per power of two.
 *
 * The layout is that of HdrHistogram (Gil Tene, hdrhistogram.org): below 8 each value has its own
 * bucket, and from there on a bucket is as wide as an eighth of the power of two it lies in. A
 * quantile is reported as the middle of its bucket, so it is off by at most 1/16 of the true value
 * (the argument is that of Masson, Rim and Lee, DDSketch, VLDB 2019, section 2). The largest value
 * is exact. */
#ifndef FS_HISTOGRAM_H
#define FS_HISTOGRAM_H

#include <stdatomic.h>
#include <stdint.h>

#define FS_HISTOGRAM_OCTAVES 44 /* up to 2^44 ns, almost five hours; more counts as that */
#define FS_HISTOGRAM_BUCKETS ((FS_HISTOGRAM_OCTAVES - 2) * 8)

/* All zero is an empty one. Any thread may add at any time. */
struct fs_histogram {
        _Atomic uint64_t sum;
        _Atomic uint64_t largest;
        _Atomic uint64_t buckets[FS_HISTOGRAM_BUCKETS];
};

void fs_histogram_add(struct fs_histogram *histogram, uint64_t value);

/* What several histograms hold together, for one who looks. */
struct fs_histogram_sum {
        uint64_t count;
        uint64_t sum;
        uint64_t largest;
        uint64_t buckets[FS_HISTOGRAM_BUCKETS];
};

void fs_histogram_merge(const struct fs_histogram *histogram, struct fs_histogram_sum *into);

/* The value that PER_MILLE of a thousand are not above; 0 if there are none. Does not grow smaller
 * with a larger PER_MILLE and is never above the largest value. */
uint64_t fs_histogram_quantile(const struct fs_histogram_sum *sum, unsigned per_mille);

#endif
