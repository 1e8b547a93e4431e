/* SPDX-License-Identifier: Apache-2.0 */
#include "tune_steps.h"

#include <stdio.h>
#include <string.h>

/* Widths beyond the target's vectors would give the code of the widest that it has. */
static const struct step {
        struct jit_policy policy;
        const char *needs; /* features of the target, or NULL */
} steps[] = {
        /* Chains of additions wait longer for a fused multiply-add. */
        {{.opt = 3, .fp = JIT_FP_STRICT}, "+fma"},
        {{.opt = 3, .veclib = true}, "+avx"},
        {{.opt = 3, .width = 128}, "+avx"},
        {{.opt = 3, .width = 256}, "+avx2"},
        {{.opt = 3, .width = 512}, "+avx512f"},
        {{.opt = 2}, NULL},
        /* Counted in runs that may have been unlike this one; the default's code if there is none.
         */
        {{.opt = 3, .no_profile = true}, NULL},
        {{.opt = 3, .lto = JIT_LTO_FULL}, NULL},
        {{.opt = 3, .lto = JIT_LTO_OFF}, NULL},
        {{.opt = 3, .tune = "generic"}, NULL},
        /* The other vendor's model of about the same age weighs gathers and shuffles differently.
         */
        {{.opt = 3, .tune = "znver4"}, "+avx512f"},
        {{.opt = 3, .tune = "icelake-server"}, "+avx512f"},
        {{.opt = 3, .tune = "znver3"}, "+avx2,-avx512f"},
        {{.opt = 3, .tune = "skylake"}, "+avx2,-avx512f"},
        {{.opt = 3, .target = "x86-64"}, "+sse3"},
};
#define N_STEPS (sizeof steps / sizeof *steps)

_Static_assert(N_STEPS <= TUNE_MOST_STEPS, "room for all steps");

/* As jit_target_has, but a '-' asks for a feature to be missing. */
static bool suits(const struct jit_target *target, const char *needs)
{
        char wanted[64];

        if (!needs)
                return true;
        for (const char *at = needs; *at;) {
                size_t size = strcspn(at, ",");
                snprintf(wanted, sizeof(wanted), "+%.*s", (int)size - 1, at + 1);
                if (jit_target_has(target, wanted, NULL) != (*at == '+'))
                        return false;
                at += size + (at[size] == ',');
        }
        return true;
}

/* Models of one vendor begin alike. */
static bool is_own_vendor(const struct jit_target *target, const char *tune)
{
        return strncmp(target->tune, "znver", 5) == 0 ? strncmp(tune, "znver", 5) == 0
                                                      : strncmp(tune, "znver", 5) != 0;
}

size_t tune_steps(const struct jit_target *target, enum tune_results results,
        struct jit_policy ret[TUNE_MOST_STEPS])
{
        size_t n = 0;

        for (size_t i = 0; i < N_STEPS; i++) {
                const struct jit_policy *policy = &steps[i].policy;
                if (!suits(target, steps[i].needs))
                        continue;
                if (policy->tune[0] && strcmp(policy->tune, "generic") &&
                        is_own_vendor(target, policy->tune))
                        continue;
                if (results == TUNE_SAME_RESULTS && tune_rounds_as_generic(target, policy))
                        continue;
                if (results != TUNE_VECTOR_MATH && policy->veclib)
                        continue;
                ret[n++] = *policy;
        }
        return n;
}

bool tune_rounds_as_generic(const struct jit_target *target, const struct jit_policy *policy)
{
        return jit_target_has(target, "+fma", NULL) &&
               (policy->fp == JIT_FP_STRICT || !strcmp(policy->target, "x86-64"));
}

bool tune_combine(const struct jit_policy *a, const struct jit_policy *b, struct jit_policy *ret)
{
        const struct jit_policy usual = JIT_POLICY_DEFAULT;
        struct jit_policy both = *a;

        if ((a->opt != usual.opt && b->opt != usual.opt) ||
                (a->fp != usual.fp && b->fp != usual.fp) ||
                (a->lto != usual.lto && b->lto != usual.lto) || (a->width && b->width) ||
                (a->tune[0] && b->tune[0]) || (a->target[0] && b->target[0]) ||
                (a->no_profile && b->no_profile) || (a->veclib && b->veclib) ||
                /* Which would not be used. */
                (a->veclib && b->fp == JIT_FP_STRICT) || (b->veclib && a->fp == JIT_FP_STRICT))
                return false;
        if (b->opt != usual.opt)
                both.opt = b->opt;
        if (b->fp != usual.fp)
                both.fp = b->fp;
        if (b->lto != usual.lto)
                both.lto = b->lto;
        if (b->width)
                both.width = b->width;
        if (b->tune[0])
                memcpy(both.tune, b->tune, sizeof(both.tune));
        if (b->target[0])
                memcpy(both.target, b->target, sizeof(both.target));
        both.no_profile |= b->no_profile;
        both.veclib |= b->veclib;
        *ret = both;
        return true;
}
