/* SPDX-License-Identifier: Apache-2.0 */
/* xaas profile: what its actions share. */
#ifndef PROFILE_H
#define PROFILE_H

#include "cache_store.h"
#include "image_bundle.h"
#include "jit_profile.h"

#include <stdbool.h>

struct profile_request {
        const char *image;
        char **programs;    /* paths as in the image; NULL-terminated, or NULL: all */
        const char *folder; /* --dir, or NULL */
        const char *place;  /* FILE or DIR of export and import */
        const char *cache;  /* folder, or NULL */
        const char *target; /* or NULL */
        bool add, keep, json;
};

/* Each returns an exit status after saying what is wrong. */
int profile_start(const struct profile_request *request);
int profile_finish(const struct profile_request *request);
int profile_list(const struct profile_request *request);
int profile_export(const struct profile_request *request);
int profile_import(const struct profile_request *request);
int profile_forget(const struct profile_request *request);

/* ---- the image and the cache, without anything that compiles (profile_image.c) ---- */

struct profile_image {
        const char *path;
        struct cache *cache;
        struct image_bundle image;
};

/* Says what is wrong; profile_image_done takes it down whatever happens. */
int profile_image_open(const struct profile_request *request, struct profile_image *ret);
void profile_image_done(struct profile_image *image);

/* One program and the names that profiles of its variants have. */
struct profile_program {
        const struct fmt_program *entry;
        struct fmt_digest *names;
        size_t n_names;
};

/* Calls VISIT for each program that PATHS name (NULL: all), in the manifest's order. Says which
 * PATH is no portable object; then -ENOENT before the first call. Stops at the first error. */
int profile_each(const struct profile_image *image, char *const *paths,
        int (*visit)(void *context, const struct profile_program *program), void *context);

/* ---- making one of many (profile_merge.c) ---- */

/* Merges FILES, counts or profiles, of FOLDER with llvm-profdata in a box that sees nothing else.
 * Damaged ones are left out. The caller frees *ret. Says what is wrong. */
int profile_merge(const char *folder, char *const *files, void **ret, size_t *ret_size);

#endif
