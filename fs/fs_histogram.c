/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_histogram.h"

#define SUB_BITS 3
#define SUB_BUCKETS (1u << SUB_BITS)

static unsigned bucket_of(uint64_t value)
{
        if (value >> FS_HISTOGRAM_OCTAVES != 0)
                return FS_HISTOGRAM_BUCKETS - 1;
        if (value < SUB_BUCKETS)
                return (unsigned)value;
        const unsigned shift = 63 - (unsigned)__builtin_clzll(value) - SUB_BITS;
        return shift * SUB_BUCKETS + (unsigned)(value >> shift);
}

static uint64_t middle_of(unsigned bucket)
{
        if (bucket < SUB_BUCKETS)
                return bucket;
        const unsigned shift = bucket / SUB_BUCKETS - 1;
        const uint64_t least = (uint64_t)(bucket % SUB_BUCKETS + SUB_BUCKETS) << shift;
        return least + (UINT64_C(1) << shift) / 2;
}

void fs_histogram_add(struct fs_histogram *histogram, uint64_t value)
{
        atomic_fetch_add_explicit(&histogram->buckets[bucket_of(value)], 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&histogram->sum, value, memory_order_relaxed);
        uint64_t largest = atomic_load_explicit(&histogram->largest, memory_order_relaxed);
        while (value > largest &&
                !atomic_compare_exchange_weak_explicit(&histogram->largest, &largest, value,
                        memory_order_relaxed, memory_order_relaxed))
                ;
}

void fs_histogram_merge(const struct fs_histogram *histogram, struct fs_histogram_sum *into)
{
        for (unsigned i = 0; i < FS_HISTOGRAM_BUCKETS; i++) {
                const uint64_t n =
                        atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
                into->buckets[i] += n;
                into->count += n;
        }
        into->sum += atomic_load_explicit(&histogram->sum, memory_order_relaxed);
        const uint64_t largest = atomic_load_explicit(&histogram->largest, memory_order_relaxed);
        into->largest = largest > into->largest ? largest : into->largest;
}

uint64_t fs_histogram_quantile(const struct fs_histogram_sum *sum, unsigned per_mille)
{
        uint64_t rank = (sum->count * per_mille + 999) / 1000;
        uint64_t seen = 0;
        rank = rank > 0 ? rank : 1;
        for (unsigned i = 0; i < FS_HISTOGRAM_BUCKETS; i++) {
                seen += sum->buckets[i];
                if (seen >= rank) {
                        const uint64_t middle = middle_of(i);
                        return middle < sum->largest ? middle : sum->largest;
                }
        }
        return sum->count > 0 ? sum->largest : 0;
}
