/* SPDX-License-Identifier: Apache-2.0 */
/* Going to the background without hiding an error: the command that was typed ends when the mount
 * serves, or with the status and the messages of what kept it from doing so. */
#ifndef FS_DAEMON_H
#define FS_DAEMON_H

#include <stdbool.h>

struct fs_daemon {
        int parent;   /* the waiting parent's pipe; -1 in the foreground */
        int ready_fd; /* somebody else's; or -1 */
};

/* Forks, unless FOREGROUND; everything that comes later happens in the child, so it has the
 * process id that stays. The parent never returns from this. READY_FD, if not -1, is nobody else's
 * from here on. The child closes what its shell had open beside 0 to 2 (a lock, a pipe that somebody
 * reads to its end), except READY_FD and those that ARGV names as /dev/fd/N or /proc/self/fd/N.
 * Call before anything else exists. */
int fs_daemon_begin(bool foreground, int ready_fd, char *const *argv, struct fs_daemon *ret);

/* Tells the parent that all is well and lets go of terminal, session and working directory. Writes
 * "ready\n" to READY_FD and closes it: a pipe that ends without that line says that the mount
 * failed. */
void fs_daemon_ready(struct fs_daemon *daemon);

#endif
