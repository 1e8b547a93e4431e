/* SPDX-License-Identifier: Apache-2.0 */
/* What a mount was asked and how long the answers took.
 *
 * Each request is counted when it arrives, so whoever has its answer finds it counted, and timed
 * when its answer is on the way. Threads count in slots of their own: nothing on the way of a
 * request takes a lock or memory, or writes where another core writes all the time. */
#ifndef FS_STATISTICS_H
#define FS_STATISTICS_H

#include "fs_histogram.h"

#include <stdint.h>

enum fs_request {
        FS_LOOKUP,
        FS_FORGET,
        FS_GETATTR,
        FS_READLINK,
        FS_OPEN,
        FS_READ,
        FS_RELEASE,
        FS_LSEEK,
        FS_OPENDIR,
        FS_READDIR,
        FS_READDIRPLUS,
        FS_STATFS,
        FS_GETXATTR,
        FS_LISTXATTR,
        FS_IOCTL,
        FS_N_REQUESTS
};

/* "lookup", … */
const char *fs_request_name(enum fs_request kind);

struct fs_statistics;

int fs_statistics_new(struct fs_statistics **ret);
void fs_statistics_free(struct fs_statistics *statistics);

/* Around serving one request, on the thread that got it. */
void fs_statistics_begin(struct fs_statistics *statistics, enum fs_request kind);
void fs_statistics_end(struct fs_statistics *statistics, enum fs_request kind);

/* The request that this thread serves will be answered later, maybe by another thread, which then
 * calls fs_statistics_late with what this returns: when the request arrived (fs_watch_now). */
uint64_t fs_statistics_defer(void);
void fs_statistics_late(struct fs_statistics *statistics, enum fs_request kind, uint64_t arrived);

enum fs_amount {
        FS_BYTES_REPLIED, /* file contents in answers to reads */
        FS_PLAIN_OPENS,   /* opens of plain files less their releases */
        FS_OPENS_KILLED,  /* opens that ended with their process instead of with a file */
        FS_N_AMOUNTS
};
/* Before the answer goes out. CHANGE may be negative. */
void fs_statistics_add(struct fs_statistics *statistics, enum fs_amount amount, int64_t change);

/* One kind's sums. COUNT includes those that are being served; LATENCIES, nanoseconds, do not. */
struct fs_request_sums {
        uint64_t count;
        struct fs_histogram_sum latencies;
};
void fs_statistics_sum(
        const struct fs_statistics *statistics, enum fs_request kind, struct fs_request_sums *ret);
uint64_t fs_statistics_amount(const struct fs_statistics *statistics, enum fs_amount amount);
/* Since fs_statistics_new, nanoseconds. */
uint64_t fs_statistics_uptime(const struct fs_statistics *statistics);

#endif
