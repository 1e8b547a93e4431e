/* SPDX-License-Identifier: Apache-2.0 */
/* What the unit tests are written with: CHECK counts failures and goes on, unit_report is main's
 * return value; random numbers come from one seed that is printed, so that a failure replays
 * with XAASFS_TEST_SEED=N. */
#ifndef UNIT_CHECK_H
#define UNIT_CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static unsigned unit_failures;

#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);    \
                        unit_failures++;                                                           \
                }                                                                                  \
        } while (0)

/* Where going on makes no sense. */
#define REQUIRE(condition)                                                                         \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);    \
                        exit(1);                                                                   \
                }                                                                                  \
        } while (0)

static inline int unit_report(void)
{
        if (unit_failures)
                fprintf(stderr, "%u checks failed\n", unit_failures);
        return unit_failures != 0;
}

static inline uint64_t unit_seed(void)
{
        const char *given = getenv("XAASFS_TEST_SEED");
        uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);

        printf("XAASFS_TEST_SEED=%llu\n", (unsigned long long)seed);
        fflush(stdout);
        return seed ? seed : 1;
}

/* xorshift64* (Vigna 2016); *STATE is never 0. */
static inline uint64_t unit_random(uint64_t *state)
{
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        return *state * UINT64_C(2685821657736338717);
}

#endif
