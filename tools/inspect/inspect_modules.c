/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "fmt_cores.h"
#include "inspect_parts.h"
#include "jit_bitcode.h"

int inspect_modules_add(struct inspect_modules *modules, json_t *object, void *data, size_t size)
{
        size_t count = modules->count;

        if ((count & (count - 1)) == 0) {
                struct inspect_module *grown =
                        reallocarray(modules->list, count ? 2 * count : 1, sizeof *grown);
                if (!grown) {
                        free(data);
                        return -ENOMEM;
                }
                modules->list = grown;
        }
        modules->list[modules->count++] =
                (struct inspect_module){.object = object, .data = data, .size = size};
        return 0;
}

void inspect_modules_done(struct inspect_modules *modules)
{
        for (size_t i = 0; i < modules->count; i++)
                free(modules->list[i].data);
        free(modules->list);
        *modules = (struct inspect_modules){0};
}

static void set_text(json_t *object, const char *key, const char *text)
{
        if (text)
                json_object_set_new(object, key, json_string(text));
}

static void describe(json_t *object, const struct jit_bitcode_result *result)
{
        const struct fmt_module_facts *facts = &result->facts;

        if (result->error < 0) {
                set_text(object, "unusable",
                        result->reason ? result->reason : "its bitcode cannot be read");
                return;
        }
        json_object_set_new(object, "normal_size", json_integer((json_int_t)result->size));
        set_text(object, "extras", facts->extras);
        set_text(object, "required", facts->required);
        if (facts->captured_only)
                json_object_set_new(object, "captured_only", json_true());
        if (result->not_optimised)
                json_object_set_new(object, "not_optimised", json_true());
}

int inspect_modules_look(struct inspect_modules *modules, struct jit_spawner *spawner)
{
        size_t n = modules->count;
        unsigned threads = fmt_cores_allowed();

        if (n == 0)
                return 0;
        _cleanup_free_ struct jit_bitcode_input *inputs = calloc(n, sizeof *inputs);
        _cleanup_free_ struct jit_bitcode_result *results = calloc(n, sizeof *results);
        if (!inputs || !results)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                inputs[i] = (struct jit_bitcode_input){.data = modules->list[i].data,
                        .size = modules->list[i].size,
                        .name = json_string_value(
                                json_object_get(modules->list[i].object, "name"))};
        int r = jit_bitcode_normalise(spawner, inputs, n, false, threads, NULL, NULL, results);
        for (size_t i = 0; i < n; i++) {
                if (r == 0)
                        describe(modules->list[i].object, &results[i]);
                jit_bitcode_result_done(&results[i]);
        }
        return r;
}
