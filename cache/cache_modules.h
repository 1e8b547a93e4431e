/* SPDX-License-Identifier: Apache-2.0 */
/* Results of single modules (entries of ld.lld's ThinLTO cache), kept across compiles so that a
 * module is compiled once even if several programs, or the next version of the image, hold it.
 *
 * ld.lld verifies nothing in that cache, and an entry comes out of a confined worker that an
 * evil module of the same image may have taken over. So entries live in a scope, the root digest of
 * the image whose worker wrote them (which covers every module that worker can have seen), and a
 * compile for an image reads its own scope and the scopes of earlier images which that image names
 * as trusted (fmt_manifest.h) - nobody else's. Entries are checked by XXH3-128 before use.
 *
 *     SCOPE/entries/NAME           bytes as ld.lld wrote them; modification time: last use
 *     SCOPE/jobs/KEY               text: a line "M digest" for each module of the compile KEY, a
 *                                  line "E name size xxh3" for each entry it made (hexadecimal,
 *                                  size decimal; XXH3-128 with its high half first) */
#ifndef CACHE_MODULES_H
#define CACHE_MODULES_H

#include "cache_store.h"

/* Puts into CACHE_FOLDER (made by the caller in the folder of its job) every entry of the SCOPES
 * (SCOPES[0] is the image's own) that came from a compile which shares a module with MODULES: as
 * symbolic links into the store, which the worker may only read. Returns their number, or a
 * negative errno; a damaged entry is taken out, not fatal. */
int cache_modules_seed(struct cache *cache, const struct fmt_digest *scopes, size_t n_scopes,
        const struct fmt_digest *modules, size_t n_modules, const char *cache_folder);

/* Takes what ld.lld left in CACHE_FOLDER (regular files named llvmcache-…) into scope SCOPE
 * for compile KEY. ret_new: entries that were new. Takes nothing for a read-only cache. Call when
 * the worker is gone. */
int cache_modules_import(struct cache *cache, const struct fmt_digest *scope,
        const struct fmt_digest *key, const struct fmt_digest *modules, size_t n_modules,
        const char *cache_folder, unsigned *ret_new);

/* Path of the folder a worker must be able to read so that seeds resolve; the caller frees it. */
int cache_modules_folder(struct cache *cache, char **ret_path);

#endif
