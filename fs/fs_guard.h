/* SPDX-License-Identifier: Apache-2.0 */
/* -o auto_unmount: a small process that waits for this one to be gone and takes the mount away if
 * it was killed and could not do so itself.
 *
 * libfuse's own way needs fusermount3 even for root; this works wherever mounting did. */
#ifndef FS_GUARD_H
#define FS_GUARD_H

#include <sys/types.h>

struct fs_guard;

/* Call while single-threaded: it forks. */
int fs_guard_start(struct fs_guard **ret);

/* Tells it what to take away: the mount at MOUNTPOINT (absolute) if its device number is still
 * DEVICE then and nobody answers for it. */
int fs_guard_watch(struct fs_guard *guard, const char *mountpoint, dev_t device);

/* Ends it: the mount is gone or never was. */
void fs_guard_dismiss(struct fs_guard *guard);

#endif
