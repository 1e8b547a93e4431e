/* SPDX-License-Identifier: Apache-2.0 */
/* -o io_uring: requests and answers through rings that the kernel shares with this process (libfuse
 * 3.18, Linux 6.14, and a switch that only root may set). */
#ifndef FS_IO_URING_H
#define FS_IO_URING_H

#include "fs.h"

/* Whether the mount can be had with it. Says what it lacks. */
int fs_io_uring_check(const struct fs *fs);

#endif
