/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_modules.h"
#include "fmt_cleanup.h"
#include "jit_bitcode.h"

#include <search.h>
#include <string.h>

struct pack_modules {
        struct pack_module **list;
        size_t count;
        size_t done; /* as many are in normal form */
        void *by_raw;
};

int pack_modules_new(struct pack_modules **ret)
{
        *ret = calloc(1, sizeof **ret);
        return *ret ? 0 : -ENOMEM;
}

static void module_free(struct pack_module *module)
{
        free(module->name);
        free(module->data);
        free(module->facts.required);
        free(module->facts.extras);
        free(module->reason);
        free(module);
}

static void keep(void *node)
{
        (void)node; /* the list owns it */
}

void pack_modules_free(struct pack_modules *modules)
{
        if (!modules)
                return;
        tdestroy(modules->by_raw, keep);
        for (size_t i = 0; i < modules->count; i++)
                module_free(modules->list[i]);
        free(modules->list);
        free(modules);
}

static int by_raw(const void *a, const void *b)
{
        return fmt_digest_compare(
                &((const struct pack_module *)a)->raw, &((const struct pack_module *)b)->raw);
}

const struct pack_module *pack_modules_find(
        const struct pack_modules *modules, const struct fmt_digest *raw)
{
        const struct pack_module wanted = {.raw = *raw};
        struct pack_module **found = tfind(&wanted, &modules->by_raw, by_raw);

        return found ? *found : NULL;
}

/* The list grows when its count is a power of two. */
static int append(struct pack_modules *modules, struct pack_module *module)
{
        size_t count = modules->count;

        if ((count & (count - 1)) == 0) {
                struct pack_module **grown =
                        reallocarray(modules->list, count ? 2 * count : 1, sizeof *grown);
                if (!grown)
                        return -ENOMEM;
                modules->list = grown;
        }
        if (!tsearch(module, &modules->by_raw, by_raw))
                return -ENOMEM;
        modules->list[modules->count++] = module;
        return 0;
}

int pack_modules_add(struct pack_modules *modules, const struct fmt_digest *raw, const char *name,
        void *data, size_t size)
{
        struct pack_module *module = calloc(1, sizeof *module);

        if (!module) {
                free(data);
                return -ENOMEM;
        }
        module->raw = *raw;
        module->name = strdup(name);
        module->data = data;
        module->size = module->raw_size = size;
        int r = module->name ? append(modules, module) : -ENOMEM;
        if (r < 0)
                module_free(module);
        return r;
}

static int take_result(struct pack_module *module, struct jit_bitcode_result *result)
{
        free(steal_pointer(&module->data));
        module->size = 0;
        if (result->error < 0) {
                module->reason = result->reason ? steal_pointer(&result->reason)
                                                : strdup("its bitcode cannot be read");
                return module->reason ? 0 : -ENOMEM;
        }
        module->data = steal_pointer(&result->data);
        module->size = result->size;
        module->facts = result->facts;
        result->facts = (struct fmt_module_facts){0};
        module->not_optimised = result->not_optimised;
        return fmt_digest_of(module->data, module->size, &module->normal);
}

int pack_modules_normalise(struct pack_modules *modules, struct jit_spawner *spawner,
        bool keep_debug, unsigned threads,
        void (*progress)(void *context, size_t done, size_t total), void *context)
{
        size_t n = modules->count - modules->done;

        if (n == 0)
                return 0;
        struct pack_module **waiting = modules->list + modules->done;
        _cleanup_free_ struct jit_bitcode_input *inputs = calloc(n, sizeof *inputs);
        _cleanup_free_ struct jit_bitcode_result *results = calloc(n, sizeof *results);
        if (!inputs || !results)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                inputs[i] = (struct jit_bitcode_input){.data = waiting[i]->data,
                        .size = waiting[i]->size,
                        .name = waiting[i]->name};
        int r = jit_bitcode_normalise(
                spawner, inputs, n, keep_debug, threads, progress, context, results);
        if (r < 0)
                return r; /* which has been explained */
        for (size_t i = 0; i < n; i++) {
                int taken = take_result(waiting[i], &results[i]);
                jit_bitcode_result_done(&results[i]);
                r = r < 0 ? r : taken;
        }
        modules->done = modules->count;
        return r;
}

void pack_modules_release(struct pack_modules *modules, const struct pack_module *module)
{
        struct pack_module **found = tfind(module, &modules->by_raw, by_raw);

        if (found)
                free(steal_pointer(&(*found)->data));
}

size_t pack_modules_waiting(const struct pack_modules *modules)
{
        size_t bytes = 0;

        for (size_t i = modules->done; i < modules->count; i++)
                bytes += modules->list[i]->size;
        return bytes;
}

size_t pack_modules_done(const struct pack_modules *modules)
{
        return modules->done;
}
