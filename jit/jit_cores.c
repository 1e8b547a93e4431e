/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_cores.h"

#include "fmt_cleanup.h"

#include <hwloc.h>
#include <limits.h>
#include <string.h>

#define CGROUP_ROOT "/sys/fs/cgroup"

/* Processing units, by hwloc; 0 if it cannot tell. */
static unsigned count_units(void)
{
        hwloc_topology_t topology;
        unsigned n = 0;
        if (hwloc_topology_init(&topology) < 0)
                return 0;
        /* Caches, packages and devices cost milliseconds to find and are not asked for. */
        hwloc_topology_set_all_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_NONE);
        hwloc_bitmap_t bound = hwloc_bitmap_alloc();
        if (bound && hwloc_topology_load(topology) == 0) {
                hwloc_const_bitmap_t allowed = hwloc_topology_get_allowed_cpuset(topology);
                if (hwloc_get_cpubind(topology, bound, HWLOC_CPUBIND_PROCESS) == 0)
                        hwloc_bitmap_and(bound, bound, allowed);
                else
                        hwloc_bitmap_copy(bound, allowed);
                int weight = hwloc_bitmap_weight(bound);
                n = weight > 0 ? (unsigned)weight : 0;
        }
        hwloc_bitmap_free(bound);
        hwloc_topology_destroy(topology);
        return n;
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

unsigned jit_cores_allowed(void)
{
        unsigned units = count_units(), quota = count_quota();
        unsigned n = units < quota ? units : quota;
        return n > 0 && n != UINT_MAX ? n : 1;
}
