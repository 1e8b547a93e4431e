/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles of programs: how often their functions and branches ran, which the compiler is told.
 *
 * A profile is a file in LLVM's indexed form (`llvm-profdata merge` makes it of what counting
 * programs wrote, jit_profile_runtime.c). It belongs to the parts that a program is made of and not
 * to a target: what is counted stands in the image's bitcode, before anything is made for a host.
 * Two notes of the cache (cache_note.h) hold it, so that nothing evicts it:
 *
 *     kind "profile"     {"version": 1, "program": PATH, "data": HEX, "size": N, "time": N,
 *                        "files": N}, named by jit_profile_name
 *     kind "profdata"    the file, named by its SHA-256
 *
 * A person may also have given one with the image (`xaas pack --profile`); of the two the younger
 * one is used. Nothing here reads what is in a profile: that is for a confined process. */
#ifndef JIT_PROFILE_H
#define JIT_PROFILE_H

#include "cache_store.h"
#include "fmt_record.h"

struct jit_profile {
        char *program;          /* a path that it was made for: for people */
        struct fmt_digest data; /* SHA-256 */
        uint64_t size;          /* bytes */
        uint64_t time;          /* when it was made, seconds since the epoch */
        uint64_t files;         /* that it was merged of; 0: it was imported */
};

/* What names the profile of VARIANT, and the files that it writes while it counts: SHA-256 of the
 * canonical JSON of its inputs and recipe. */
int jit_profile_name(const struct fmt_variant *variant, struct fmt_digest *ret);

/* -ENOENT; -EBADMSG: damaged, or of another version. The caller frees with jit_profile_done. */
int jit_profile_read(struct cache *cache, const struct fmt_digest *name, struct jit_profile *ret);
/* Keeps DATA, and that it is PROFILE's, whose digest and size it sets. Replaces what was there. As
 * cache_note_write. */
int jit_profile_write(struct cache *cache, const struct fmt_digest *name,
        struct jit_profile *profile, const void *data);
/* -ENOENT. The file goes too, unless another program has the same. */
int jit_profile_remove(struct cache *cache, const struct fmt_digest *name);
void jit_profile_done(struct jit_profile *profile);

/* The file itself, checked against its name. The caller frees *ret. -ENOENT, -EBADMSG. */
int jit_profile_data(
        struct cache *cache, const struct fmt_digest *digest, void **ret, size_t *ret_size);

/* What the profile of the program at PATH is called in a folder of profiles:
 * "FOLDER/usr/bin/x.profdata". The caller frees it; NULL: out of memory. */
char *jit_profile_file_name(const char *folder, const char *path);

/* Reads FILE. The caller frees *ret. -EBADMSG: it does not begin as LLVM's indexed profiles do;
 * -EFBIG. */
int jit_profile_load_file(const char *file, void **ret, uint64_t *ret_size);

/* Calls VISIT with every profile that can be read, until it returns something else than 0. */
int jit_profile_each(struct cache *cache,
        int (*visit)(
                void *context, const struct fmt_digest *name, const struct jit_profile *profile),
        void *context);

#endif
