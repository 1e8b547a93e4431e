/* SPDX-License-Identifier: Apache-2.0 */
/* A number of bytes that many threads share: who wants more than is left waits. Thread-safe.
 *
 * Those who wait are served in the order in which they came, so that many who want little never
 * keep one waiting who wants much. */
#ifndef FMT_BUDGET_H
#define FMT_BUDGET_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct fmt_budget {
        uint64_t size;        /* bytes */
        pthread_mutex_t lock; /* all below */
        pthread_cond_t changed;
        uint64_t left;          /* bytes */
        uint64_t next, serving; /* tickets of those who wait: the next to be given out, the first */
        bool is_called_off;
};

void fmt_budget_init(struct fmt_budget *budget, uint64_t size);
void fmt_budget_done(struct fmt_budget *budget);

/* Takes BYTES (not 0), or all of the budget if that is less, and returns how many it took: for
 * fmt_budget_return. 0: it was called off. Whoever waits here must hold nothing of it. */
uint64_t fmt_budget_take(struct fmt_budget *budget, uint64_t bytes);
/* As fmt_budget_take, but 0 where that would wait. */
uint64_t fmt_budget_try(struct fmt_budget *budget, uint64_t bytes);
void fmt_budget_return(struct fmt_budget *budget, uint64_t bytes);
/* Nobody gets anything any more who waits, or would have to. */
void fmt_budget_call_off(struct fmt_budget *budget);

#endif
