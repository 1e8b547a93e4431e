/* SPDX-License-Identifier: Apache-2.0 */
/* The folder in which one compile keeps its temporary files. */
#ifndef JIT_SCRATCH_H
#define JIT_SCRATCH_H

#include "cache_store.h"

struct jit_scratch;

/* In the cache, where gc finds what a crash leaves; below $TMPDIR or /tmp where the cache has less
 * than NEEDED bytes to spare. */
int jit_scratch_begin(struct cache *cache, uint64_t needed, struct jit_scratch **ret);
const char *jit_scratch_path(const struct jit_scratch *scratch);
/* Removes it with everything in it: call when the worker is gone. */
void jit_scratch_end(struct jit_scratch *scratch);

#endif
