/* SPDX-License-Identifier: Apache-2.0 */
/* The folder DIR/v1/modules/SCOPE: see cache_modules.h. Internal to the cache. */
#ifndef CACHE_SCOPE_H
#define CACHE_SCOPE_H

#include "cache_internal.h"
#include "cache_joblist.h"

struct cache_scope {
        int entries_fd;
        int jobs_fd;
        char name[FMT_DIGEST_HEX_SIZE];
};

/* -ENOENT unless CREATE. */
int cache_scope_open(
        struct cache *cache, const struct fmt_digest *digest, bool create, struct cache_scope *ret);
int cache_scope_open_named(
        struct cache *cache, const char *name, bool create, struct cache_scope *ret);
void cache_scope_done(struct cache_scope *scope);

/* 0 if the entry is there and whole; -ENOENT; -EBADMSG after taking it out and counting it. MARK:
 * write down that it was used. */
int cache_entry_check(
        struct cache *cache, int entries_fd, const struct cache_entry *entry, bool mark);

#endif
