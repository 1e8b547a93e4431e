/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiles of latencies against the exact ones of the same values. */
#include "fs_histogram.h"
#include "unit_check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define N 20000
#define N_THREADS 4

static struct fs_histogram histogram;
static uint64_t values[N];

static int compare(const void *a, const void *b)
{
        const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
        return (x > y) - (x < y);
}

/* The first COUNT values; sorts them. */
static void compare_with_exact(size_t count)
{
        static const unsigned per_mille[] = {0, 1, 10, 250, 500, 900, 990, 999, 1000};
        struct fs_histogram_sum sum = {0};
        uint64_t total = 0, before = 0;
        memset(&histogram, 0, sizeof histogram);
        for (size_t i = 0; i < count; i++) {
                fs_histogram_add(&histogram, values[i]);
                total += values[i];
        }
        qsort(values, count, sizeof *values, compare);
        fs_histogram_merge(&histogram, &sum);
        CHECK(sum.count == count && sum.sum == total && sum.largest == values[count - 1]);
        for (size_t i = 0; i < sizeof per_mille / sizeof *per_mille; i++) {
                const size_t rank = (count * per_mille[i] + 999) / 1000;
                const uint64_t exact = values[rank > 0 ? rank - 1 : 0];
                const uint64_t seen = fs_histogram_quantile(&sum, per_mille[i]);
                const uint64_t off = seen > exact ? seen - exact : exact - seen;
                CHECK(off <= exact / 16);
                CHECK(seen >= before && seen <= sum.largest);
                before = seen;
        }
}

static void any_distribution(void)
{
        uint64_t state = unit_seed();
        for (unsigned bits = 1; bits <= FS_HISTOGRAM_OCTAVES; bits++) {
                for (size_t i = 0; i < N; i++)
                        values[i] = unit_random(&state) >> (64 - bits);
                compare_with_exact(N);
        }
        /* Of all magnitudes alike, as latencies are. */
        for (size_t i = 0; i < N; i++)
                values[i] = unit_random(&state) >> (64 - FS_HISTOGRAM_OCTAVES + i % 40);
        compare_with_exact(N);
        for (size_t i = 0; i < 1000; i++)
                values[i] = 12345;
        compare_with_exact(1000);
        values[0] = 7;
        compare_with_exact(1);
}

static void edges(void)
{
        struct fs_histogram_sum sum = {0};
        CHECK(fs_histogram_quantile(&sum, 500) == 0);
        /* On both sides of every power of two. */
        for (unsigned bits = 1; bits < FS_HISTOGRAM_OCTAVES; bits++) {
                values[0] = (UINT64_C(1) << bits) - 1;
                values[1] = UINT64_C(1) << bits;
                values[2] = (UINT64_C(1) << bits) + 1;
                compare_with_exact(3);
        }
        /* What is out of range is counted, and the largest is exact all the same. */
        memset(&histogram, 0, sizeof histogram);
        fs_histogram_add(&histogram, UINT64_MAX);
        fs_histogram_add(&histogram, 1);
        fs_histogram_merge(&histogram, &sum);
        CHECK(sum.count == 2 && sum.largest == UINT64_MAX);
        CHECK(fs_histogram_quantile(&sum, 1) == 1);
        CHECK(fs_histogram_quantile(&sum, 1000) >= UINT64_C(1) << (FS_HISTOGRAM_OCTAVES - 1));
}

static void *add_all(void *context)
{
        (void)context;
        for (uint64_t i = 1; i <= N; i++)
                fs_histogram_add(&histogram, i);
        return NULL;
}

static void threads_lose_nothing(void)
{
        pthread_t threads[N_THREADS];
        struct fs_histogram_sum sum = {0};
        memset(&histogram, 0, sizeof histogram);
        for (size_t i = 0; i < N_THREADS; i++)
                REQUIRE(pthread_create(&threads[i], NULL, add_all, NULL) == 0);
        for (size_t i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
        fs_histogram_merge(&histogram, &sum);
        CHECK(sum.count == N_THREADS * N && sum.largest == N);
        CHECK(sum.sum == (uint64_t)N_THREADS * N * (N + 1) / 2);
}

int main(void)
{
        any_distribution();
        edges();
        threads_lose_nothing();
        return unit_report();
}
