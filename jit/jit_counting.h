/* SPDX-License-Identifier: Apache-2.0 */
/* Which programs of an image count how often their code runs, and where to: between `xaas profile
 * start` and `xaas profile finish`. A note of the cache (cache_note.h), kind "counting", named by
 * the root of the image's bundle:
 *
 *     {"version": 1, "folder": PATH, "programs": [PATH…]}
 *
 * A mount reads it when it begins. Code that counts is larger: in such a mount those programs have
 * JIT_COUNTING_GROWTH times the size that they have in others. */
#ifndef JIT_COUNTING_H
#define JIT_COUNTING_H

#include "cache_store.h"
#include "fmt_digest.h"

#include <stdbool.h>

/* Of the promised size, which is twice the generic ELF's. */
#define JIT_COUNTING_GROWTH 2

struct jit_counting {
        char *folder;    /* absolute; NULL: nothing counts */
        char **programs; /* as in the manifest, NULL-terminated; NULL: all */
};

/* Whether the program at PATH (as in the manifest) counts. COUNTING may be NULL. */
bool jit_counting_has(const struct jit_counting *counting, const char *path);

/* -EINVAL and a sentence in *ret_reason (the caller frees): FOLDER is no absolute path, too long,
 * or has a line break in it. */
int jit_counting_check_folder(const char *folder, char **ret_reason);

/* -ENOENT; -EBADMSG: damaged, or of another version. The caller frees with jit_counting_done. */
int jit_counting_read(
        struct cache *cache, const struct fmt_digest *image, struct jit_counting *ret);
/* Replaces what was there. As cache_note_write. */
int jit_counting_write(
        struct cache *cache, const struct fmt_digest *image, const struct jit_counting *counting);
/* -ENOENT. */
int jit_counting_remove(struct cache *cache, const struct fmt_digest *image);
void jit_counting_done(struct jit_counting *counting);

#endif
