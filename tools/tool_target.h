/* SPDX-License-Identifier: Apache-2.0 */
/* Targets as people know them. */
#ifndef TOOL_TARGET_H
#define TOOL_TARGET_H

/* In a target's description (jit_target_describe, or NULL) the CPU that it is tuned for: *RET_SIZE
 * bytes, not terminated; "?" where there is none. */
const char *tool_target_cpu(const char *description, int *ret_size);

#endif
