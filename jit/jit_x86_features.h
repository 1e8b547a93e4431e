/* SPDX-License-Identifier: Apache-2.0 */
/* The features of x86-64: where a machine shows them, and what a system must do for them. */
#ifndef JIT_X86_FEATURES_H
#define JIT_X86_FEATURES_H

#include "jit_features.h"

/* Where cpuid shows a feature (leaf, subleaf and register), from Intel's SDM volume 2A and AMD's
 * APM volume 3. */
enum jit_x86_register {
        LEAF_1_ECX,
        LEAF_1_EDX,
        LEAF_7_EBX,
        LEAF_7_ECX,
        LEAF_7_EDX,
        LEAF_7_1_EAX,
        LEAF_7_1_EDX,
        LEAF_D_1_EAX,
        LEAF_14_EBX,
        LEAF_19_EBX,
        EXTENDED_1_ECX,
        EXTENDED_1_EDX,
        EXTENDED_8_EBX,
        NOWHERE, /* never taken from the machine: experimental in LLVM 19 */
};

/* Registers that the operating system must save for the feature to be usable. */
enum jit_x86_state { STATE_NONE, STATE_AVX, STATE_AVX512, STATE_AMX };

struct jit_x86_feature {
        struct jit_feature base;
        enum jit_x86_register where;
        unsigned bit;
        enum jit_x86_state state;
        const char *kernel; /* name in /proc/cpuinfo, or NULL where older kernels list none */
};

enum { JIT_X86_N_FEATURES = 111 };

extern const struct jit_x86_feature jit_x86_features[JIT_X86_N_FEATURES];

#endif
