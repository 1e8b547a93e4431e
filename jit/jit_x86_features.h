/* SPDX-License-Identifier: Apache-2.0 */
/* x86 features as LLVM 19 spells them, sets of them, and what implies what.
 *
 * A feature string is LLVM's: "+avx2,-avx512f,…". Tuning switches ("slow-3ops-lea") are not
 * features here: they follow from the tuning model. */
#ifndef JIT_X86_FEATURES_H
#define JIT_X86_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where cpuid shows a feature (leaf, subleaf and register), from Intel's SDM volume 2A and AMD's
 * APM volume 3. */
enum jit_x86_register {
        LEAF_1_ECX,
        LEAF_1_EDX,
        LEAF_7_EBX,
        LEAF_7_ECX,
        LEAF_7_EDX,
        LEAF_7_1_EAX,
        LEAF_7_1_EDX,
        LEAF_D_1_EAX,
        LEAF_14_EBX,
        LEAF_19_EBX,
        EXTENDED_1_ECX,
        EXTENDED_1_EDX,
        EXTENDED_8_EBX,
        NOWHERE, /* never taken from the machine: experimental in LLVM 19 */
};

/* Registers that the operating system must save for the feature to be usable. */
enum jit_x86_state { STATE_NONE, STATE_AVX, STATE_AVX512, STATE_AMX };

struct jit_x86_feature {
        const char *name;
        enum jit_x86_register where;
        unsigned bit;
        enum jit_x86_state state;
        const char *kernel;   /* name in /proc/cpuinfo, or NULL where older kernels list none */
        bool by_request_only; /* no compiler emits it unless the source asks for it by name */
        const char *implies;  /* names, separated by spaces */
};

#define JIT_X86_MAX_FEATURES 128

/* All of them, sorted by name: the position is the feature's number. */
extern const struct jit_x86_feature jit_x86_features[];
extern const size_t jit_x86_n_features;

struct jit_x86_set {
        uint64_t words[JIT_X86_MAX_FEATURES / 64];
};

static inline bool jit_x86_in(const struct jit_x86_set *set, size_t feature)
{
        return set->words[feature / 64] >> (feature % 64) & 1;
}

static inline void jit_x86_put(struct jit_x86_set *set, size_t feature, bool in)
{
        uint64_t bit = UINT64_C(1) << (feature % 64);
        set->words[feature / 64] =
                in ? set->words[feature / 64] | bit : set->words[feature / 64] & ~bit;
}

/* Number of the feature of that name (SIZE bytes, no sign), or -1. */
int jit_x86_find(const char *name, size_t size);

/* Takes out what lacks a feature it implies: LLVM would switch that one on again. */
void jit_x86_settle(struct jit_x86_set *set);

size_t jit_x86_count(const struct jit_x86_set *set);

/* Members of A that are not in B. */
struct jit_x86_set jit_x86_minus(const struct jit_x86_set *a, const struct jit_x86_set *b);
struct jit_x86_set jit_x86_union(const struct jit_x86_set *a, const struct jit_x86_set *b);

/* "+a,-b,…": every feature, with its sign, sorted by name (COMPLETE), or those in the set alone.
 * The caller frees; NULL: out of memory. */
char *jit_x86_format(const struct jit_x86_set *set, bool complete);

/* Walks a feature string: returns whether there is another entry, *AT moves behind it. Entries
 * without a sign are skipped. */
bool jit_x86_next(const char **at, char *ret_sign, const char **ret_name, size_t *ret_size);

#endif
