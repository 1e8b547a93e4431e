/* SPDX-License-Identifier: Apache-2.0 */
/* The terminals of other people's processes: found, and written to without ever waiting. */
#ifndef FS_TERMINAL_H
#define FS_TERMINAL_H

#include <sys/types.h>

/* The controlling terminal of process or thread PID, as a device number. 0: it has none, or is not
 * among the processes that we can see (in another PID namespace, a request's sender is number 0). */
dev_t fs_terminal_of(pid_t pid);

/* Writes TEXT to TERMINAL if it is a pseudo terminal that belongs to USER and a standard stream of
 * PID leads there: whoever sent all of them elsewhere does not want to be told. Gives up where it
 * would have to wait. */
void fs_terminal_write(pid_t pid, dev_t terminal, uid_t user, const char *text);

#endif
