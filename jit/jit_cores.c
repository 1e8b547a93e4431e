/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_cores.h"

#include "fmt_cleanup.h"

#include <hwloc.h>
#include <stdbool.h>
#include <string.h>

struct jit_cores {
        hwloc_topology_t topology;
        hwloc_bitmap_t units;
        char *text;
};

static void free_bitmap(hwloc_bitmap_t *bitmap)
{
        hwloc_bitmap_free(*bitmap);
}
#define _cleanup_bitmap_ _cleanup_(free_bitmap)

void jit_cores_free(struct jit_cores *cores)
{
        if (!cores)
                return;
        hwloc_bitmap_free(cores->units);
        hwloc_topology_destroy(cores->topology);
        free(cores->text);
        free(cores);
}

static void free_cores(struct jit_cores **cores)
{
        jit_cores_free(*cores);
}

/* What cpusets and our own affinity leave. */
static hwloc_bitmap_t find_allowed(hwloc_topology_t topology)
{
        hwloc_bitmap_t allowed = hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(topology));
        _cleanup_bitmap_ hwloc_bitmap_t bound = hwloc_bitmap_alloc();
        if (allowed && bound && hwloc_get_cpubind(topology, bound, HWLOC_CPUBIND_PROCESS) == 0)
                hwloc_bitmap_and(allowed, allowed, bound);
        return allowed;
}

/* hwloc takes more than that: numbers of any size, "5-" for all from 5 on, other bases. */
static bool is_list(const char *text)
{
        size_t digits = 0;
        bool is_range = false;
        for (const char *c = text; *c; c++) {
                if (*c >= '0' && *c <= '9') {
                        if (++digits > 6)
                                return false;
                        continue;
                }
                if ((*c != ',' && *c != '-') || digits == 0 || (*c == '-' && is_range))
                        return false;
                is_range = *c == '-';
                digits = 0;
        }
        return digits > 0;
}

static int refuse(char **ret_reason, const char *format, hwloc_const_bitmap_t units)
{
        _cleanup_free_ char *list = NULL;
        if (hwloc_bitmap_list_asprintf(&list, units) < 0 || asprintf(ret_reason, format, list) < 0)
                *ret_reason = NULL;
        return -EINVAL;
}

/* Of ALLOWED, those that TEXT means. */
static int choose(
        const char *text, hwloc_const_bitmap_t allowed, hwloc_bitmap_t ret, char **ret_reason)
{
        const bool is_inverse = strncmp(text, "not:", 4) == 0;
        const char *list = is_inverse ? text + 4 : text;
        if (!is_list(list) || hwloc_bitmap_list_sscanf(ret, list) < 0)
                return refuse(ret_reason,
                        "no list of cores; this process may run on %s, of which 0-3,8 or not:0-3,8 "
                        "would be a choice",
                        allowed);
        if (is_inverse)
                hwloc_bitmap_andnot(ret, allowed, ret);
        if (hwloc_bitmap_iszero(ret))
                return refuse(ret_reason,
                        "that leaves no core of those that this process may run on (%s)", allowed);
        _cleanup_bitmap_ hwloc_bitmap_t unknown = hwloc_bitmap_alloc();
        if (!unknown)
                return -ENOMEM;
        hwloc_bitmap_andnot(unknown, ret, allowed);
        return hwloc_bitmap_iszero(unknown)
                       ? 0
                       : refuse(ret_reason, "this process may not run on %s", unknown);
}

int jit_cores_parse(const char *text, struct jit_cores **ret, char **ret_reason)
{
        _cleanup_(free_cores) struct jit_cores *cores = calloc(1, sizeof *cores);
        *ret_reason = NULL;
        if (!cores || hwloc_topology_init(&cores->topology) < 0) {
                free(steal_pointer(&cores));
                return -ENOMEM;
        }
        if (hwloc_topology_load(cores->topology) < 0)
                return -EIO;
        _cleanup_bitmap_ hwloc_bitmap_t allowed = find_allowed(cores->topology);
        cores->units = hwloc_bitmap_alloc();
        if (!allowed || !cores->units)
                return -ENOMEM;
        int r = choose(text, allowed, cores->units, ret_reason);
        if (r == 0 && hwloc_bitmap_list_asprintf(&cores->text, cores->units) < 0)
                r = -ENOMEM;
        if (r == 0)
                *ret = steal_pointer(&cores);
        return r;
}

unsigned jit_cores_count(const struct jit_cores *cores)
{
        int n = hwloc_bitmap_weight(cores->units);
        return n > 0 ? (unsigned)n : 1;
}

const char *jit_cores_text(const struct jit_cores *cores)
{
        return cores->text;
}

uint64_t jit_cores_memory(const struct jit_cores *cores)
{
        hwloc_obj_t node = NULL;
        uint64_t sum = 0;
        while ((node = hwloc_get_next_obj_by_type(cores->topology, HWLOC_OBJ_NUMANODE, node)))
                if (hwloc_bitmap_intersects(node->cpuset, cores->units))
                        sum += node->attr->numanode.local_memory;
        return sum > 0 ? sum : UINT64_MAX;
}

int jit_cores_bind(const struct jit_cores *cores)
{
        if (hwloc_set_cpubind(cores->topology, cores->units, HWLOC_CPUBIND_THREAD) < 0)
                return -errno;
        /* A kernel without NUMA has nothing to say here. Not strict: elsewhere is better than
         * killed.
         */
        (void)hwloc_set_membind(
                cores->topology, cores->units, HWLOC_MEMBIND_BIND, HWLOC_MEMBIND_THREAD);
        return 0;
}
