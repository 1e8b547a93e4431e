/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads share a budget: never more than it has, and everybody gets through. */
#include "fmt_budget.h"
#include "unit_check.h"

#include <stdatomic.h>

#define SIZE 100
#define N_THREADS 8
#define ROUNDS 20000

static struct fmt_budget budget;
static atomic_uint in_hand, most;

static void *take_and_return(void *context)
{
        uint64_t state = (uint64_t)(uintptr_t)context;
        for (unsigned i = 0; i < ROUNDS; i++) {
                const uint64_t wanted = unit_random(&state) % (SIZE * 2);
                const uint64_t taken = fmt_budget_take(&budget, wanted);
                const unsigned now = atomic_fetch_add(&in_hand, (unsigned)taken) + (unsigned)taken;
                for (unsigned seen = atomic_load(&most);
                        now > seen && !atomic_compare_exchange_weak(&most, &seen, now);)
                        ;
                if (taken != (wanted < SIZE ? wanted : SIZE))
                        exit(1);
                atomic_fetch_sub(&in_hand, (unsigned)taken);
                fmt_budget_return(&budget, taken);
        }
        return NULL;
}

int main(void)
{
        pthread_t threads[N_THREADS];
        fmt_budget_init(&budget, SIZE);
        for (uintptr_t i = 0; i < N_THREADS; i++)
                REQUIRE(pthread_create(&threads[i], NULL, take_and_return, (void *)(i + 1)) == 0);
        for (unsigned i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
        CHECK(atomic_load(&most) <= SIZE && atomic_load(&most) > 0);
        CHECK(budget.left == SIZE && budget.waiting == 0);
        fmt_budget_done(&budget);
        return unit_report();
}
