/* SPDX-License-Identifier: Apache-2.0 */
/* The cores that compiles are kept on, and the memory near them, so that a job has the others to
 * itself. */
#ifndef JIT_CORES_H
#define JIT_CORES_H

#include <stdint.h>

struct jit_cores;

/* TEXT lists numbers of processing units as taskset(1) does, "0-3,8", or after "not:" those of
 * which all others are meant. -EINVAL and a sentence (the caller frees it): no list, units that
 * this process may not run on, or none left. */
int jit_cores_parse(const char *text, struct jit_cores **ret, char **ret_reason);
void jit_cores_free(struct jit_cores *cores);

unsigned jit_cores_count(const struct jit_cores *cores);
/* Of the NUMA nodes that they belong to: bytes, or UINT64_MAX if that cannot be told. */
uint64_t jit_cores_memory(const struct jit_cores *cores);
/* As a list: "0-3,8". */
const char *jit_cores_text(const struct jit_cores *cores);

/* Keeps the calling thread, and all that it starts from here on, on CORES, and lets it take memory
 * of their nodes as long as those have some. Thread-safe. A negative errno if the cores have gone.
 */
int jit_cores_bind(const struct jit_cores *cores);

#endif
