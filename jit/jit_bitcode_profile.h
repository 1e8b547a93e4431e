/* SPDX-License-Identifier: Apache-2.0 */
/* Counting how often a module's code runs, and telling its functions how often it did: what
 * xaas-bitcode does with profiles. Both see a module as the image has it, so that what was counted
 * in one mount fits what is compiled in another, for whatever target. */
#ifndef JIT_BITCODE_PROFILE_H
#define JIT_BITCODE_PROFILE_H

#include "jit_bitcode_module.h"

#include <stdbool.h>
#include <stdint.h>

/* Puts counters into all functions; jit_profile_runtime.c is what they call. -EBADMSG and a
 * sentence in *ret_reason, which the caller frees. */
int jit_bitcode_count(struct jit_bitcode_module *module, char **ret_reason);

struct jit_bitcode_profiled {
        uint32_t functions; /* with a body */
        uint32_t profiled;  /* of these, told how often they ran */
        uint32_t changed;   /* of these, not told: the profile is of another body of that name */
        bool unreadable;    /* the profile is none, and nothing was told */
};

/* PATH: the profile of all that follows, for the whole process. Call it once. */
void jit_bitcode_profile_open(const char *path);

/* Writes what the profile knows on MODULE's functions. A profile that does not fit is no failure.
 * -EBADMSG and a sentence in *ret_reason. */
int jit_bitcode_use_profile(
        struct jit_bitcode_module *module, struct jit_bitcode_profiled *ret, char **ret_reason);

#endif
