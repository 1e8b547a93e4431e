/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory a compile takes: its part of what all workers together may use, which it takes
 * before its worker starts and which then is that worker's limit. */
#ifndef JIT_MEMORY_H
#define JIT_MEMORY_H

#include "fmt_record.h"
#include "jit_policy.h"

/* Bytes that compiling VARIANT into SIZE bytes with THREADS threads is thought to take. */
uint64_t jit_memory_estimate(const struct fmt_variant *variant, const struct jit_policy *policy,
        uint64_t size, unsigned threads);

/* Less than this is refused by who reads options: no program could be compiled with it. */
#define JIT_MEMORY_LEAST (UINT64_C(64) << 20)

#endif
