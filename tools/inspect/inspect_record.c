/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "inspect_parts.h"

#include <string.h>

static void set_text(json_t *object, const char *key, const char *text)
{
        if (text)
                json_object_set_new(object, key, json_string(text));
}

static json_t *strings(char *const *list)
{
        json_t *array = json_array();

        for (size_t i = 0; list && list[i]; i++)
                json_array_append_new(array, json_string(list[i]));
        return array;
}

/* Name, size, and what it takes in the bundle. */
static json_t *part(const struct fmt_bundle *bundle, const char *name,
        const struct fmt_digest *digest, uint64_t size)
{
        json_t *object = json_object();
        struct fmt_blob_info info;
        char hex[FMT_DIGEST_HEX_SIZE];

        fmt_digest_to_hex(digest, hex);
        set_text(object, "name", name);
        set_text(object, "digest", hex);
        json_object_set_new(object, "size", json_integer((json_int_t)size));
        if (fmt_bundle_find(bundle, digest, &info) == 0)
                json_object_set_new(
                        object, "stored_size", json_integer((json_int_t)info.stored_size));
        else
                json_object_set_new(object, "missing", json_true());
        return object;
}

static int describe_module(const struct fmt_input *input, const struct fmt_bundle *bundle,
        struct inspect_modules *modules, json_t *object)
{
        const struct fmt_module_facts *facts = &input->module;
        void *data;
        size_t size;

        set_text(object, "extras", facts->extras);
        set_text(object, "required", facts->required);
        if (facts->captured_only)
                json_object_set_new(object, "captured_only", json_true());
        if (!facts->raw || !modules)
                return 0;
        json_object_set_new(object, "raw", json_true());
        int r = fmt_bundle_read(bundle, &input->digest, &data, &size);
        if (r == 0)
                return inspect_modules_add(modules, object, data, size);
        set_text(object, "unusable", "its bytes are damaged");
        return r == -ENOMEM ? r : 0;
}

static int add_inputs(const struct fmt_variant *variant, const struct fmt_bundle *bundle,
        struct inspect_modules *modules, json_t *object)
{
        json_t *bitcode = json_array();
        json_t *native = json_array();

        json_object_set_new(object, "modules", bitcode);
        json_object_set_new(object, "native_inputs", native);
        for (size_t i = 0; i < variant->n_inputs; i++) {
                const struct fmt_input *input = &variant->inputs[i];
                bool is_module = input->kind == FMT_INPUT_MODULE;
                json_t *described = part(bundle, input->name, &input->digest, input->size);
                json_array_append_new(is_module ? bitcode : native, described);
                if (input->lazy)
                        json_object_set_new(described, "lazy", json_true());
                if (input->has_constructors)
                        json_object_set_new(described, "has_constructors", json_true());
                int r = is_module ? describe_module(input, bundle, modules, described) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static const char *kind_text(enum fmt_output_kind kind)
{
        switch (kind) {
        case FMT_OUTPUT_EXECUTABLE:
                return "executable";
        case FMT_OUTPUT_PIE:
                return "pie";
        case FMT_OUTPUT_STATIC:
                return "static";
        case FMT_OUTPUT_STATIC_PIE:
                return "static-pie";
        case FMT_OUTPUT_SHARED:
                return "shared";
        }
        return "unknown";
}

static json_t *describe_recipe(const struct fmt_recipe *recipe)
{
        json_t *object = json_object();
        json_t *options = json_array();

        set_text(object, "kind", kind_text(recipe->kind));
        set_text(object, "linker", recipe->linker == FMT_LINKER_LLD ? "lld" : "bfd");
        set_text(object, "interpreter", recipe->interpreter);
        set_text(object, "soname", recipe->soname);
        set_text(object, "rpath", recipe->rpath);
        json_object_set_new(object, "needed", strings(recipe->needed));
        if (recipe->interposable)
                json_object_set_new(object, "interposable", json_true());
        json_object_set_new(object, "options", options);
        for (size_t i = 0; i < recipe->n_options; i++) {
                const struct fmt_option *option = &recipe->options[i];
                _cleanup_free_ char *text = NULL;
                if (asprintf(&text, "%s%s", option->text, option->has_file ? "(file)" : "") >= 0)
                        json_array_append_new(options, json_string(text));
        }
        return object;
}

static int describe_variant(const struct fmt_variant *variant, const struct fmt_bundle *bundle,
        struct inspect_modules *modules, json_t *object)
{
        json_t *stubs = json_array();

        set_text(object, "name", variant->name);
        set_text(object, "required", variant->required);
        json_object_set_new(object, "recipe", describe_recipe(&variant->recipe));
        json_object_set_new(object, "stubs", stubs);
        for (size_t i = 0; i < variant->n_stubs; i++) {
                const struct fmt_stub *stub = &variant->stubs[i];
                json_array_append_new(stubs, part(bundle, stub->soname, &stub->digest, stub->size));
        }
        json_object_set_new(
                object, "exports", json_integer((json_int_t)fmt_strings_count(variant->exports)));
        return add_inputs(variant, bundle, modules, object);
}

int inspect_record(const struct fmt_record *record, const struct fmt_bundle *bundle,
        struct inspect_modules *modules, json_t *object)
{
        json_t *variants = json_array();

        set_text(object, "producer", record->producer);
        json_object_set_new(object, "variants", variants);
        json_object_set_new(object, "kept_native", strings(record->kept_native));
        for (size_t i = 0; i < record->n_variants; i++) {
                json_t *variant = json_object();
                json_array_append_new(variants, variant);
                int r = describe_variant(&record->variants[i], bundle, modules, variant);
                if (r < 0)
                        return r;
        }
        return 0;
}
