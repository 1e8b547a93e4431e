/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "fmt_json.h"
#include "fmt_log.h"
#include "fmt_record_names.h"

#include <string.h>

#define MAX_VARIANTS 64
#define MAX_NAME 64

/* Unpacks an object whose keys are all known; says which one is wrong. */
#define UNPACK(value, what, ...)                                                                   \
        ({                                                                                         \
                json_error_t error_;                                                               \
                int unpacked_ = json_unpack_ex((value), &error_, JSON_STRICT, __VA_ARGS__);        \
                if (unpacked_ < 0)                                                                 \
                        fmt_debug("record: %s: %s", (what), error_.text);                          \
                unpacked_ < 0 ? -EBADMSG : 0;                                                      \
        })

static int refuse(const char *what, const char *value)
{
        fmt_debug("record: %s \"%s\" is not one that this version knows", what, value);
        return -EBADMSG;
}

static int find_name(
        const char *const *names, size_t n, const char *wanted, const char *what, unsigned *ret)
{
        for (size_t i = 0; i < n; i++)
                if (strcmp(names[i], wanted) == 0) {
                        *ret = (unsigned)i;
                        return 0;
                }
        return refuse(what, wanted);
}

static int decode_digest(const char *hex, struct fmt_digest *ret)
{
        return fmt_digest_from_hex(hex, ret) < 0 ? refuse("digest", hex) : 0;
}

static int decode_size(json_int_t size, uint64_t *ret)
{
        if (size < 0)
                return refuse("size", "negative");
        *ret = (uint64_t)size;
        return 0;
}

/* "+avx2,-fma": what is given to LLVM must be features and nothing else. */
static int copy_features(const char *text, char **ret)
{
        static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
        const char *at = text;

        if (!text)
                return 0;
        for (;;) {
                if (*at != '+' && *at != '-')
                        return refuse("feature list", text);
                size_t length = strspn(at + 1, letters);
                if (length == 0)
                        return refuse("feature list", text);
                at += 1 + length;
                if (*at == '\0')
                        return fmt_json_copy(text, ret);
                if (*at++ != ',')
                        return refuse("feature list", text);
        }
}

static int decode_option(json_t *value, struct fmt_option *option)
{
        const char *text;
        const char *file = NULL;

        int r = UNPACK(value, "option", "{s:s, s?s}", "text", &text, "file", &file);
        if (r == 0 && file) {
                option->has_file = true;
                r = decode_digest(file, &option->file);
        }
        return r < 0 ? r : fmt_json_copy(text, &option->text);
}

static int decode_options(json_t *array, struct fmt_variant *variant)
{
        json_t *item;
        size_t index;

        json_array_foreach (array, index, item) {
                struct fmt_option *option;
                int r = fmt_variant_add_option(variant, &option);
                if (r == 0)
                        r = decode_option(item, option);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int decode_recipe(json_t *value, struct fmt_variant *variant)
{
        struct fmt_recipe *recipe = &variant->recipe;
        const char *kind, *linker, *interpreter = NULL, *soname = NULL, *rpath = NULL;
        json_t *needed = NULL, *options = NULL;
        int old = 0, interposable = 0;
        unsigned kind_index, linker_index;
        char **list;

        int r = UNPACK(value, "recipe", "{s:s, s:s, s?s, s?s, s?o, s?s, s?b, s?b, s?o}", "kind",
                &kind, "linker", &linker, "interpreter", &interpreter, "soname", &soname, "needed",
                &needed, "rpath", &rpath, "rpath_is_old", &old, "interposable", &interposable,
                "options", &options);
        if (r < 0)
                return r;
        if (options && !json_is_array(options))
                return refuse("options", "no array");
        if ((r = find_name(record_output_names, RECORD_N_NAMES(record_output_names), kind,
                     "kind of output", &kind_index)) < 0 ||
                (r = find_name(record_linker_names, RECORD_N_NAMES(record_linker_names), linker,
                         "linker", &linker_index)) < 0 ||
                (r = fmt_json_copy(interpreter, &recipe->interpreter)) < 0 ||
                (r = fmt_json_copy(soname, &recipe->soname)) < 0 ||
                (r = fmt_json_copy(rpath, &recipe->rpath)) < 0 ||
                (r = fmt_json_to_strings(needed, &list)) < 0)
                return r;
        fmt_strings_free(recipe->needed);
        recipe->needed = list;
        recipe->kind = kind_index;
        recipe->linker = linker_index;
        recipe->rpath_is_old = old;
        recipe->interposable = interposable;
        return decode_options(options, variant);
}

static int decode_input(json_t *value, struct fmt_input *input)
{
        struct fmt_module_facts *module = &input->module;
        const char *kind, *digest, *name, *required = NULL, *extras = NULL;
        int lazy = 0, constructors = 0, raw = 0, has_extras = 0, captured_only = 0;
        json_int_t size;
        unsigned kind_index;

        int r = UNPACK(value, "input", "{s:s, s:s, s:I, s:s, s?b, s?b, s?b, s?b, s?b, s?s, s?s}",
                "kind", &kind, "digest", &digest, "size", &size, "name", &name, "lazy", &lazy,
                "has_constructors", &constructors, "raw", &raw, "has_extras", &has_extras,
                "captured_only", &captured_only, "required", &required, "extras", &extras);
        if (r < 0)
                return r;
        if ((r = find_name(record_input_names, RECORD_N_NAMES(record_input_names), kind,
                     "kind of input", &kind_index)) < 0 ||
                (r = decode_digest(digest, &input->digest)) < 0 ||
                (r = decode_size(size, &input->size)) < 0 ||
                (r = fmt_json_copy(name, &input->name)) < 0 ||
                (r = copy_features(required, &module->required)) < 0 ||
                (r = copy_features(extras, &module->extras)) < 0)
                return r;
        input->kind = kind_index;
        input->lazy = lazy;
        input->has_constructors = constructors;
        module->raw = raw;
        module->has_extras = has_extras;
        module->captured_only = captured_only;
        if (input->kind != FMT_INPUT_MODULE &&
                (raw || has_extras || captured_only || required || extras))
                return refuse("facts of a module on input", name);
        return 0;
}

static int decode_inputs(json_t *array, struct fmt_variant *variant)
{
        json_t *item;
        size_t index;

        json_array_foreach (array, index, item) {
                struct fmt_input *input;
                int r = fmt_variant_add_input(variant, &input);
                if (r == 0)
                        r = decode_input(item, input);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int decode_stubs(json_t *array, struct fmt_variant *variant)
{
        json_t *item;
        size_t index;

        json_array_foreach (array, index, item) {
                struct fmt_stub *stub;
                const char *soname, *digest;
                json_int_t size;
                int needed = 0;
                int r = fmt_variant_add_stub(variant, &stub);
                if (r < 0)
                        return r;
                r = UNPACK(item, "stub", "{s:s, s:s, s:I, s?b}", "soname", &soname, "digest",
                        &digest, "size", &size, "needed", &needed);
                if (r < 0 || (r = decode_digest(digest, &stub->digest)) < 0 ||
                        (r = decode_size(size, &stub->size)) < 0 ||
                        (r = fmt_json_copy(soname, &stub->soname)) < 0)
                        return r;
                stub->needed = needed;
        }
        return 0;
}

static int check_variant_name(const struct fmt_record *record, const char *name)
{
        static const char letters[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_+";
        size_t length = strlen(name);

        if (length == 0 || length > MAX_NAME || strspn(name, letters) != length)
                return refuse("name of a variant", name);
        for (size_t i = 0; i < record->n_variants; i++)
                if (strcmp(record->variants[i].name, name) == 0)
                        return refuse("second variant", name);
        return record->n_variants < MAX_VARIANTS ? 0 : refuse("variant beyond the 64th", name);
}

static int decode_variant(json_t *value, struct fmt_record *record)
{
        struct fmt_variant *variant;
        const char *name, *required = NULL;
        json_t *recipe, *inputs = NULL, *stubs = NULL, *exports = NULL;
        char **list;

        int r = UNPACK(value, "variant", "{s:s, s?s, s:o, s?o, s?o, s?o}", "name", &name,
                "required", &required, "recipe", &recipe, "inputs", &inputs, "stubs", &stubs,
                "exports", &exports);
        if (r < 0)
                return r;
        if ((inputs && !json_is_array(inputs)) || (stubs && !json_is_array(stubs)))
                return refuse("inputs or stubs of variant", name);
        if ((r = check_variant_name(record, name)) < 0 ||
                (r = fmt_record_add_variant(record, name, &variant)) < 0 ||
                (r = copy_features(required, &variant->required)) < 0 ||
                (r = decode_recipe(recipe, variant)) < 0 ||
                (r = decode_inputs(inputs, variant)) < 0 ||
                (r = decode_stubs(stubs, variant)) < 0 ||
                (r = fmt_json_to_strings(exports, &list)) < 0)
                return r;
        fmt_strings_free(variant->exports);
        variant->exports = list;
        return 0;
}

static int decode_record(json_t *value, struct fmt_record *record)
{
        const char *format, *producer = NULL, *machine;
        json_int_t version;
        json_t *variants, *native = NULL, *item;
        size_t index;
        char **list;

        /* A newer version may have keys that this one does not know. */
        if (json_unpack(value, "{s:s, s:I}", "format", &format, "version", &version) == 0 &&
                strcmp(format, RECORD_FORMAT) == 0 && version > FMT_RECORD_VERSION)
                return -EPROTONOSUPPORT;
        int r = UNPACK(value, "record", "{s:s, s:I, s?s, s:s, s:o, s?o}", "format", &format,
                "version", &version, "producer", &producer, "machine", &machine, "variants",
                &variants, "kept_native", &native);
        if (r < 0)
                return r;
        if (strcmp(format, RECORD_FORMAT) != 0 || version != FMT_RECORD_VERSION)
                return refuse("format", format);
        if (!json_is_array(variants) ||
                (json_array_size(variants) == 0 && json_array_size(native) == 0))
                return refuse("variants", "none, and no reason why");
        free(record->machine);
        record->machine = NULL;
        if ((r = fmt_json_copy(machine, &record->machine)) < 0 ||
                (r = fmt_json_copy(producer, &record->producer)) < 0 ||
                (r = fmt_json_to_strings(native, &list)) < 0)
                return r;
        fmt_strings_free(record->kept_native);
        record->kept_native = list;
        json_array_foreach (variants, index, item) {
                r = decode_variant(item, record);
                if (r < 0)
                        return r;
        }
        return 0;
}

int fmt_record_decode(const void *json, size_t size, struct fmt_record **ret)
{
        _cleanup_(fmt_json_decrefp) json_t *value = NULL;
        _cleanup_(fmt_record_freep) struct fmt_record *record = NULL;

        int r = fmt_json_parse(json, size, "record", &value);
        if (r < 0)
                return r;
        r = fmt_record_new(&record);
        if (r < 0)
                return r;
        r = decode_record(value, record);
        if (r < 0)
                return r;
        *ret = steal_pointer(&record);
        return 0;
}
