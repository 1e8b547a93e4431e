/* SPDX-License-Identifier: Apache-2.0 */
/* What a function was compiled for, taken apart: what its build asked for, which is dropped, and
 * what it asked for itself, which stays.
 *
 * clang writes target-cpu and target-features on every function, from the command line and from the
 * function's own attribute alike. What the CPU name implies came from -march; the rest is the
 * function's ("extras", minus signs included). Two cases need more:
 *   - -march=native lists every feature that clang knows, with its sign: a picture of the build
 *     machine. What most such functions of a module agree on is dropped.
 *   - a function whose CPU name differs from most of the module asked for it itself
 *     (target("arch=…")): all of it stays.
 * No LLVM in here: the bitcode program does the reading and writing of attributes. */
#ifndef JIT_FUNCTION_TARGET_H
#define JIT_FUNCTION_TARGET_H

#include "jit_models.h"

struct jit_function_target {
        char *cpu;                      /* target-cpu, or NULL */
        bool cpu_is_known;              /* by the table of models */
        struct jit_feature_set implied; /* by the CPU name; at least x86-64's */
        struct jit_feature_set plus; /* of target-features, the last entry for a feature counts */
        struct jit_feature_set minus;
        char *others;        /* entries that are no CPU features (+retpoline-…), or NULL */
        bool native;         /* a picture of the build machine */
        bool needs_baseline; /* holds code for the build's CPU: intrinsics, assembly */
};

/* The texts need no NUL; NULL where the function has no such attribute. -ENOMEM. */
int jit_function_target_read(const char *cpu, size_t cpu_size, const char *features,
        size_t features_size, struct jit_function_target *ret);
void jit_function_target_done(struct jit_function_target *function);

/* What the functions of a module have in common. */
struct jit_module_target {
        const char *cpu; /* the CPU name of most functions, points into one; or NULL */
        struct jit_feature_set native_plus; /* what most pictures of the build machine agree on */
        struct jit_feature_set native_minus;
};

void jit_module_target_of(
        const struct jit_function_target *functions, size_t n, struct jit_module_target *ret);

/* What the build gave the function beyond x86-64, and is dropped in normal form. */
struct jit_feature_set jit_function_baseline(
        const struct jit_module_target *module, const struct jit_function_target *function);

/* What the function asked for itself. */
void jit_function_extras(const struct jit_module_target *module,
        const struct jit_function_target *function, struct jit_feature_set *ret_plus,
        struct jit_feature_set *ret_minus);

/* "+a,-b" and OTHERS (may be NULL) behind it; "" if there is nothing. NULL: out of memory. */
char *jit_feature_text(const struct jit_feature_set *plus, const struct jit_feature_set *minus,
        const char *others);

#endif
