/* SPDX-License-Identifier: Apache-2.0 */
/* CPU names of LLVM 19 for x86-64, and the features that each of them stands for. */
#ifndef JIT_X86_MODELS_H
#define JIT_X86_MODELS_H

#include "jit_x86_features.h"

enum jit_x86_vendor { VENDOR_ANY, VENDOR_INTEL, VENDOR_AMD };

/* What NAME implies when it stands in target-cpu; false: no such name. "generic" is "x86-64". */
bool jit_x86_model(const char *name, struct jit_x86_set *ret);

/* Name of the model whose features come nearest to HOST's; its scheduling model is then the best
 * guess. VENDOR_ANY looks at all of them. */
const char *jit_x86_nearest(const struct jit_x86_set *host, enum jit_x86_vendor vendor);

/* Names one after the other, for tests; NULL at the end. */
const char *jit_x86_model_name(size_t index);

#endif
