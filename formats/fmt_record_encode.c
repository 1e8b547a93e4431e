/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "fmt_json.h"
#include "fmt_record_names.h"

#include <string.h>

/* What has the value that a reader assumes (false, absent, empty) is left out, so that equal
 * records have equal bytes. Each put_… returns false where memory or a string failed. */

static bool put(json_t *object, const char *key, json_t *value)
{
        return json_object_set_new_nocheck(object, key, value) == 0;
}

static bool put_string(json_t *object, const char *key, const char *string)
{
        return !string || put(object, key, json_string(string));
}

static bool put_true(json_t *object, const char *key, bool value)
{
        return !value || put(object, key, json_true());
}

static bool put_array(json_t *object, const char *key, json_t *array)
{
        if (array && json_array_size(array) == 0) {
                json_decref(array);
                return true;
        }
        return put(object, key, array);
}

static bool put_digest(json_t *object, const char *key, const struct fmt_digest *digest)
{
        char hex[FMT_DIGEST_HEX_SIZE];

        fmt_digest_to_hex(digest, hex);
        return put(object, key, json_string(hex));
}

/* Takes over VALUE; NULL unless all its parts went in. */
static json_t *complete(json_t *value, bool whole)
{
        if (whole)
                return value;
        json_decref(value);
        return NULL;
}

static json_t *encode_option(const struct fmt_option *option)
{
        json_t *object = json_object();

        return complete(
                object, put(object, "text", json_string(option->text)) &&
                                (!option->has_file || put_digest(object, "file", &option->file)));
}

static json_t *encode_options(const struct fmt_recipe *recipe)
{
        json_t *array = json_array();
        bool whole = true;

        for (size_t i = 0; i < recipe->n_options; i++)
                whole = whole && !json_array_append_new(array, encode_option(&recipe->options[i]));
        return complete(array, whole);
}

static json_t *encode_recipe(const struct fmt_recipe *recipe)
{
        json_t *object = json_object();

        if ((size_t)recipe->kind >= RECORD_N_NAMES(record_output_names) ||
                (size_t)recipe->linker >= RECORD_N_NAMES(record_linker_names))
                return complete(object, false);
        return complete(
                object, put_string(object, "kind", record_output_names[recipe->kind]) &&
                                put_string(object, "linker", record_linker_names[recipe->linker]) &&
                                put_string(object, "interpreter", recipe->interpreter) &&
                                put_string(object, "soname", recipe->soname) &&
                                put_array(object, "needed", fmt_json_of_strings(recipe->needed)) &&
                                put_string(object, "rpath", recipe->rpath) &&
                                put_true(object, "rpath_is_old", recipe->rpath_is_old) &&
                                put_true(object, "interposable", recipe->interposable) &&
                                put_array(object, "options", encode_options(recipe)));
}

static json_t *encode_input(const struct fmt_input *input)
{
        const struct fmt_module_facts *module = &input->module;
        json_t *object = json_object();

        if ((size_t)input->kind >= RECORD_N_NAMES(record_input_names))
                return complete(object, false);
        return complete(
                object, put_string(object, "kind", record_input_names[input->kind]) &&
                                put_digest(object, "digest", &input->digest) &&
                                put(object, "size", json_integer((json_int_t)input->size)) &&
                                put(object, "name", json_string(input->name)) &&
                                put_true(object, "lazy", input->lazy) &&
                                put_true(object, "has_constructors", input->has_constructors) &&
                                put_true(object, "raw", module->raw) &&
                                put_true(object, "has_extras", module->has_extras) &&
                                put_true(object, "captured_only", module->captured_only) &&
                                put_string(object, "required", module->required) &&
                                put_string(object, "extras", module->extras));
}

static json_t *encode_inputs(const struct fmt_variant *variant)
{
        json_t *array = json_array();
        bool whole = true;

        for (size_t i = 0; i < variant->n_inputs; i++)
                whole = whole && !json_array_append_new(array, encode_input(&variant->inputs[i]));
        return complete(array, whole);
}

static json_t *encode_stub(const struct fmt_stub *stub)
{
        json_t *object = json_object();

        return complete(object, put(object, "soname", json_string(stub->soname)) &&
                                        put_digest(object, "digest", &stub->digest) &&
                                        put(object, "size", json_integer((json_int_t)stub->size)) &&
                                        put_true(object, "needed", stub->needed));
}

static json_t *encode_stubs(const struct fmt_variant *variant)
{
        json_t *array = json_array();
        bool whole = true;

        for (size_t i = 0; i < variant->n_stubs; i++)
                whole = whole && !json_array_append_new(array, encode_stub(&variant->stubs[i]));
        return complete(array, whole);
}

static json_t *encode_variant(const struct fmt_variant *variant)
{
        json_t *object = json_object();

        return complete(object,
                put(object, "name", json_string(variant->name)) &&
                        put_string(object, "required", variant->required) &&
                        put(object, "recipe", encode_recipe(&variant->recipe)) &&
                        put_array(object, "inputs", encode_inputs(variant)) &&
                        put_array(object, "stubs", encode_stubs(variant)) &&
                        put_array(object, "exports", fmt_json_of_strings(variant->exports)));
}

static json_t *encode_variants(const struct fmt_record *record)
{
        json_t *array = json_array();
        bool whole = true;

        for (size_t i = 0; i < record->n_variants; i++)
                whole = whole &&
                        !json_array_append_new(array, encode_variant(&record->variants[i]));
        return complete(array, whole);
}

int fmt_record_encode_again(const struct fmt_record *record, char **ret_json, size_t *ret_size)
{
        _cleanup_(fmt_json_decrefp) json_t *object = json_object();

        if (!put(object, "format", json_string(RECORD_FORMAT)) ||
                !put(object, "version", json_integer(record->version)) ||
                !put_string(object, "producer", record->producer) ||
                !put(object, "machine", json_string(record->machine)) ||
                !put(object, "variants", encode_variants(record)) ||
                !put_array(object, "kept_native", fmt_json_of_strings(record->kept_native)))
                return -EINVAL;
        return fmt_json_dump(object, ret_json, ret_size);
}

int fmt_record_encode(const struct fmt_record *record, char **ret_json, size_t *ret_size)
{
        _cleanup_free_ char *json = NULL;
        _cleanup_(fmt_record_freep) struct fmt_record *again = NULL;
        size_t size;
        int r = fmt_record_encode_again(record, &json, &size);

        if (r < 0)
                return r;
        /* Nobody may write what nobody would read. */
        r = fmt_record_decode(json, size, &again);
        if (r < 0)
                return r == -ENOMEM ? r : -EINVAL;
        *ret_json = steal_pointer(&json);
        *ret_size = size;
        return 0;
}
