/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ARRAY of COUNT slots with a zeroed one behind them, perhaps moved; NULL, ARRAY being as it was,
 * where there is no memory. Grows when COUNT is a power of two. */
static void *with_slot(void *array, size_t count, size_t size)
{
        char *slots = array;

        if ((count & (count - 1)) == 0)
                slots = reallocarray(array, count ? count * 2 : 1, size);
        if (slots)
                memset(slots + count * size, 0, size);
        return slots;
}

int fmt_record_new(struct fmt_record **ret)
{
        struct fmt_record *record = calloc(1, sizeof *record);

        if (!record)
                return -ENOMEM;
        record->version = FMT_RECORD_VERSION;
        record->machine = strdup("x86_64");
        record->kept_native = calloc(1, sizeof(char *));
        if (!record->machine || !record->kept_native) {
                fmt_record_free(record);
                return -ENOMEM;
        }
        *ret = record;
        return 0;
}

int fmt_record_add_variant(struct fmt_record *record, const char *name, struct fmt_variant **ret)
{
        struct fmt_variant *variants =
                with_slot(record->variants, record->n_variants, sizeof *variants);

        if (!variants)
                return -ENOMEM;
        record->variants = variants;
        struct fmt_variant *variant = &variants[record->n_variants++];
        variant->name = strdup(name);
        variant->recipe.needed = calloc(1, sizeof(char *));
        variant->exports = calloc(1, sizeof(char *));
        if (!variant->name || !variant->recipe.needed || !variant->exports)
                return -ENOMEM;
        *ret = variant;
        return 0;
}

int fmt_variant_add_input(struct fmt_variant *variant, struct fmt_input **ret)
{
        struct fmt_input *inputs = with_slot(variant->inputs, variant->n_inputs, sizeof *inputs);

        if (!inputs)
                return -ENOMEM;
        variant->inputs = inputs;
        *ret = &inputs[variant->n_inputs++];
        return 0;
}

int fmt_variant_add_stub(struct fmt_variant *variant, struct fmt_stub **ret)
{
        struct fmt_stub *stubs = with_slot(variant->stubs, variant->n_stubs, sizeof *stubs);

        if (!stubs)
                return -ENOMEM;
        variant->stubs = stubs;
        *ret = &stubs[variant->n_stubs++];
        return 0;
}

const struct fmt_stub *fmt_variant_find_stub(const struct fmt_variant *variant, const char *soname)
{
        for (size_t i = 0; i < variant->n_stubs; i++)
                if (strcmp(variant->stubs[i].soname, soname) == 0)
                        return &variant->stubs[i];
        return NULL;
}

void fmt_variant_remove_stub(struct fmt_variant *variant, size_t index)
{
        struct fmt_stub *stub = &variant->stubs[index];

        free(stub->soname);
        variant->n_stubs--;
        memmove(stub, stub + 1, (variant->n_stubs - index) * sizeof *stub);
}

int fmt_variant_add_option(struct fmt_variant *variant, struct fmt_option **ret)
{
        struct fmt_recipe *recipe = &variant->recipe;
        struct fmt_option *options = with_slot(recipe->options, recipe->n_options, sizeof *options);

        if (!options)
                return -ENOMEM;
        recipe->options = options;
        *ret = &options[recipe->n_options++];
        return 0;
}

static void recipe_done(struct fmt_recipe *recipe)
{
        free(recipe->interpreter);
        free(recipe->soname);
        fmt_strings_free(recipe->needed);
        free(recipe->rpath);
        for (size_t i = 0; i < recipe->n_options; i++)
                free(recipe->options[i].text);
        free(recipe->options);
}

static void variant_done(struct fmt_variant *variant)
{
        free(variant->name);
        free(variant->required);
        recipe_done(&variant->recipe);
        for (size_t i = 0; i < variant->n_inputs; i++) {
                free(variant->inputs[i].name);
                free(variant->inputs[i].module.required);
                free(variant->inputs[i].module.extras);
        }
        free(variant->inputs);
        for (size_t i = 0; i < variant->n_stubs; i++)
                free(variant->stubs[i].soname);
        free(variant->stubs);
        fmt_strings_free(variant->exports);
}

void fmt_record_free(struct fmt_record *record)
{
        if (!record)
                return;
        free(record->producer);
        free(record->machine);
        for (size_t i = 0; i < record->n_variants; i++)
                variant_done(&record->variants[i]);
        free(record->variants);
        fmt_strings_free(record->kept_native);
        free(record);
}
