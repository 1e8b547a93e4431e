/* SPDX-License-Identifier: Apache-2.0 */
/* One thread that looks after what waits: patience that ends, and waiters that are being killed.
 *
 * The kernel reports one signal per request and no more, so whoever was interrupted harmlessly
 * once is looked at again and again. The thread sleeps while nobody waits. */
#ifndef FS_WATCH_H
#define FS_WATCH_H

#include <stdint.h>

#define FS_WATCH_NEVER UINT64_MAX

struct fs_watch;

/* SWEEP looks after everything and says when it wants to be called again: nanoseconds of
 * fs_watch_now, or FS_WATCH_NEVER. Starts the thread. */
int fs_watch_start(
        uint64_t (*sweep)(void *context, uint64_t now), void *context, struct fs_watch **ret);
void fs_watch_stop(struct fs_watch *watch);

/* Asks for a sweep soon. From any thread, with any lock held that a sweep does not hold while it
 * calls into here. */
void fs_watch_poke(struct fs_watch *watch);

/* CLOCK_MONOTONIC. */
uint64_t fs_watch_now(void);

#endif
