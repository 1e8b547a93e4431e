/* SPDX-License-Identifier: Apache-2.0 */
/* What was found on a machine, and why: pure functions over what the machine says of itself. */
#ifndef JIT_DETECTION_H
#define JIT_DETECTION_H

#include "jit_models.h"

enum jit_why {
        JIT_WHY_HERE,
        JIT_WHY_NOT_SHOWN, /* the processor has none, or somebody masked it */
        JIT_WHY_NOT_SAVED, /* shown, but the system does not save its registers */
        JIT_WHY_DENIED,    /* shown, but the kernel does not list it */
        JIT_WHY_LACKS,     /* shown, but something that it implies is not here */
        JIT_WHY_NEVER,     /* not asked about: experimental in LLVM, or Linux does not show it */
};

struct jit_reason {
        enum jit_why why;
        const char *name; /* static; DENIED, and NOT_SHOWN where there is one: the kernel's word;
                           * LACKS: what is not here; else NULL */
};

struct jit_detection {
        const struct jit_architecture *architecture;
        enum jit_vendor vendor;
        struct jit_feature_set has;
        struct jit_reason reasons[JIT_MAX_FEATURES];
        bool is_identified; /* the core said which model it is, and that was taken for tuning */
        struct jit_likeness tuning, next;
};

/* For those who look at one architecture: one feature after the other, then the rest. MODEL: what
 * the core says it is, or NULL: the nearest by features is taken. */
void jit_detection_start(const struct jit_architecture *architecture, struct jit_detection *ret);
void jit_detection_set(
        struct jit_detection *detection, size_t feature, enum jit_why why, const char *name);
void jit_detection_finish(struct jit_detection *detection, const char *model);

/* Whether a feature was left out although the processor shows it. */
bool jit_detection_left_out(const struct jit_detection *detection, size_t feature);

/* A sentence without a full stop on why FEATURE is not in the set. The caller frees; NULL: out of
 * memory. */
char *jit_detection_why(const struct jit_detection *detection, size_t feature);

#endif
