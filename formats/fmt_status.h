/* SPDX-License-Identifier: Apache-2.0 */
/* What a mount tells about itself: how it is asked, and how the answer is shown.
 *
 * The question is an ioctl on any folder of the mount, so it reaches the daemon through bind
 * mounts and containers without a socket, and whoever may open a folder of the mount may ask. The
 * answer is one JSON object in UTF-8 (man/xaasfs.1 has its members). Members may be added; a
 * reader ignores those it does not know. */
#ifndef FMT_STATUS_H
#define FMT_STATUS_H

#include <jansson.h>
#include <linux/ioctl.h>
#include <stdbool.h>

/* All that the size field of an ioctl's number can say; the kernel copies no more. */
#define FMT_STATUS_MOST 16383

/* Returns the number of bytes written: not terminated, at most FMT_STATUS_MOST. */
#define FMT_STATUS_IOCTL _IOR('x', 1, char[FMT_STATUS_MOST])

/* Asks the mount that PATH is in; the caller decrefs *ret. Says what is wrong. */
int fmt_status_read(const char *path, json_t **ret);

/* Asks and prints: as JSON, or as text for people. An exit status. */
int fmt_status_show(const char *path, bool as_json);

#endif
