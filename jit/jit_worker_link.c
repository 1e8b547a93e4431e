/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_worker_link.h"

#include "fmt_cleanup.h"
#include "jit_bitcode_protocol.h"
#include "jit_link_order.h"
#include "jit_progress.h"
#include "jit_recipe.h"
#include "jit_worker_run.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define _cleanup_strings_ _cleanup_(fmt_strings_freep)

/* One run of ld.lld: what differs from one to the next. */
struct run {
        const char *cache;  /* folder */
        const char *script; /* -T, or NULL */
        unsigned opt;
};

static const char **collect_paths(const struct jit_worker_file *files, size_t n)
{
        const char **paths = calloc(n + 1, sizeof *paths);
        for (size_t i = 0; paths && i < n; i++)
                paths[i] = files[i].fd >= 0 ? files[i].path : NULL;
        return paths;
}

static int run_linker(const struct jit_worker_tools *tools, const struct jit_worker_parts *parts,
        const struct run *run, char **ret_reason)
{
        const struct fmt_variant *variant = parts->variant;
        _cleanup_free_ const char **stubs = collect_paths(parts->stubs, variant->n_stubs);
        _cleanup_free_ const char **files = collect_paths(parts->files, variant->recipe.n_options);
        _cleanup_strings_ char **argv = NULL;
        char option[PATH_MAX];
        if (!stubs || !files)
                return -ENOMEM;
        struct jit_link_paths paths = {.inputs = parts->inputs.path,
                .lazy_inputs = parts->lazy.fd >= 0 ? parts->lazy.path : NULL,
                .stubs = stubs,
                .option_files = files,
                .runtime = parts->runtime.fd >= 0 ? parts->runtime.path : NULL,
                .thinlto_cache = run->cache,
                .is_profiled = parts->profile.fd >= 0};
        struct jit_policy policy = parts->job.policy;
        policy.opt = run->opt;
        int r = jit_recipe_command(variant, &paths, parts->job.tune, parts->job.features, &policy,
                parts->job.threads, &argv);
        if (r == 0 && run->script)
                r = fmt_strings_append(&argv, "-T");
        if (r == 0 && run->script)
                r = fmt_strings_append(&argv, run->script);
        /* ld.lld does not write a map through /proc/self/fd. */
        snprintf(option, sizeof option, "--Map=%s/map", tools->folder);
        if (r == 0)
                r = fmt_strings_append(&argv, option);
        if (r == 0 && tools->waiting->line < 0)
                r = jit_worker_linker_start(tools->linker, tools->threads, tools->waiting);
        return r < 0 ? r : jit_worker_linker_run(tools->waiting, argv, ret_reason);
}

/* ---- the order of constructors ---- */

static int write_script(const char *path, const char *script)
{
        _cleanup_fclose_ FILE *file = fopen(path, "we");
        if (!file || fputs(script, file) < 0 || fflush(file) != 0)
                return -errno;
        return 0;
}

/* What ld.lld just linked is linked again where its constructors stand in the wrong order. */
static int put_in_order(const struct jit_worker_tools *tools, const struct jit_worker_parts *parts,
        const struct run *run, char **ret_reason)
{
        _cleanup_free_ char *map = NULL, *script = NULL;
        char path[PATH_MAX];
        const void *archive;
        size_t map_size, archive_size;
        snprintf(path, sizeof path, "%s/map", tools->folder);
        int r = jit_worker_read(path, &map, &map_size);
        if (r == 0)
                r = jit_bitcode_map(parts->inputs.fd, &archive, &archive_size);
        if (r < 0)
                return r;
        r = jit_link_order(map, map_size, parts->inputs.path, archive, archive_size, &script);
        munmap((void *)archive, archive_size);
        if (r < 0 || !script)
                return r;
        struct run again = *run;
        snprintf(path, sizeof path, "%s/order", tools->folder);
        again.script = path;
        r = write_script(path, script);
        return r < 0 ? r : run_linker(tools, parts, &again, ret_reason);
}

/* ---- attempts ---- */

#define SIMPLE_OPT 1

static int attempt(const struct jit_worker_tools *tools, const struct jit_worker_parts *parts,
        const char *cache_name, unsigned opt, struct jit_worker_linked *ret, char **ret_reason)
{
        char cache[PATH_MAX];
        snprintf(cache, sizeof cache, "%s/%s", tools->folder, cache_name);
        if (mkdir(cache, 0700) < 0 && errno != EEXIST)
                return -errno;
        struct run run = {.cache = cache, .opt = opt};
        int r = run_linker(tools, parts, &run, ret_reason);
        if (r == 0 && jit_recipe_order_matters(parts->variant)) {
                r = put_in_order(tools, parts, &run, ret_reason);
                if (r < 0 && !*ret_reason)
                        *ret_reason = strdup("the order of its constructors cannot be kept");
        }
        ret->opt = opt;
        ret->compiled = jit_progress_count(cache);
        return r;
}

int jit_worker_link(const struct jit_worker_tools *tools, const struct jit_worker_parts *parts,
        bool small, struct jit_worker_linked *ret, char **ret_reason)
{
        _cleanup_free_ char *first_reason = NULL;
        *ret = (struct jit_worker_linked){0};
        *ret_reason = NULL;
        if (!small) {
                int r = attempt(tools, parts, JIT_WORKER_RESULTS, parts->job.policy.opt, ret,
                        &first_reason);
                if (r != -EBADMSG) {
                        *ret_reason = steal_pointer(&first_reason);
                        return r;
                }
        }
        int r = attempt(tools, parts, JIT_WORKER_SIMPLE_RESULTS, SIMPLE_OPT, ret, ret_reason);
        if (r < 0 && first_reason) {
                free(*ret_reason);
                *ret_reason = steal_pointer(&first_reason);
        }
        return r;
}
