/* SPDX-License-Identifier: Apache-2.0 */
/* To the normal form of bitcode, and back to a host: the two things that xaas-bitcode does. */
#ifndef JIT_BITCODE_NORMAL_H
#define JIT_BITCODE_NORMAL_H

#include "jit_bitcode_module.h"

#include <stdbool.h>

struct jit_bitcode_facts {
        bool has_extras;
        bool captured_only;
        bool not_optimised;
        char *required; /* features the host must have, or NULL */
        char *extras;   /* union of what functions ask for themselves, or NULL */
};

/* Brings MODULE, as the compiler wrote it, to normal form (jit_bitcode.h). -EBADMSG with a
 * sentence, -ENOMEM. The caller frees what FACTS holds with jit_bitcode_facts_done. */
int jit_bitcode_to_normal_form(
        LLVMModuleRef module, bool keep_debug, struct jit_bitcode_facts *ret, char **ret_reason);
void jit_bitcode_facts_done(struct jit_bitcode_facts *facts);

/* Writes target-cpu, tune-cpu and target-features on every function of a module in normal form.
 * FEATURES: the host's, complete; NULL: those of each function alone. -ENOMEM. */
int jit_bitcode_to_host(LLVMModuleRef module, const char *tune, const char *features);

#endif
