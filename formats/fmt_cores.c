/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cores.h"

#include "fmt_cleanup.h"

#include <limits.h>
#include <sched.h>
#include <string.h>

#define CGROUP_ROOT "/sys/fs/cgroup"

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

/* The cores that one cgroup grants, or UINT_MAX where it sets no limit. */
static unsigned read_quota(const char *folder)
{
        char path[2 * PATH_MAX + 16];
        unsigned long quota, period;
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        if (!file || fscanf(file, "%lu %lu", &quota, &period) != 2 || period == 0)
                return UINT_MAX;
        unsigned long cores = (quota + period - 1) / period;
        return cores > 0 ? (unsigned)cores : 1;
}

/* The least that our cgroup or one above it grants. */
static unsigned count_quota(void)
{
        char line[PATH_MAX], folder[2 * PATH_MAX];
        unsigned least = UINT_MAX;
        _cleanup_fclose_ FILE *file = fopen("/proc/self/cgroup", "re");
        while (file && fgets(line, sizeof line, file)) {
                line[strcspn(line, "\n")] = '\0';
                if (strncmp(line, "0::/", 4) != 0)
                        continue;
                snprintf(folder, sizeof folder, CGROUP_ROOT "%s", line + 3);
                while (strlen(folder) > strlen(CGROUP_ROOT)) {
                        unsigned quota = read_quota(folder);
                        least = quota < least ? quota : least;
                        *strrchr(folder, '/') = '\0';
                }
        }
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
