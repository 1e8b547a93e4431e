/* SPDX-License-Identifier: Apache-2.0 */
/* What an x86 machine says of itself, raw, so that recorded machines can be looked at like this
 * one; and the features that follow from it. */
#ifndef JIT_HOST_X86_H
#define JIT_HOST_X86_H

#include "jit_x86_models.h"

struct jit_cpuid {
        uint32_t leaf;
        uint32_t subleaf;
        uint32_t eax, ebx, ecx, edx;
};

#define JIT_CPUID_LEAVES 16

struct jit_x86_raw {
        struct jit_cpuid
                leaves[JIT_CPUID_LEAVES]; /* those that the machine has; the rest is zero */
        size_t n_leaves;
        uint64_t xcr0;            /* xgetbv(0); 0 where the system has not enabled it */
        const char *kernel_flags; /* "flags" of /proc/cpuinfo, or NULL: it denies nothing */
};

/* This machine. kernel_flags is the caller's to free. -ENOTSUP on another architecture. */
int jit_x86_read(struct jit_x86_raw *ret);

/* Features that cpuid shows, the system saves the registers of and the kernel's list does not
 * deny. */
void jit_x86_detect(const struct jit_x86_raw *raw, struct jit_x86_set *ret_features,
        enum jit_x86_vendor *ret_vendor);

#endif
