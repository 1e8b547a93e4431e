/* SPDX-License-Identifier: Apache-2.0 */
/* CLOCK_MONOTONIC in nanoseconds: the same in every process of the node, so that a worker's
 * times and the session's can be compared. */
#ifndef JIT_CLOCK_H
#define JIT_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t jit_now_ns(void)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
