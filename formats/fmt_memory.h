/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory there is for this process. */
#ifndef FMT_MEMORY_H
#define FMT_MEMORY_H

#include <stdint.h>

/* Bytes: what the machine has, and no more than our cgroup and those above it grant (memory.max, or
 * memory.limit_in_bytes of version 1). */
uint64_t fmt_memory_allowed(void);

#endif
