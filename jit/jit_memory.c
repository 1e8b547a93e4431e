/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_memory.h"

#include "fmt_cleanup.h"

/* Peaks of anonymous and shared memory of a worker and all that it starts, LLVM 19.1.7, x86-64, in
 * MiB; inputs of so many MiB, the largest module:
 *
 *                    inputs  largest   1 thread    2    4    8   full LTO
 *     lua5.4           0.8     0.11          29   39   48   68      125
 *     zstd             1.8     0.25          38   55   82  125      239
 *     speedtest1       2.4     2.1          119  138  138  139      304
 *     LAMMPS          30                          172
 *
 * A thread holds the module that it works on, in about 45 times its size, and what was imported
 * into it; full LTO holds all of them, in 70 to 100 times their size, and then has one thread for
 * each part. What malloc takes at a time (jit_worker_run.c) comes to 2 MiB a thread more. The numbers
 * here are a third above that, since too little means to begin again. */
#define MIB (UINT64_C(1) << 20)
#define OF_LINKER (32 * MIB)
#define OF_THREAD (8 * MIB)
#define TIMES_MODULE 64
#define TIMES_INPUTS 4
#define TIMES_FULL_LTO 128

/* Records say what they like; nobody has so much. */
#define MOST (UINT64_C(1) << 48)

static int compare_sizes(const void *a, const void *b)
{
        const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
        return (x < y) - (x > y);
}

static uint64_t add(uint64_t sum, uint64_t times, uint64_t bytes)
{
        return bytes > MOST / times || times * bytes > MOST - sum ? MOST : sum + times * bytes;
}

/* The N largest modules together. */
static uint64_t sum_largest(const struct fmt_variant *variant, size_t n)
{
        _cleanup_free_ uint64_t *sizes = calloc(variant->n_inputs + 1, sizeof *sizes);
        uint64_t sum = 0;
        if (!sizes)
                return MOST;
        for (size_t i = 0; i < variant->n_inputs; i++)
                if (variant->inputs[i].kind == FMT_INPUT_MODULE)
                        sizes[i] = variant->inputs[i].size;
        qsort(sizes, variant->n_inputs, sizeof *sizes, compare_sizes);
        for (size_t i = 0; i < n && i < variant->n_inputs; i++)
                sum = add(sum, 1, sizes[i]);
        return sum;
}

uint64_t jit_memory_estimate(const struct fmt_variant *variant, const struct jit_policy *policy,
        uint64_t size, unsigned threads)
{
        const bool is_full = policy->lto == JIT_LTO_FULL;
        uint64_t sum = add(OF_LINKER, is_full ? JIT_FULL_LTO_PARTS : threads, OF_THREAD);
        for (size_t i = 0; i < variant->n_inputs; i++)
                sum = add(sum, TIMES_INPUTS, variant->inputs[i].size);
        sum = add(sum, is_full ? TIMES_FULL_LTO : TIMES_MODULE,
                sum_largest(variant, is_full ? variant->n_inputs : threads));
        return add(sum, 1, size);
}
