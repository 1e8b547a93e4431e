/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_worker_link.h"

#include "fmt_cleanup.h"
#include "jit_recipe.h"
#include "jit_worker_run.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define _cleanup_strings_ _cleanup_(free_strings)
#define _cleanup_file_ _cleanup_(jit_worker_file_done)
#define _cleanup_dir_ _cleanup_(close_dir)

/* ld.lld must never throw away what it finds in the cache: a folder lives for one job. */
static const char keep_all[] = "--thinlto-cache-policy=prune_after=0s:cache_size=0%:"
                               "cache_size_bytes=0:cache_size_files=0";

static void free_strings(char ***list)
{
        fmt_strings_free(*list);
}

static void close_dir(DIR **folder)
{
        if (*folder)
                closedir(*folder);
}

/* One run of ld.lld: what differs from one to the next. */
struct run {
        const struct jit_worker_file *inputs;
        const char *cache;  /* folder, or NULL */
        const char *prefix; /* --lto-obj-path, or NULL */
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
        struct jit_link_paths paths = {.inputs = run->inputs->path,
                .lazy_inputs = parts->lazy.fd >= 0 ? parts->lazy.path : NULL,
                .stubs = stubs,
                .option_files = files,
                .thinlto_cache = run->cache,
                .object_prefix = run->prefix};
        int r = jit_recipe_command(variant, &paths, parts->job.tune, parts->job.features, run->opt,
                parts->job.threads, &argv);
        if (r == 0 && run->cache)
                r = fmt_strings_append(&argv, keep_all);
        /* ld.lld does not write a map through /proc/self/fd. */
        snprintf(option, sizeof option, "--Map=%s/map", tools->folder);
        if (r == 0)
                r = fmt_strings_append(&argv, option);
        return r < 0 ? r : jit_worker_run(tools->linker, argv, -1, JIT_WORKER_OUTPUT, ret_reason);
}

/* ---- the second of two links: modules replaced by their objects, in the recorded order ---- */

struct objects {
        const char *prefix;
        size_t next; /* of the objects PREFIX1, PREFIX2, … */
};

static int read_object(const char *path, void **ret_data, size_t *ret_size)
{
        struct stat st;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        _cleanup_free_ char *data = malloc((size_t)st.st_size + 1);
        if (!data)
                return -ENOMEM;
        for (ssize_t at = 0; at < st.st_size;) {
                ssize_t n = read(fd, data + at, (size_t)(st.st_size - at));
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                at += n;
        }
        *ret_data = steal_pointer(&data);
        *ret_size = (size_t)st.st_size;
        return 1;
}

static int replace_by_object(
        void *context, const struct fmt_input *input, void **ret_data, size_t *ret_size)
{
        struct objects *objects = context;
        char path[PATH_MAX];
        if (input && input->kind != FMT_INPUT_MODULE)
                return 0;
        snprintf(path, sizeof path, "%s%zu", objects->prefix, objects->next++);
        return read_object(path, ret_data, ret_size);
}

/* How many objects of lazy modules came out behind those of the N_MODULES others. */
static size_t count_more(const char *prefix, size_t n_modules)
{
        char path[PATH_MAX];
        for (size_t n = 0;; n++) {
                snprintf(path, sizeof path, "%s%zu", prefix, n_modules + n + 1);
                if (access(path, F_OK) < 0)
                        return n;
        }
}

static size_t count_modules(const struct fmt_variant *variant)
{
        size_t n = 0;
        for (size_t i = 0; i < variant->n_inputs; i++)
                n += variant->inputs[i].kind == FMT_INPUT_MODULE && !variant->inputs[i].lazy;
        return n;
}

static int link_in_two_steps(const struct jit_worker_tools *tools,
        const struct jit_worker_parts *parts, const struct run *run, char **ret_reason)
{
        char prefix[PATH_MAX - 32]; /* a number still fits behind it */
        _cleanup_file_ struct jit_worker_file inputs = {.fd = -1};
        snprintf(prefix, sizeof prefix, "%s/object-O%u-", tools->folder, run->opt);
        /* ld.lld leaves empty objects for what it took out of a cache or put into one. */
        struct run first = *run;
        first.prefix = prefix;
        first.cache = NULL;
        int r = run_linker(tools, parts, &first, ret_reason);
        if (r < 0)
                return r;
        struct objects objects = {.prefix = prefix, .next = 1};
        struct jit_worker_change change = {.replace = replace_by_object,
                .context = &objects,
                .n_more = count_more(prefix, count_modules(parts->variant)),
                .made_here = true};
        r = jit_worker_rewrite(parts->variant, run->inputs, false, &change, &inputs);
        if (r < 0)
                return r;
        struct run second = {.inputs = &inputs, .opt = run->opt};
        return run_linker(tools, parts, &second, ret_reason);
}

/* ---- attempts ---- */

/* What ld.lld compiled it left as regular files; what it took were links. */
static uint64_t count_compiled(const char *cache)
{
        _cleanup_dir_ DIR *folder = opendir(cache);
        uint64_t n = 0;
        for (struct dirent *entry; folder && (entry = readdir(folder));)
                n += entry->d_type == DT_REG && strncmp(entry->d_name, "llvmcache-", 10) == 0;
        return n;
}

static int attempt(const struct jit_worker_tools *tools, const struct jit_worker_parts *parts,
        const char *cache_name, unsigned opt, struct jit_worker_linked *ret, char **ret_reason)
{
        char cache[PATH_MAX];
        snprintf(cache, sizeof cache, "%s/%s", tools->folder, cache_name);
        if (mkdir(cache, 0700) < 0 && errno != EEXIST)
                return -errno;
        struct run run = {.inputs = &parts->inputs, .cache = cache, .opt = opt};
        bool twice = jit_recipe_needs_two_steps(parts->variant);
        int r = (twice ? link_in_two_steps : run_linker)(tools, parts, &run, ret_reason);
        ret->opt = opt;
        ret->compiled = twice ? count_modules(parts->variant) : count_compiled(cache);
        return r;
}

int jit_worker_link(const struct jit_worker_tools *tools, const struct jit_worker_parts *parts,
        bool small, struct jit_worker_linked *ret, char **ret_reason)
{
        _cleanup_free_ char *first_reason = NULL;
        *ret = (struct jit_worker_linked){0};
        *ret_reason = NULL;
        unsigned simple = parts->job.opt < 1 ? parts->job.opt : 1;
        if (!small) {
                int r = attempt(tools, parts, "cache", parts->job.opt, ret, &first_reason);
                if (r != -EBADMSG) {
                        *ret_reason = steal_pointer(&first_reason);
                        return r;
                }
        }
        int r = attempt(tools, parts, "cache-simple", simple, ret, ret_reason);
        if (r < 0 && first_reason) {
                free(*ret_reason);
                *ret_reason = steal_pointer(&first_reason);
        }
        return r;
}
