/* SPDX-License-Identifier: Apache-2.0 */
/* CPU names of LLVM 19, the features that each of them stands for, and which of them a machine is
 * most like. */
#ifndef JIT_MODELS_H
#define JIT_MODELS_H

#include "jit_features.h"

enum jit_vendor { VENDOR_ANY, VENDOR_INTEL, VENDOR_AMD, VENDOR_ARM };

/* Has what PARENT (a row above) has, more or less. */
struct jit_model {
        const char *name;
        enum jit_vendor vendor; /* ANY: a level, not a machine, and never chosen for tuning */
        const char *parent;     /* NULL: none */
        const char *changes;    /* "+a -b" */
};

/* What NAME implies when it stands in target-cpu; false: no such name. "generic" is the first. */
bool jit_model_features(
        const struct jit_architecture *architecture, const char *name, struct jit_feature_set *ret);

/* LLVM's name of what code for NAME is scheduled for: NAME itself, or "generic". */
const char *jit_model_tune(const struct jit_architecture *architecture, const char *name);

/* How much a model is like a machine. */
struct jit_likeness {
        const char *name;
        struct jit_feature_set beyond;  /* the machine has it, the model does not */
        struct jit_feature_set lacking; /* the model has it, the machine does not */
        size_t distance;                /* 0: the same features */
};

/* False: no such name. */
bool jit_model_compare(const struct jit_architecture *architecture,
        const struct jit_feature_set *machine, const char *name, struct jit_likeness *ret);

/* The model whose features come nearest to those of MACHINE; its scheduling model is then the best
 * guess. VENDOR_ANY looks at all of them. ret_next (optional): the nearest of those with other
 * features than the first; its name is NULL if there is none. */
void jit_model_nearest(const struct jit_architecture *architecture,
        const struct jit_feature_set *machine, enum jit_vendor vendor, struct jit_likeness *ret,
        struct jit_likeness *ret_next);

#endif
