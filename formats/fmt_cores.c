/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cores.h"

#include "fmt_cgroup.h"
#include "fmt_cleanup.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>

/* Processing units: what the kernel says of our affinity has cpusets and offline units taken out.
 * It refuses sets that are too small for it. 0 if it cannot tell. */
static unsigned count_units(void)
{
        for (int most = CPU_SETSIZE; most <= 1 << 20; most *= 2) {
                const size_t size = CPU_ALLOC_SIZE(most);
                _cleanup_free_ cpu_set_t *set = calloc(1, size);
                if (!set)
                        return 0;
                if (sched_getaffinity(0, size, set) == 0)
                        return (unsigned)CPU_COUNT_S(size, set);
        }
        return 0;
}

/* Two numbers out of FOLDER: of one file, or where SECOND is given of two. */
static bool read_pair(const char *folder, const char *first, const char *second, long *ret_quota,
        long *ret_period)
{
        char path[2 * PATH_MAX + 64];
        snprintf(path, sizeof path, "%s/%s", folder, first);
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        if (!second)
                return file && fscanf(file, "%ld %ld", ret_quota, ret_period) == 2;
        snprintf(path, sizeof path, "%s/%s", folder, second);
        _cleanup_fclose_ FILE *other = fopen(path, "re");
        return file && other && fscanf(file, "%ld", ret_quota) == 1 &&
               fscanf(other, "%ld", ret_period) == 1;
}

/* Without a limit, cpu.max says "max", and cpu.cfs_quota_us -1. */
static void lower(void *context, const char *folder)
{
        unsigned *least = context;
        long quota, period;
        if (!read_pair(folder, "cpu.max", NULL, &quota, &period) &&
                !read_pair(folder, "cpu.cfs_quota_us", "cpu.cfs_period_us", &quota, &period))
                return;
        if (quota <= 0 || period <= 0)
                return;
        const long cores = (quota + period - 1) / period;
        if (cores < (long)*least)
                *least = (unsigned)cores;
}

/* The least that our cgroup or one above it grants, or UINT_MAX where none sets a limit. */
static unsigned count_quota(void)
{
        unsigned least = UINT_MAX;
        fmt_cgroup_visit("cpu", lower, &least);
        return least;
}

void fmt_cores_describe(struct fmt_cores *ret)
{
        unsigned units = count_units(), quota = count_quota();
        unsigned n = units < quota ? units : quota;

        *ret = (struct fmt_cores){.units = units,
                .quota = quota == UINT_MAX ? 0 : quota,
                .usable = n > 0 && n != UINT_MAX ? n : 1};
}

unsigned fmt_cores_allowed(void)
{
        struct fmt_cores cores;

        fmt_cores_describe(&cores);
        return cores.usable;
}
