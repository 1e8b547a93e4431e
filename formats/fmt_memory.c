/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_memory.h"

#include "fmt_cgroup.h"
#include "fmt_cleanup.h"

#include <inttypes.h>
#include <limits.h>

static void lower(const char *folder, const char *name, uint64_t *least)
{
        char path[2 * PATH_MAX + 64];
        uint64_t limit;
        snprintf(path, sizeof path, "%s/%s", folder, name);
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        /* "max" is no number; version 1 has one that no machine reaches. */
        if (file && fscanf(file, "%" SCNu64, &limit) == 1 && limit < *least)
                *least = limit;
}

static void visit(void *context, const char *folder)
{
        lower(folder, "memory.max", context);
        lower(folder, "memory.limit_in_bytes", context);
}

uint64_t fmt_memory_allowed(void)
{
        uint64_t least = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
        fmt_cgroup_visit("memory", visit, &least);
        return least;
}
