/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_portable.h"

#include "fs_counting.h"
#include "fs_libraries.h"
#include "fs_root.h"
#include "fs_watch.h"

#include "cache_store.h"
#include "fmt_bundle.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "jit_host.h"

#include <string.h>

struct fs_portable {
        struct fs_programs shared;
        struct fmt_source_inode bundle_file;
        struct fmt_bundle *bundle;
        struct fmt_manifest *manifest;
        struct jit_target *target;
        struct jit_counting counting;
        struct fs_program **programs; /* sorted by inode */
        size_t n_programs;
};

static int compare_programs(const void *a, const void *b)
{
        const fmt_inode x = fs_program_inode(*(struct fs_program *const *)a);
        const fmt_inode y = fs_program_inode(*(struct fs_program *const *)b);
        return (x > y) - (x < y);
}

struct fs_program *fs_portable_find(const struct fs_portable *portable, fmt_inode inode)
{
        if (portable == NULL)
                return NULL;
        for (size_t low = 0, high = portable->n_programs; low < high;) {
                const size_t middle = low + (high - low) / 2;
                const fmt_inode here = fs_program_inode(portable->programs[middle]);
                if (here == inode)
                        return portable->programs[middle];
                if (inode < here)
                        high = middle;
                else
                        low = middle + 1;
        }
        return NULL;
}

/* The folder that holds the bundle, and nothing else that anybody should see. */
static int find_bundle(const struct fs *fs, fmt_inode *ret_folder, fmt_inode *ret_bundle)
{
        int error = fmt_squashfs_lookup(
                fs->image, FMT_ROOT, FMT_IMAGE_DIRECTORY, strlen(FMT_IMAGE_DIRECTORY), ret_folder);
        const char *name = strrchr(FMT_IMAGE_BUNDLE, '/') + 1;
        return error < 0 ? error
                         : fmt_squashfs_lookup(
                                   fs->image, *ret_folder, name, strlen(name), ret_bundle);
}

bool fs_portable_may_exist(const struct fs *fs)
{
        fmt_inode folder, bundle;
        return find_bundle(fs, &folder, &bundle) == 0;
}

static int read_manifest(struct fs_portable *portable)
{
        struct fmt_source source;
        struct fmt_digest root;
        _cleanup_free_ void *json = NULL;
        size_t size;
        int error = fmt_source_of_inode(&portable->bundle_file, &source);
        if (error == 0)
                error = fmt_bundle_open(source, &portable->bundle);
        if (error < 0)
                return error;
        fmt_bundle_root(portable->bundle, &root);
        error = fmt_bundle_read(portable->bundle, &root, &json, &size);
        return error < 0 ? error : fmt_manifest_decode(json, size, &portable->manifest);
}

/* A program that is not where the manifest says is served as what it is. */
static int add_program(
        struct fs_portable *portable, const struct fs *fs, const struct fmt_program *entry)
{
        struct fmt_squashfs *image = portable->bundle_file.image;
        const char *path = fs_root_path(fs, entry->path);
        fmt_inode inode;
        struct stat st;
        if (path == NULL)
                return 0;
        if (fmt_squashfs_resolve(image, path, &inode) < 0 ||
                fmt_squashfs_stat(image, inode, &st) < 0 || !S_ISREG(st.st_mode) ||
                (entry->baseline && (uint64_t)st.st_size > entry->size)) {
                fmt_warning("/%s: the image lists it as a program but does not hold it; pack the "
                            "image again",
                        entry->path);
                return 0;
        }
        int error = fs_program_new(
                &portable->shared, inode, entry, &portable->programs[portable->n_programs]);
        if (error == 0)
                portable->n_programs++;
        return error;
}

static int add_programs(struct fs_portable *portable, const struct fs *fs)
{
        const struct fmt_manifest *manifest = portable->manifest;
        portable->programs = calloc(manifest->n_programs + 1, sizeof(struct fs_program *));
        if (portable->programs == NULL)
                return -ENOMEM;
        for (size_t i = 0; i < manifest->n_programs; i++) {
                int error = add_program(portable, fs, &manifest->programs[i]);
                if (error < 0)
                        return error;
        }
        qsort(portable->programs, portable->n_programs, sizeof *portable->programs,
                compare_programs);
        /* Two names of one file are one program. */
        size_t kept = 0;
        for (size_t i = 0; i < portable->n_programs; i++) {
                if (kept > 0 && compare_programs(
                                        &portable->programs[kept - 1], &portable->programs[i]) == 0)
                        fs_program_free(portable->programs[i]);
                else
                        portable->programs[kept++] = portable->programs[i];
        }
        portable->n_programs = kept;
        return 0;
}

/* What a plain image can do without, programs need: say what is wrong with it. */
static int need_cache(struct fs *fs, const struct fs_options *options)
{
        const struct cache_options cache_options = {
                .directory = options->cache, .limit = options->cache_limit};
        return fs->cache != NULL ? 0 : cache_open(&cache_options, &fs->cache);
}

/* A name that is mistyped is, whatever the image of the day holds. */
static int check_target(const struct fs_options *options)
{
        struct jit_target *target = NULL;
        int error = options->target != NULL ? jit_target_detect(options->target, false, &target) : 0;
        jit_target_free(target);
        return error;
}

static int open_parts(struct fs_portable *portable, struct fs *fs, const struct fs_options *options)
{
        int error = read_manifest(portable);
        if (error < 0) {
                fmt_error("cannot read the programs of %s: /%s: %s; get the image again, or mount "
                          "it with a plain squashfs to run the generic programs",
                        options->image, FMT_IMAGE_BUNDLE,
                        error == -EPROTONOSUPPORT ? "it was packed by a newer xaasfs"
                                                  : strerror(-error));
                return error;
        }
        error = add_programs(portable, fs);
        if (error < 0)
                return error;
        if (portable->n_programs == 0)
                return check_target(options);
        error = jit_target_detect(options->target, false, &portable->target);
        if (error == 0 && !jit_target_takes_images(portable->target))
                error = -ENOTSUP;
        if (error == 0)
                error = need_cache(fs, options);
        return error < 0 ? error
                         : fs_counting_begin(options, fs->cache, portable->bundle,
                                   portable->manifest, &portable->counting);
}

int fs_portable_open(struct fs *fs, const struct fs_options *options)
{
        fmt_inode folder, bundle;
        if (find_bundle(fs, &folder, &bundle) < 0)
                return check_target(options);
        struct fs_portable *portable = calloc(1, sizeof *portable);
        if (portable == NULL)
                return -ENOMEM;
        portable->bundle_file = (struct fmt_source_inode){.image = fs->image, .inode = bundle};
        int error = open_parts(portable, fs, options);
        if (error == 0)
                fs->hidden = folder;
        if (error < 0 || portable->n_programs == 0) {
                fs_portable_free(portable);
                return error;
        }
        const struct jit_target *target = portable->target;
        portable->shared.fs = fs;
        portable->shared.cache = fs->cache;
        portable->shared.patience_ns = options->patience_ns;
        portable->shared.first_is_fast = options->first_is_fast;
        portable->shared.notifies = options->notifies;
        /* "native" would say nothing: name what this host is tuned for. */
        portable->shared.target =
                strcmp(target->label, "native") == 0 ? target->tune : target->label;
        atomic_init(
                &portable->shared.no_passthrough, "the kernel does not have it (6.9 and later do)");
        fs->portable = portable;
        return 0;
}

static uint64_t sweep(void *context, uint64_t now)
{
        struct fs_portable *portable = context;
        uint64_t next = FS_WATCH_NEVER;
        /* Whoever begins to linger from here on pokes again; those who still do say so. */
        atomic_store(&portable->shared.anyone_lingers, false);
        for (size_t i = 0; i < portable->n_programs; i++) {
                uint64_t wanted = fs_program_sweep(portable->programs[i], now);
                next = wanted < next ? wanted : next;
        }
        return next;
}

int fs_portable_start(
        struct fs_portable *portable, const struct fs_options *options, struct jit_spawner *spawner)
{
        const struct jit_options session_options = {.variant = options->variant,
                .memory_limit = options->jit_memory,
                .cores = options->jit_cores,
                .wish = options->wish,
                .counting = &portable->counting};
        int error = jit_session_new(&session_options, spawner, portable->shared.cache,
                portable->target, portable->bundle, portable->manifest, &portable->shared.session);
        if (error < 0)
                return error;
        return fs_watch_start(sweep, portable, &portable->shared.watch);
}

void fs_portable_offer_passthrough(struct fs_portable *portable)
{
        atomic_store(&portable->shared.no_passthrough, fs_passthrough_untried);
}

const char *fs_portable_no_passthrough(const struct fs_portable *portable)
{
        return atomic_load(&portable->shared.no_passthrough);
}

const struct jit_options *fs_portable_pool(const struct fs_portable *portable)
{
        return jit_session_options(portable->shared.session);
}

size_t fs_portable_count(const struct fs_portable *portable)
{
        return portable->n_programs;
}

struct fs_program *fs_portable_program(const struct fs_portable *portable, size_t number)
{
        return portable->programs[number];
}

void fs_portable_connect(struct fs_portable *portable, int device)
{
        portable->shared.device = device;
}

void fs_portable_start_libraries(struct fs_portable *portable, struct fs_program *program)
{
        if (fs_program_is_first(program))
                fs_libraries_start(portable->shared.fs, program);
}

void fs_portable_free(struct fs_portable *portable)
{
        if (portable == NULL)
                return;
        if (portable->shared.session != NULL)
                jit_session_free(portable->shared.session, false);
        fs_watch_stop(portable->shared.watch);
        for (size_t i = 0; i < portable->n_programs; i++)
                fs_program_free(portable->programs[i]);
        free(portable->programs);
        jit_target_free(portable->target);
        jit_counting_done(&portable->counting);
        fmt_manifest_free(portable->manifest);
        fmt_bundle_free(portable->bundle);
        free(portable);
}
