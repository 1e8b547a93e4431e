/* SPDX-License-Identifier: Apache-2.0 */
/* How many cores this process may keep busy. */
#ifndef FMT_CORES_H
#define FMT_CORES_H

/* The processing units that both the system (cpusets, offline units) and our own affinity
 * allow, and no more than the CPU bandwidth that our cgroup and its ancestors grant (cpu.max, or
 * cpu.cfs_quota_us of version 1, rounded up). At least 1. */
unsigned fmt_cores_allowed(void);

struct fmt_cores {
        unsigned units;  /* that affinity, cpusets and offline units leave; 0: cannot be told */
        unsigned quota;  /* that cgroups grant; 0: no limit */
        unsigned usable; /* what fmt_cores_allowed returns */
};

void fmt_cores_describe(struct fmt_cores *ret);

#endif
