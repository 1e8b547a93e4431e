/* SPDX-License-Identifier: Apache-2.0 */
/* What an x86 machine says of itself, raw, so that recorded machines can be looked at like this
 * one; and the features that follow from it. */
#ifndef JIT_HOST_X86_H
#define JIT_HOST_X86_H

#include "jit_detection.h"

struct jit_cpuid {
        uint32_t leaf;
        uint32_t subleaf;
        uint32_t eax, ebx, ecx, edx;
};

#define JIT_CPUID_LEAVES 24

struct jit_x86_raw {
        struct jit_cpuid
                leaves[JIT_CPUID_LEAVES]; /* those that the machine has; the rest is zero */
        size_t n_leaves;
        uint64_t xcr0;      /* xgetbv(0); 0 where the system has not enabled it */
        char *kernel_flags; /* "flags" of /proc/cpuinfo, or NULL: it denies nothing */
};

/* This machine. kernel_flags is the caller's to free. -ENOTSUP on another architecture. */
int jit_x86_read(struct jit_x86_raw *ret);

/* Features that cpuid shows, the system saves the registers of and the kernel's list does not
 * deny. */
void jit_x86_detect(const struct jit_x86_raw *raw, struct jit_detection *ret);

/* What the processor calls itself, or NULL. The caller frees. */
char *jit_x86_name(const struct jit_x86_raw *raw);

bool jit_x86_is_guest(const struct jit_x86_raw *raw);

/* Family and model number as cpuid shows them (a hypervisor may show any). */
void jit_x86_number(const struct jit_x86_raw *raw, unsigned *ret_family, unsigned *ret_model);

#endif
