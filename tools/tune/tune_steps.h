/* SPDX-License-Identifier: Apache-2.0 */
/* Which policies are worth a try: single steps away from what everything is compiled with, and
 * combinations of those that paid. */
#ifndef TUNE_STEPS_H
#define TUNE_STEPS_H

#include "jit_host.h"
#include "jit_policy.h"

#include <stddef.h>

#define TUNE_MOST_STEPS 16

/* How floating-point results may differ from a native build's. */
enum tune_results {
        TUNE_GENERIC_ROUNDING, /* they may be rounded as the generic build rounds them */
        TUNE_SAME_RESULTS,     /* not at all */
        TUNE_VECTOR_MATH,      /* the C library's vector functions may be used */
};

/* The steps that make a difference on TARGET and leave RESULTS as they must be; how many. */
size_t tune_steps(const struct jit_target *target, enum tune_results results,
        struct jit_policy ret[TUNE_MOST_STEPS]);

/* Whether results are rounded as the generic build rounds them, which a native build does not. */
bool tune_rounds_as_generic(const struct jit_target *target, const struct jit_policy *policy);

/* What A and B change, both; false if they change the same thing. */
bool tune_combine(const struct jit_policy *a, const struct jit_policy *b, struct jit_policy *ret);

#endif
