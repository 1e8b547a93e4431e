/* SPDX-License-Identifier: Apache-2.0 */
/* Caches, memory and cores of this machine, by hwloc. */
#ifndef HOST_TOPOLOGY_H
#define HOST_TOPOLOGY_H

#include <stddef.h>
#include <stdint.h>

/* All caches of one level, kind and size. */
struct host_cache {
        unsigned level;
        const char *kind; /* "data", "instruction", "unified" */
        uint64_t bytes;   /* of each */
        unsigned line;    /* bytes; 0: not known */
        unsigned number;
        unsigned units; /* that share one */
};

struct host_node {
        unsigned number; /* as numactl counts */
        uint64_t bytes;
        char *units; /* "0-15", may be empty */
};

#define HOST_CACHES 16

struct host_topology {
        unsigned packages, cores, units; /* of the machine, online */
        char *allowed;                   /* units that this process may run on: "0-3,8" */
        struct host_cache caches[HOST_CACHES];
        size_t n_caches;
        struct host_node *nodes;
        size_t n_nodes;
};

/* -ENOMEM, or -EIO if hwloc cannot tell. */
int host_topology_read(struct host_topology *ret);
void host_topology_done(struct host_topology *topology);

#endif
