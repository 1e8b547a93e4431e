/* SPDX-License-Identifier: Apache-2.0 */
/* The features of AArch64, and how Linux shows them. */
#ifndef JIT_AARCH64_FEATURES_H
#define JIT_AARCH64_FEATURES_H

#include "jit_features.h"

struct jit_aarch64_feature {
        struct jit_feature base;
        const char *kernel; /* words of "Features" in /proc/cpuinfo, of which it needs all; "":
                             * Linux shows none, and it is never taken from the machine */
};

enum { JIT_AARCH64_N_FEATURES = 51 };

extern const struct jit_aarch64_feature jit_aarch64_features[JIT_AARCH64_N_FEATURES];

/* The number of words that the kernel passes to a process: AT_HWCAP and AT_HWCAP2. */
#define JIT_AARCH64_HWCAPS 2

/* The kernel's name of that bit (0 to 63) of that word, or NULL: none that is known here. */
const char *jit_aarch64_hwcap_name(unsigned word, unsigned bit);

/* Name of LLVM's model of a core by its main identification register (MIDR_EL1), or NULL. */
const char *jit_aarch64_model_of(uint64_t midr);

#endif
