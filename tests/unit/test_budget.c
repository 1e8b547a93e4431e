/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads share a budget: never more than it has, everybody gets through, whoever waits longest first. */
#include "fmt_budget.h"
#include "unit_check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#define SIZE 100

/* ---- a crowd ---- */

#define N_THREADS 8
#define ROUNDS 20000

static struct fmt_budget shared;
static atomic_uint in_hand, most;

static void *take_and_return(void *context)
{
        uint64_t state = (uint64_t)(uintptr_t)context;
        for (unsigned i = 0; i < ROUNDS; i++) {
                const uint64_t wanted = 1 + unit_random(&state) % (SIZE * 2);
                const uint64_t taken = fmt_budget_take(&shared, wanted);
                const unsigned now = atomic_fetch_add(&in_hand, (unsigned)taken) + (unsigned)taken;
                for (unsigned seen = atomic_load(&most);
                        now > seen && !atomic_compare_exchange_weak(&most, &seen, now);)
                        ;
                if (taken != (wanted < SIZE ? wanted : SIZE))
                        exit(1);
                atomic_fetch_sub(&in_hand, (unsigned)taken);
                fmt_budget_return(&shared, taken);
        }
        return NULL;
}

static void test_a_crowd(void)
{
        pthread_t threads[N_THREADS];
        fmt_budget_init(&shared, SIZE);
        for (uintptr_t i = 0; i < N_THREADS; i++)
                REQUIRE(pthread_create(&threads[i], NULL, take_and_return, (void *)(i + 1)) == 0);
        for (unsigned i = 0; i < N_THREADS; i++)
                pthread_join(threads[i], NULL);
        CHECK(atomic_load(&most) <= SIZE && atomic_load(&most) > 0);
        CHECK(shared.left == SIZE && shared.next == shared.serving);
        fmt_budget_done(&shared);
}

/* ---- one who waits ---- */

struct waiter {
        struct fmt_budget *budget;
        uint64_t wanted, taken;
        atomic_bool is_served;
        pthread_t thread;
};

static void *take(void *context)
{
        struct waiter *waiter = context;
        waiter->taken = fmt_budget_take(waiter->budget, waiter->wanted);
        atomic_store(&waiter->is_served, true);
        return NULL;
}

/* What is free stops being had once somebody stands in the line. */
static void start_waiting(struct waiter *waiter, struct fmt_budget *budget, uint64_t wanted)
{
        *waiter = (struct waiter){.budget = budget, .wanted = wanted};
        REQUIRE(pthread_create(&waiter->thread, NULL, take, waiter) == 0);
        while (fmt_budget_try(budget, 1) == 1) {
                fmt_budget_return(budget, 1);
                usleep(1000);
        }
}

static void test_order(void)
{
        struct fmt_budget budget;
        struct waiter large;
        fmt_budget_init(&budget, SIZE);
        CHECK(fmt_budget_try(&budget, 40) == 40 && fmt_budget_try(&budget, 40) == 40);
        CHECK(fmt_budget_try(&budget, 21) == 0);
        start_waiting(&large, &budget, 90);
        /* 20 are free, but the large one came first. */
        CHECK(fmt_budget_try(&budget, 10) == 0);
        fmt_budget_return(&budget, 40);
        CHECK(fmt_budget_try(&budget, 10) == 0 && !atomic_load(&large.is_served));
        fmt_budget_return(&budget, 40);
        pthread_join(large.thread, NULL);
        CHECK(large.taken == 90);
        CHECK(fmt_budget_try(&budget, 10) == 10 && fmt_budget_try(&budget, 1) == 0);
        fmt_budget_return(&budget, SIZE);
        CHECK(fmt_budget_take(&budget, 2 * SIZE) == SIZE);
        fmt_budget_return(&budget, SIZE);
        fmt_budget_done(&budget);
}

static void test_calling_off(void)
{
        struct fmt_budget budget;
        struct waiter waiter;
        fmt_budget_init(&budget, SIZE);
        CHECK(fmt_budget_try(&budget, 50) == 50);
        start_waiting(&waiter, &budget, 60);
        fmt_budget_call_off(&budget);
        pthread_join(waiter.thread, NULL);
        CHECK(waiter.taken == 0 && budget.left == 50);
        CHECK(fmt_budget_take(&budget, 60) == 0);
        fmt_budget_done(&budget);
}

int main(void)
{
        test_a_crowd();
        test_order();
        test_calling_off();
        return unit_report();
}
