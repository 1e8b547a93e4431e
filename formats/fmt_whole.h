/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing all of something, where the kernel may do a part of it only, or be
 * interrupted. */
#ifndef FMT_WHOLE_H
#define FMT_WHOLE_H

#include <stddef.h>
#include <stdint.h>

/* SIZE bytes of FD from OFFSET on. -EIO: it ends before. */
int fmt_read_whole(int fd, void *buffer, size_t size, uint64_t offset);

/* SIZE bytes to where FD stands. */
int fmt_write_whole(int fd, const void *data, size_t size);

#endif
