/* SPDX-License-Identifier: Apache-2.0 */
/* CPU features as LLVM 19 spells them: the tables of the architectures, and sets of features.
 *
 * A feature string is LLVM's: "+avx2,-avx512f,…". Tuning switches ("slow-3ops-lea") are not
 * features here: they follow from the tuning model. */
#ifndef JIT_FEATURES_H
#define JIT_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the rows of all tables of features begin with. */
struct jit_feature {
        const char *name;
        const char *implies;  /* names, separated by spaces */
        bool by_request_only; /* no compiler emits it unless the source asks for it by name */
};

struct jit_model;

struct jit_architecture {
        const char *name;   /* "x86-64" */
        const char *triple; /* "x86_64-pc-linux-gnu" */
        /* Rows are FEATURE_SIZE bytes apart and sorted by name: the position is the feature's
         * number. */
        const void *features;
        size_t feature_size, n_features;
        /* jit_models.h; the first is what every machine has; ends with a row without a name. */
        const struct jit_model *models;
        bool levels_are_models; /* LLVM knows levels ("x86-64-v3") as CPU names, too */
};

extern const struct jit_architecture jit_x86, jit_aarch64;

static inline const struct jit_feature *jit_feature_of(
        const struct jit_architecture *architecture, size_t feature)
{
        const char *rows = architecture->features;
        return (const void *)(rows + feature * architecture->feature_size);
}

/* Number of the feature of that name (SIZE bytes, no sign), or -1. */
int jit_feature_find(const struct jit_architecture *architecture, const char *name, size_t size);

/* ---- sets ---- */

#define JIT_MAX_FEATURES 128

struct jit_feature_set {
        uint64_t words[JIT_MAX_FEATURES / 64];
};

static inline bool jit_feature_in(const struct jit_feature_set *set, size_t feature)
{
        return set->words[feature / 64] >> (feature % 64) & 1;
}

static inline void jit_feature_put(struct jit_feature_set *set, size_t feature, bool in)
{
        uint64_t bit = UINT64_C(1) << (feature % 64);
        set->words[feature / 64] =
                in ? set->words[feature / 64] | bit : set->words[feature / 64] & ~bit;
}

/* Number of a feature that FEATURE implies and SET lacks, or -1. */
int jit_feature_lacks(const struct jit_architecture *architecture,
        const struct jit_feature_set *set, size_t feature);

/* Takes out what lacks a feature it implies: LLVM would switch that one on again. */
void jit_features_settle(const struct jit_architecture *architecture, struct jit_feature_set *set);

size_t jit_features_count(const struct jit_feature_set *set);

/* Members of A that are not in B. */
struct jit_feature_set jit_features_minus(
        const struct jit_feature_set *a, const struct jit_feature_set *b);
struct jit_feature_set jit_features_union(
        const struct jit_feature_set *a, const struct jit_feature_set *b);

/* "+a,+b", or if COMPLETE every feature of the architecture with its sign, sorted. NULL: out of
 * memory; the caller frees. */
char *jit_features_format(const struct jit_architecture *architecture,
        const struct jit_feature_set *set, bool complete);

/* Takes one entry from *AT ("+a,-b"): sign and name, without NUL. False at the end; entries
 * without sign are passed over. */
bool jit_feature_next(const char **at, char *ret_sign, const char **ret_name, size_t *ret_size);

/* Takes one word from *AT ("a b"), without NUL. False at the end. */
bool jit_word_next(const char **at, const char **ret_word, size_t *ret_size);

#endif
