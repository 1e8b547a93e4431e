/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

struct fs_watch {
        pthread_t thread;
        pthread_mutex_t lock;
        pthread_cond_t changed;
        bool poked;
        bool stop;
        uint64_t (*sweep)(void *context, uint64_t now);
        void *context;
};

uint64_t fs_watch_now(void)
{
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* With the lock held, until NEXT or a poke. */
static void wait_until(struct fs_watch *watch, uint64_t next)
{
        const struct timespec until = {
                .tv_sec = (time_t)(next / NS_PER_S), .tv_nsec = (long)(next % NS_PER_S)};
        while (!watch->poked && !watch->stop) {
                if (next == FS_WATCH_NEVER)
                        pthread_cond_wait(&watch->changed, &watch->lock);
                else if (pthread_cond_timedwait(&watch->changed, &watch->lock, &until) == ETIMEDOUT)
                        return;
        }
}

static void *run(void *context)
{
        struct fs_watch *watch = context;
        uint64_t next = FS_WATCH_NEVER;
        pthread_mutex_lock(&watch->lock);
        for (;;) {
                wait_until(watch, next);
                if (watch->stop)
                        break;
                watch->poked = false;
                pthread_mutex_unlock(&watch->lock);
                next = watch->sweep(watch->context, fs_watch_now());
                pthread_mutex_lock(&watch->lock);
        }
        pthread_mutex_unlock(&watch->lock);
        return NULL;
}

int fs_watch_start(
        uint64_t (*sweep)(void *context, uint64_t now), void *context, struct fs_watch **ret)
{
        pthread_condattr_t monotonic;
        struct fs_watch *watch = calloc(1, sizeof *watch);
        if (watch == NULL)
                return -ENOMEM;
        watch->sweep = sweep;
        watch->context = context;
        pthread_mutex_init(&watch->lock, NULL);
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_cond_init(&watch->changed, &monotonic);
        pthread_condattr_destroy(&monotonic);
        int error = pthread_create(&watch->thread, NULL, run, watch);
        if (error != 0) {
                free(watch);
                return -error;
        }
        *ret = watch;
        return 0;
}

void fs_watch_stop(struct fs_watch *watch)
{
        if (watch == NULL)
                return;
        pthread_mutex_lock(&watch->lock);
        watch->stop = true;
        pthread_cond_signal(&watch->changed);
        pthread_mutex_unlock(&watch->lock);
        pthread_join(watch->thread, NULL);
        pthread_cond_destroy(&watch->changed);
        pthread_mutex_destroy(&watch->lock);
        free(watch);
}

void fs_watch_poke(struct fs_watch *watch)
{
        pthread_mutex_lock(&watch->lock);
        watch->poked = true;
        pthread_cond_signal(&watch->changed);
        pthread_mutex_unlock(&watch->lock);
}
