/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_statistics.h"

#include "fs_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Threads that serve share a slot with few others; more slots would be more to add up. */
#define N_SLOTS 16
#define CACHE_LINE 64

struct counters {
        _Atomic uint64_t count;
        struct fs_histogram latencies;
};

struct slot {
        _Alignas(CACHE_LINE) struct counters requests[FS_N_REQUESTS];
        _Atomic uint64_t amounts[FS_N_AMOUNTS]; /* modulo 2^64: what one adds another may take */
};

struct fs_statistics {
        uint64_t began;
        struct slot slots[N_SLOTS];
};

static const char *const names[FS_N_REQUESTS] = {
        [FS_LOOKUP] = "lookup",
        [FS_FORGET] = "forget",
        [FS_GETATTR] = "getattr",
        [FS_READLINK] = "readlink",
        [FS_OPEN] = "open",
        [FS_READ] = "read",
        [FS_RELEASE] = "release",
        [FS_LSEEK] = "lseek",
        [FS_OPENDIR] = "opendir",
        [FS_READDIR] = "readdir",
        [FS_READDIRPLUS] = "readdirplus",
        [FS_STATFS] = "statfs",
        [FS_GETXATTR] = "getxattr",
        [FS_LISTXATTR] = "listxattr",
        [FS_IOCTL] = "ioctl",
};

const char *fs_request_name(enum fs_request kind)
{
        return names[kind];
}

/* Pages of kinds that are never asked for, or of slots that no thread has, are never touched. */
int fs_statistics_new(struct fs_statistics **ret)
{
        struct fs_statistics *statistics = mmap(NULL, sizeof *statistics, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (statistics == MAP_FAILED)
                return -errno;
        statistics->began = fs_watch_now();
        *ret = statistics;
        return 0;
}

void fs_statistics_free(struct fs_statistics *statistics)
{
        if (statistics != NULL)
                munmap(statistics, sizeof *statistics);
}

static struct slot *my_slot(struct fs_statistics *statistics)
{
        static atomic_uint threads;
        static _Thread_local unsigned mine = N_SLOTS;
        if (mine == N_SLOTS)
                mine = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % N_SLOTS;
        return &statistics->slots[mine];
}

/* When the request arrived that this thread serves; 0: none, or answered later. */
static _Thread_local uint64_t serving_since;

void fs_statistics_begin(struct fs_statistics *statistics, enum fs_request kind)
{
        atomic_fetch_add_explicit(
                &my_slot(statistics)->requests[kind].count, 1, memory_order_relaxed);
        serving_since = fs_watch_now();
}

void fs_statistics_end(struct fs_statistics *statistics, enum fs_request kind)
{
        if (serving_since != 0)
                fs_statistics_late(statistics, kind, serving_since);
}

uint64_t fs_statistics_defer(void)
{
        const uint64_t arrived = serving_since;
        serving_since = 0;
        return arrived;
}

void fs_statistics_late(struct fs_statistics *statistics, enum fs_request kind, uint64_t arrived)
{
        fs_histogram_add(&my_slot(statistics)->requests[kind].latencies, fs_watch_now() - arrived);
}

void fs_statistics_add(struct fs_statistics *statistics, enum fs_amount amount, int64_t change)
{
        atomic_fetch_add_explicit(
                &my_slot(statistics)->amounts[amount], (uint64_t)change, memory_order_relaxed);
}

void fs_statistics_sum(
        const struct fs_statistics *statistics, enum fs_request kind, struct fs_request_sums *ret)
{
        memset(ret, 0, sizeof *ret);
        for (size_t i = 0; i < N_SLOTS; i++) {
                const struct counters *counters = &statistics->slots[i].requests[kind];
                const uint64_t count = atomic_load_explicit(&counters->count, memory_order_relaxed);
                ret->count += count;
                /* Most are empty; but a thread may have answered what another one counted. */
                if (count > 0 ||
                        atomic_load_explicit(&counters->latencies.sum, memory_order_relaxed) > 0)
                        fs_histogram_merge(&counters->latencies, &ret->latencies);
        }
}

uint64_t fs_statistics_amount(const struct fs_statistics *statistics, enum fs_amount amount)
{
        uint64_t sum = 0;
        for (size_t i = 0; i < N_SLOTS; i++)
                sum += atomic_load_explicit(
                        &statistics->slots[i].amounts[amount], memory_order_relaxed);
        return sum;
}

uint64_t fs_statistics_uptime(const struct fs_statistics *statistics)
{
        return fs_watch_now() - statistics->began;
}
