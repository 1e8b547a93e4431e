/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_features.h"

#include <stdlib.h>
#include <string.h>

static int compare(const char *name, size_t size, const char *other)
{
        int r = strncmp(name, other, size);
        return r ? r : -(int)(unsigned char)other[size];
}

int jit_feature_find(const struct jit_architecture *architecture, const char *name, size_t size)
{
        size_t low = 0;
        size_t high = architecture->n_features;

        while (low < high) {
                size_t middle = (low + high) / 2;
                int r = compare(name, size, jit_feature_of(architecture, middle)->name);
                if (r == 0)
                        return (int)middle;
                if (r < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return -1;
}

bool jit_word_next(const char **at, const char **ret_word, size_t *ret_size)
{
        *ret_word = *at + strspn(*at, " \t\n");
        *ret_size = strcspn(*ret_word, " \t\n");
        *at = *ret_word + *ret_size;
        return *ret_size > 0;
}

int jit_feature_lacks(const struct jit_architecture *architecture,
        const struct jit_feature_set *set, size_t feature)
{
        const char *at = jit_feature_of(architecture, feature)->implies;
        const char *word;
        size_t size;

        while (jit_word_next(&at, &word, &size)) {
                int implied = jit_feature_find(architecture, word, size);
                if (implied >= 0 && !jit_feature_in(set, (size_t)implied))
                        return implied;
        }
        return -1;
}

void jit_features_settle(const struct jit_architecture *architecture, struct jit_feature_set *set)
{
        bool changed = true;

        while (changed) {
                changed = false;
                for (size_t i = 0; i < architecture->n_features; i++) {
                        if (!jit_feature_in(set, i) || jit_feature_lacks(architecture, set, i) < 0)
                                continue;
                        jit_feature_put(set, i, false);
                        changed = true;
                }
        }
}

size_t jit_features_count(const struct jit_feature_set *set)
{
        size_t n = 0;

        for (size_t i = 0; i < sizeof(set->words) / sizeof(set->words[0]); i++)
                n += (size_t)__builtin_popcountll(set->words[i]);
        return n;
}

struct jit_feature_set jit_features_minus(
        const struct jit_feature_set *a, const struct jit_feature_set *b)
{
        struct jit_feature_set result;

        for (size_t i = 0; i < sizeof(result.words) / sizeof(result.words[0]); i++)
                result.words[i] = a->words[i] & ~b->words[i];
        return result;
}

struct jit_feature_set jit_features_union(
        const struct jit_feature_set *a, const struct jit_feature_set *b)
{
        struct jit_feature_set result;

        for (size_t i = 0; i < sizeof(result.words) / sizeof(result.words[0]); i++)
                result.words[i] = a->words[i] | b->words[i];
        return result;
}

char *jit_features_format(const struct jit_architecture *architecture,
        const struct jit_feature_set *set, bool complete)
{
        size_t size = 1;

        for (size_t i = 0; i < architecture->n_features; i++)
                size += strlen(jit_feature_of(architecture, i)->name) + 2;
        char *text = malloc(size);
        char *at = text;
        if (!text)
                return NULL;
        for (size_t i = 0; i < architecture->n_features; i++) {
                bool in = jit_feature_in(set, i);
                if (!in && !complete)
                        continue;
                if (at != text)
                        *at++ = ',';
                *at++ = in ? '+' : '-';
                at = stpcpy(at, jit_feature_of(architecture, i)->name);
        }
        *at = 0;
        return text;
}

bool jit_feature_next(const char **at, char *ret_sign, const char **ret_name, size_t *ret_size)
{
        while (**at) {
                const char *entry = *at;
                size_t size = strcspn(entry, ",");
                *at = entry + size + (entry[size] == ',');
                if (size < 2 || (*entry != '+' && *entry != '-'))
                        continue;
                *ret_sign = *entry;
                *ret_name = entry + 1;
                *ret_size = size - 1;
                return true;
        }
        return false;
}
