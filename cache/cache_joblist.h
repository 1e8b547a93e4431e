/* SPDX-License-Identifier: Apache-2.0 */
/* The list SCOPE/jobs/KEY: which modules a compile had, which entries it made. Format: see
 * cache_modules.h. Internal to the cache. */
#ifndef CACHE_JOBLIST_H
#define CACHE_JOBLIST_H

#include "cache_internal.h"

/* ld.lld's names: "llvmcache-" and a SHA-1 in hexadecimal. */
#define CACHE_ENTRY_NAME_SIZE 51

struct cache_entry {
        char name[CACHE_ENTRY_NAME_SIZE];
        uint64_t size;
        uint64_t xxh3[2]; /* low, high */
};

struct cache_joblist {
        struct fmt_digest *modules;
        size_t n_modules;
        struct cache_entry *entries;
        size_t n_entries;
};

bool cache_entry_name_is_valid(const char *name);

/* -EBADMSG for a list that is damaged. */
int cache_joblist_read(int folder, const char *name, struct cache_joblist *ret);

/* Digests as they stand in lists, sorted. */
struct cache_wanted {
        char (*hex)[FMT_DIGEST_HEX_SIZE];
        size_t count;
};
int cache_wanted_new(const struct fmt_digest *modules, size_t n_modules, struct cache_wanted *ret);
void cache_wanted_done(struct cache_wanted *wanted);

/* The same, but -ENOENT unless one of the modules is WANTED. A compile looks at the lists of all
 * other programs of the image: only the few that matter are worth parsing. */
int cache_joblist_read_wanted(
        int folder, const char *name, const struct cache_wanted *wanted, struct cache_joblist *ret);
int cache_joblist_write(
        struct cache *cache, int folder, const char *name, const struct cache_joblist *list);
void cache_joblist_done(struct cache_joblist *list);

#endif
