/* SPDX-License-Identifier: Apache-2.0 */
/* An open that waits for a compile: a parked request, and who sent it.
 *
 * A waiter is on its program's list from being parked to being answered, and whoever takes it off
 * the list (with the program's lock) answers it (without). */
#ifndef FS_WAITER_H
#define FS_WAITER_H

#include "fs.h"

#include <stdbool.h>
#include <sys/queue.h>

struct fs_program;

struct fs_waiter {
        TAILQ_ENTRY(fs_waiter) in_list;
        struct fs_program *program;
        fuse_req_t req;
        struct fuse_file_info fi;
        uint64_t arrived; /* fs_watch_now */
        bool parked;      /* on the program's list */
        bool interrupted; /* some signal came; the kernel will not tell of another */
        bool is_told;     /* that it waits (fs_notice.h), on its TERMINAL or for want of one */
        dev_t terminal;
};
TAILQ_HEAD(fs_waiter_list, fs_waiter);

/* Whether the process that waits is being killed. Every other signal is its own business: EINTR
 * from open breaks programs that merely use timers. False if this process cannot see it. */
bool fs_waiter_is_killed(const struct fs_waiter *waiter);

#endif
