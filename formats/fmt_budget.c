/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_budget.h"

void fmt_budget_init(struct fmt_budget *budget, uint64_t size)
{
        *budget = (struct fmt_budget){.size = size, .left = size};
        pthread_mutex_init(&budget->lock, NULL);
        pthread_cond_init(&budget->returned, NULL);
}

void fmt_budget_done(struct fmt_budget *budget)
{
        pthread_cond_destroy(&budget->returned);
        pthread_mutex_destroy(&budget->lock);
}

uint64_t fmt_budget_take(struct fmt_budget *budget, uint64_t bytes)
{
        if (bytes > budget->size)
                bytes = budget->size;
        pthread_mutex_lock(&budget->lock);
        while (budget->left < bytes) {
                budget->waiting++;
                pthread_cond_wait(&budget->returned, &budget->lock);
                budget->waiting--;
        }
        budget->left -= bytes;
        pthread_mutex_unlock(&budget->lock);
        return bytes;
}

void fmt_budget_return(struct fmt_budget *budget, uint64_t bytes)
{
        pthread_mutex_lock(&budget->lock);
        budget->left += bytes;
        if (budget->waiting > 0)
                pthread_cond_broadcast(&budget->returned);
        pthread_mutex_unlock(&budget->lock);
}
