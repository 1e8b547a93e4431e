/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_budget.h"

void fmt_budget_init(struct fmt_budget *budget, uint64_t size)
{
        *budget = (struct fmt_budget){.size = size, .left = size};
        pthread_mutex_init(&budget->lock, NULL);
        pthread_cond_init(&budget->changed, NULL);
}

void fmt_budget_done(struct fmt_budget *budget)
{
        pthread_cond_destroy(&budget->changed);
        pthread_mutex_destroy(&budget->lock);
}

static uint64_t most_of(const struct fmt_budget *budget, uint64_t bytes)
{
        return bytes < budget->size ? bytes : budget->size;
}

/* With the lock held: BYTES, or 0. */
static uint64_t take_at_once(struct fmt_budget *budget, uint64_t bytes)
{
        if (budget->next != budget->serving || budget->left < bytes)
                return 0;
        budget->left -= bytes;
        return bytes;
}

/* With the lock held: BYTES, or 0. */
static uint64_t take_in_turn(struct fmt_budget *budget, uint64_t bytes)
{
        const uint64_t ticket = budget->next++;
        while (!budget->is_called_off && (budget->serving != ticket || budget->left < bytes))
                pthread_cond_wait(&budget->changed, &budget->lock);
        budget->serving++;
        pthread_cond_broadcast(&budget->changed);
        if (budget->is_called_off)
                return 0;
        budget->left -= bytes;
        return bytes;
}

uint64_t fmt_budget_try(struct fmt_budget *budget, uint64_t bytes)
{
        pthread_mutex_lock(&budget->lock);
        const uint64_t taken = take_at_once(budget, most_of(budget, bytes));
        pthread_mutex_unlock(&budget->lock);
        return taken;
}

uint64_t fmt_budget_take(struct fmt_budget *budget, uint64_t bytes)
{
        const uint64_t wanted = most_of(budget, bytes);
        pthread_mutex_lock(&budget->lock);
        uint64_t taken = take_at_once(budget, wanted);
        if (taken == 0)
                taken = take_in_turn(budget, wanted);
        pthread_mutex_unlock(&budget->lock);
        return taken;
}

void fmt_budget_return(struct fmt_budget *budget, uint64_t bytes)
{
        pthread_mutex_lock(&budget->lock);
        budget->left += bytes;
        if (budget->next != budget->serving)
                pthread_cond_broadcast(&budget->changed);
        pthread_mutex_unlock(&budget->lock);
}

void fmt_budget_call_off(struct fmt_budget *budget)
{
        pthread_mutex_lock(&budget->lock);
        budget->is_called_off = true;
        pthread_cond_broadcast(&budget->changed);
        pthread_mutex_unlock(&budget->lock);
}
