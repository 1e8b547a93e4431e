/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include "cache_index.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_record.h"

#include <string.h>

int profile_image_open(const struct profile_request *request, struct profile_image *ret)
{
        struct cache_options how = {.directory = request->cache};

        *ret = (struct profile_image){.path = request->image};
        int r = cache_open(&how, &ret->cache);
        if (r < 0)
                return r;
        const struct fmt_index_keeper keeper = cache_index_keeper(ret->cache);
        r = image_bundle_open(request->image, &keeper, &ret->image);
        if (r == 0 && !ret->image.manifest) {
                fmt_error("%s holds no portable objects; build programs with `xaas build` and pack "
                          "the image again",
                        request->image);
                r = -ENOENT;
        }
        return r;
}

void profile_image_done(struct profile_image *image)
{
        image_bundle_done(&image->image);
        cache_close(image->cache);
        *image = (struct profile_image){0};
}

/* ---- programs ---- */

/* Which of the manifest's programs PATH is, by whatever name. */
static const struct fmt_program *find(const struct profile_image *image, const char *path)
{
        const struct fmt_manifest *manifest = image->image.manifest;
        fmt_inode wanted, inode;

        if (fmt_squashfs_resolve(image->image.image, path, &wanted) < 0)
                return NULL;
        for (size_t i = 0; i < manifest->n_programs; i++)
                if (fmt_squashfs_resolve(image->image.image, manifest->programs[i].path, &inode) ==
                                0 &&
                        inode == wanted)
                        return &manifest->programs[i];
        return NULL;
}

/* One place for each program of the manifest: whether it is meant. */
static int choose(const struct profile_image *image, char *const *paths, bool *chosen)
{
        const struct fmt_manifest *manifest = image->image.manifest;

        for (size_t i = 0; i < manifest->n_programs; i++)
                chosen[i] = !paths;
        for (; paths && *paths; paths++) {
                const struct fmt_program *program = find(image, *paths);
                if (!program) {
                        fmt_error("%s is no portable object of %s; `xaas inspect %s` lists them",
                                *paths, image->path, image->path);
                        return -ENOENT;
                }
                chosen[program - manifest->programs] = true;
        }
        return 0;
}

static int read_names(const struct profile_image *image, struct profile_program *program)
{
        _cleanup_(fmt_record_freep) struct fmt_record *record = NULL;
        _cleanup_free_ void *json = NULL;
        size_t size;
        int r = fmt_bundle_read(image->image.bundle, &program->entry->record, &json, &size);

        if (r == 0)
                r = fmt_record_decode(json, size, &record);
        if (r < 0) {
                fmt_error("the program record of %s cannot be read: %s; pack the image again",
                        program->entry->path, strerror(-r));
                return r;
        }
        program->names = calloc(record->n_variants + 1, sizeof(*program->names));
        if (!program->names)
                return -ENOMEM;
        for (size_t i = 0; i < record->n_variants && r == 0; i++)
                r = jit_profile_name(&record->variants[i], &program->names[program->n_names++]);
        return r;
}

int profile_each(const struct profile_image *image, char *const *paths,
        int (*visit)(void *context, const struct profile_program *program), void *context)
{
        const struct fmt_manifest *manifest = image->image.manifest;
        _cleanup_free_ bool *chosen = calloc(manifest->n_programs + 1, sizeof(*chosen));

        if (!chosen)
                return -ENOMEM;
        int r = choose(image, paths, chosen);
        for (size_t i = 0; i < manifest->n_programs && r == 0; i++) {
                struct profile_program program = {.entry = &manifest->programs[i]};
                if (!chosen[i])
                        continue;
                r = read_names(image, &program);
                if (r == 0)
                        r = visit(context, &program);
                free(program.names);
        }
        return r;
}
