/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_models.h"

#include <string.h>

static void apply(const struct jit_architecture *architecture, const char *changes,
        struct jit_feature_set *set)
{
        const char *word;
        size_t size;

        while (jit_word_next(&changes, &word, &size)) {
                int feature = jit_feature_find(architecture, word + 1, size - 1);
                if (feature >= 0)
                        jit_feature_put(set, (size_t)feature, *word == '+');
        }
}

static const struct jit_model *find_model(
        const struct jit_architecture *architecture, const char *name)
{
        for (const struct jit_model *model = architecture->models; model->name; model++) {
                if (!strcmp(model->name, name))
                        return model;
        }
        return strcmp(name, "generic") ? NULL : architecture->models;
}

bool jit_model_features(
        const struct jit_architecture *architecture, const char *name, struct jit_feature_set *ret)
{
        const struct jit_model *model = find_model(architecture, name);

        memset(ret, 0, sizeof(*ret));
        if (!model)
                return false;
        /* As deep as the families of the table. */
        if (model->parent && !jit_model_features(architecture, model->parent, ret))
                return false;
        apply(architecture, model->changes, ret);
        return true;
}

const char *jit_model_tune(const struct jit_architecture *architecture, const char *name)
{
        const struct jit_model *model = find_model(architecture, name);
        bool is_level = !model || model->vendor == VENDOR_ANY;

        return is_level && !architecture->levels_are_models ? "generic" : name;
}

/* What a machine has says more than what it lacks: a hypervisor takes features away, but seldom
 * invents one. Hence the weight. */
bool jit_model_compare(const struct jit_architecture *architecture,
        const struct jit_feature_set *machine, const char *name, struct jit_likeness *ret)
{
        struct jit_feature_set model;

        if (!jit_model_features(architecture, name, &model))
                return false;
        ret->name = name;
        ret->beyond = jit_features_minus(machine, &model);
        ret->lacking = jit_features_minus(&model, machine);
        ret->distance = 2 * jit_features_count(&ret->beyond) + jit_features_count(&ret->lacking);
        return true;
}

static bool have_same_features(const struct jit_likeness *a, const struct jit_likeness *b)
{
        return !memcmp(&a->beyond, &b->beyond, sizeof(a->beyond)) &&
               !memcmp(&a->lacking, &b->lacking, sizeof(a->lacking));
}

void jit_model_nearest(const struct jit_architecture *architecture,
        const struct jit_feature_set *machine, enum jit_vendor vendor, struct jit_likeness *ret,
        struct jit_likeness *ret_next)
{
        struct jit_likeness nearest = {.distance = SIZE_MAX}, next = {.distance = SIZE_MAX};

        for (const struct jit_model *model = architecture->models; model->name; model++) {
                struct jit_likeness here;
                if (model->vendor == VENDOR_ANY ||
                        (vendor != VENDOR_ANY && model->vendor != vendor) ||
                        !jit_model_compare(architecture, machine, model->name, &here))
                        continue;
                if (here.distance < nearest.distance) {
                        next = nearest;
                        nearest = here;
                } else if (here.distance < next.distance && !have_same_features(&here, &nearest)) {
                        next = here;
                }
        }
        *ret = nearest;
        if (ret_next)
                *ret_next = next;
}
