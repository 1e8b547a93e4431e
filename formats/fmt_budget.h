/* SPDX-License-Identifier: Apache-2.0 */
/* A number of bytes that many threads share: who wants more than is left waits. Thread-safe. */
#ifndef FMT_BUDGET_H
#define FMT_BUDGET_H

#include <pthread.h>
#include <stdint.h>

struct fmt_budget {
        pthread_mutex_t lock;
        pthread_cond_t returned;
        uint64_t size, left; /* bytes */
        unsigned waiting;
};

void fmt_budget_init(struct fmt_budget *budget, uint64_t size);
void fmt_budget_done(struct fmt_budget *budget);

/* Takes BYTES, or all of the budget if that is less, and returns how many it took: for
 * fmt_budget_return. Whoever waits here must hold nothing of it. */
uint64_t fmt_budget_take(struct fmt_budget *budget, uint64_t bytes);
void fmt_budget_return(struct fmt_budget *budget, uint64_t bytes);

#endif
