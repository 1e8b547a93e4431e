/* SPDX-License-Identifier: Apache-2.0 */
/* What Linux says of an AArch64 machine, raw, so that recorded machines can be looked at on any
 * other; and the features that follow from it.
 *
 * What the kernel lists it has on all cores (it takes the least of them) and saves the registers
 * of, so nothing has to be checked against anything. */
#ifndef JIT_HOST_AARCH64_H
#define JIT_HOST_AARCH64_H

#include "jit_aarch64_features.h"
#include "jit_detection.h"

#include <stdio.h>

#define JIT_AARCH64_KINDS 8

struct jit_aarch64_raw {
        uint64_t hwcaps[JIT_AARCH64_HWCAPS]; /* AT_HWCAP, AT_HWCAP2 */
        /* Kinds of core by implementer and part, with the main identification register (MIDR_EL1)
         * of the first one and how many there are. */
        struct jit_aarch64_kind {
                uint64_t midr;
                unsigned n;
        } kinds[JIT_AARCH64_KINDS];
        size_t n_kinds;
};

/* This machine. -ENOTSUP on another architecture. */
int jit_aarch64_read(struct jit_aarch64_raw *ret);

/* Counts one more core, unless it is of a ninth kind. */
void jit_aarch64_add_core(struct jit_aarch64_raw *raw, uint64_t midr);

/* The register of each core from the text of /proc/cpuinfo. */
void jit_aarch64_read_cpuinfo(FILE *cpuinfo, struct jit_aarch64_raw *raw);

/* Tuning goes by the kind of which there are most cores; of as many, the one with more features. */
void jit_aarch64_detect(const struct jit_aarch64_raw *raw, struct jit_detection *ret);

#endif
