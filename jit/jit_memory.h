/* SPDX-License-Identifier: Apache-2.0 */
/* The memory of a pool of workers: who may have how much of it at the same time.
 *
 * A compile takes what it is thought to need before its worker starts, and that is the worker's
 * limit: all workers together never get more than there is. Those who must wait are served in the
 * order in which they came, so that many small ones never keep a large one waiting. */
#ifndef JIT_MEMORY_H
#define JIT_MEMORY_H

#include "fmt_record.h"
#include "jit_policy.h"

#include <stdbool.h>

struct jit_memory;

/* TOTAL: bytes. Thread-safe afterwards. */
int jit_memory_new(uint64_t total, struct jit_memory **ret);
void jit_memory_free(struct jit_memory *memory);
uint64_t jit_memory_total(const struct jit_memory *memory);

/* Takes BYTES, at most all there is. False: they are not free, or others have waited for longer. */
bool jit_memory_try(struct jit_memory *memory, uint64_t bytes);
/* Waits for them. -ECANCELED after jit_memory_cancel. */
int jit_memory_take(struct jit_memory *memory, uint64_t bytes);
void jit_memory_give(struct jit_memory *memory, uint64_t bytes);
/* Nobody gets any more who would have to wait. */
void jit_memory_cancel(struct jit_memory *memory);

/* Bytes that compiling VARIANT into SIZE bytes with THREADS threads is thought to take. */
uint64_t jit_memory_estimate(const struct fmt_variant *variant, const struct jit_policy *policy,
        uint64_t size, unsigned threads);

/* Less than this is refused by who reads options: no program could be compiled with it. */
#define JIT_MEMORY_LEAST (UINT64_C(64) << 20)

#endif
