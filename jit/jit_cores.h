/* SPDX-License-Identifier: Apache-2.0 */
/* How many cores this process may keep busy. */
#ifndef JIT_CORES_H
#define JIT_CORES_H

/* The processing units that both the system (cpusets, offline units) and our own affinity
 * allow, and no more than the CPU bandwidth that our cgroup and its ancestors grant (cpu.max,
 * rounded up). At least 1. */
unsigned jit_cores_allowed(void);

#endif
