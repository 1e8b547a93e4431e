/* SPDX-License-Identifier: Apache-2.0 */
/* -o notify=tty: a line on the terminal of who has waited long enough to wonder. */
#ifndef FS_NOTICE_H
#define FS_NOTICE_H

#include "fs_program.h"

/* Tells each terminal once for as long as somebody there waits for PROGRAM. Part of a sweep: without
 * the program's lock; when it wants to be called again (fs_watch.h). */
uint64_t fs_notice_waiters(struct fs_program *program, uint64_t now);

#endif
