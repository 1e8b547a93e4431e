/* SPDX-License-Identifier: Apache-2.0 */
#include "host_topology.h"

#include "fmt_cleanup.h"

#include <hwloc.h>
#include <string.h>

static const char *kind_of(hwloc_obj_cache_type_t type)
{
        return type == HWLOC_OBJ_CACHE_DATA          ? "data"
               : type == HWLOC_OBJ_CACHE_INSTRUCTION ? "instruction"
                                                     : "unified";
}

static void add_cache(hwloc_obj_t object, struct host_topology *topology)
{
        int weight = hwloc_bitmap_weight(object->cpuset);
        struct host_cache cache = {.level = object->attr->cache.depth,
                .kind = kind_of(object->attr->cache.type),
                .bytes = object->attr->cache.size,
                .line = object->attr->cache.linesize,
                .number = 1,
                .units = weight > 0 ? (unsigned)weight : 0};

        for (size_t i = 0; i < topology->n_caches; i++) {
                struct host_cache *other = &topology->caches[i];
                if (other->level == cache.level && other->kind == cache.kind &&
                        other->bytes == cache.bytes && other->units == cache.units) {
                        other->number++;
                        return;
                }
        }
        if (topology->n_caches < HOST_CACHES)
                topology->caches[topology->n_caches++] = cache;
}

static void find_caches(hwloc_topology_t hwloc, struct host_topology *topology)
{
        static const hwloc_obj_type_t types[] = {HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L1ICACHE,
                HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L2ICACHE, HWLOC_OBJ_L3CACHE, HWLOC_OBJ_L4CACHE,
                HWLOC_OBJ_L5CACHE};

        for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
                hwloc_obj_t object = NULL;
                while ((object = hwloc_get_next_obj_by_type(hwloc, types[i], object)))
                        add_cache(object, topology);
        }
}

static int find_nodes(hwloc_topology_t hwloc, struct host_topology *topology)
{
        int n = hwloc_get_nbobjs_by_type(hwloc, HWLOC_OBJ_NUMANODE);
        hwloc_obj_t object = NULL;

        topology->nodes = calloc(n > 0 ? (size_t)n : 1, sizeof(*topology->nodes));
        if (!topology->nodes)
                return -ENOMEM;
        while ((object = hwloc_get_next_obj_by_type(hwloc, HWLOC_OBJ_NUMANODE, object))) {
                struct host_node *node = &topology->nodes[topology->n_nodes++];
                node->number = object->os_index;
                node->bytes = object->attr->numanode.local_memory;
                if (hwloc_bitmap_list_asprintf(&node->units, object->cpuset) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int find_allowed(hwloc_topology_t hwloc, char **ret)
{
        hwloc_bitmap_t set = hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(hwloc));
        hwloc_bitmap_t bound = hwloc_bitmap_alloc();
        int r = set && bound ? 0 : -ENOMEM;

        if (r == 0 && hwloc_get_cpubind(hwloc, bound, HWLOC_CPUBIND_PROCESS) == 0)
                hwloc_bitmap_and(set, set, bound);
        if (r == 0 && hwloc_bitmap_list_asprintf(ret, set) < 0)
                r = -ENOMEM;
        hwloc_bitmap_free(bound);
        hwloc_bitmap_free(set);
        return r;
}

static unsigned count(hwloc_topology_t hwloc, hwloc_obj_type_t type)
{
        int n = hwloc_get_nbobjs_by_type(hwloc, type);

        return n > 0 ? (unsigned)n : 0;
}

static int look_at(hwloc_topology_t hwloc, struct host_topology *topology)
{
        /* Without this flag, what a cpuset keeps from us would not be there at all. */
        if (hwloc_topology_set_flags(hwloc, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) < 0 ||
                hwloc_topology_load(hwloc) < 0)
                return -EIO;
        topology->packages = count(hwloc, HWLOC_OBJ_PACKAGE);
        topology->cores = count(hwloc, HWLOC_OBJ_CORE);
        topology->units = count(hwloc, HWLOC_OBJ_PU);
        find_caches(hwloc, topology);
        int r = find_nodes(hwloc, topology);
        return r < 0 ? r : find_allowed(hwloc, &topology->allowed);
}

int host_topology_read(struct host_topology *ret)
{
        struct host_topology topology = {0};
        hwloc_topology_t hwloc;

        if (hwloc_topology_init(&hwloc) < 0)
                return -ENOMEM;
        int r = look_at(hwloc, &topology);
        hwloc_topology_destroy(hwloc);
        if (r < 0)
                host_topology_done(&topology);
        else
                *ret = topology;
        return r;
}

void host_topology_done(struct host_topology *topology)
{
        for (size_t i = 0; i < topology->n_nodes; i++)
                free(topology->nodes[i].units);
        free(topology->nodes);
        free(topology->allowed);
        memset(topology, 0, sizeof(*topology));
}
