/* SPDX-License-Identifier: Apache-2.0 */
/* Offering results of modules to a compile, and taking new ones from it. */
#include "cache_modules.h"

#include "cache_internal.h"
#include "cache_joblist.h"
#include "cache_scope.h"
#include "fmt_cleanup.h"

#include <fcntl.h>
#include <string.h>

/* Native code of one module; a compile that writes more than this is after our disk. */
#define LARGEST_ENTRY (1ULL << 30)

/* ---- seeding ---- */

struct seed {
        struct cache *cache;
        struct cache_scope *scope;
        struct cache_wanted wanted; /* modules of the compile */
        int target;
        int count;
};

static int offer(struct seed *seed, const struct cache_entry *entry)
{
        _cleanup_free_ char *path = NULL;
        struct stat st;

        if (fstatat(seed->target, entry->name, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
                cache_entry_check(seed->cache, seed->scope->entries_fd, entry, true) < 0)
                return 0;
        if (asprintf(&path, "%s/v1/modules/%s/entries/%s", seed->cache->directory,
                    seed->scope->name, entry->name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        if (symlinkat(path, seed->target, entry->name) < 0)
                return errno == EEXIST ? 0 : -errno;
        seed->count++;
        return 0;
}

static int seed_from_job(void *context, int folder_fd, const char *name)
{
        _cleanup_(cache_joblist_done) struct cache_joblist list = {0};
        struct seed *seed = context;
        int r = cache_joblist_read_wanted(folder_fd, name, &seed->wanted, &list);

        if (r == -EBADMSG && !seed->cache->read_only) {
                unlinkat(folder_fd, name, 0);
                cache_count(seed->cache, CACHE_DAMAGED, 1);
        }
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        for (size_t i = 0; r == 0 && i < list.n_entries; i++)
                r = offer(seed, &list.entries[i]);
        return r;
}

int cache_modules_seed(struct cache *cache, const struct fmt_digest *scopes, size_t n_scopes,
        const struct fmt_digest *modules, size_t n_modules, const char *cache_folder)
{
        _cleanup_close_ int target = open(cache_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct seed seed = {.cache = cache, .target = target};
        int r;

        if (target < 0)
                return -errno;
        r = cache_wanted_new(modules, n_modules, &seed.wanted);
        for (size_t i = 0; r == 0 && i < n_scopes; i++) {
                _cleanup_(cache_scope_done) struct cache_scope scope = {-1, -1, ""};
                if (cache_scope_open(cache, &scopes[i], false, &scope) < 0)
                        continue;
                seed.scope = &scope;
                r = cache_each_name(scope.jobs_fd, seed_from_job, &seed);
        }
        cache_wanted_done(&seed.wanted);
        return r < 0 ? r : seed.count;
}

/* ---- importing ---- */

struct import {
        struct cache *cache;
        struct cache_scope *scope;
        struct cache_joblist list;
        size_t most;
};

/* What the worker wrote is copied, so that nobody can have it open for writing. */
static int copy_entry(
        struct import *import, int from, const struct stat *st, struct cache_entry *entry)
{
        struct cache *cache = import->cache;
        char temporary[CACHE_RANDOM_NAME_SIZE];
        _cleanup_close_ int fd = -1;
        off_t offset = 0;
        int r = 0;

        cache_random_name("entry", temporary);
        fd = openat(cache->jobs_fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                0400 | (cache->share & 0044));
        if (fd < 0)
                return -errno;
        while (r == 0 && offset < st->st_size) {
                ssize_t n =
                        copy_file_range(from, &offset, fd, NULL, (size_t)(st->st_size - offset), 0);
                if (n <= 0 && !(n < 0 && errno == EINTR))
                        r = n < 0 ? -errno : -EIO;
        }
        entry->size = (uint64_t)st->st_size;
        if (r == 0)
                r = cache_xxh3(fd, entry->size, entry->xxh3);
        if (r == 0 &&
                linkat(cache->jobs_fd, temporary, import->scope->entries_fd, entry->name, 0) < 0)
                r = -errno;
        unlinkat(cache->jobs_fd, temporary, 0);
        if (r == 0)
                cache_usage_add(cache, entry->size + 4096);
        return r;
}

static int import_entry(void *context, int folder_fd, const char *name)
{
        struct import *import = context;
        struct cache_joblist *list = &import->list;
        _cleanup_close_ int fd = -1;
        struct cache_entry *entry;
        struct stat st;
        int r;

        if (!cache_entry_name_is_valid(name) || list->n_entries >= import->most)
                return 0;
        fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0)
                return errno == ELOOP || errno == ENOENT ? 0 : -errno;
        if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > LARGEST_ENTRY)
                return 0;
        entry = &list->entries[list->n_entries];
        snprintf(entry->name, sizeof(entry->name), "%s", name);
        r = copy_entry(import, fd, &st, entry);
        /* Another program with the same module was quicker: then it is the same. */
        if (r == -EEXIST)
                r = cache_entry_check(import->cache, import->scope->entries_fd, entry, true);
        if (r == 0)
                list->n_entries++;
        return r == -EBADMSG || r == -ENOENT ? 0 : r;
}

/* A compile that is repeated after some of its entries were evicted makes only those anew: the
 * others stay on its list. */
static int keep_earlier(struct import *import, const char *name, struct cache_entry **ret_entries)
{
        _cleanup_(cache_joblist_done) struct cache_joblist earlier = {0};
        struct cache_joblist *list = &import->list;
        size_t made = list->n_entries;
        void *grown;
        int r = cache_joblist_read(import->scope->jobs_fd, name, &earlier);

        if (r < 0)
                return r == -ENOMEM ? r : 0;
        grown = reallocarray(list->entries, made + earlier.n_entries + 1, sizeof(*list->entries));
        if (!grown)
                return -ENOMEM;
        *ret_entries = list->entries = grown;
        for (size_t i = 0; i < earlier.n_entries; i++) {
                const struct cache_entry *entry = &earlier.entries[i];
                bool known = faccessat(import->scope->entries_fd, entry->name, F_OK,
                                     AT_SYMLINK_NOFOLLOW) < 0;
                for (size_t j = 0; j < made && !known; j++)
                        known = !strcmp(list->entries[j].name, entry->name);
                if (!known)
                        list->entries[list->n_entries++] = *entry;
        }
        return 0;
}

int cache_modules_import(struct cache *cache, const struct fmt_digest *scope_digest,
        const struct fmt_digest *key, const struct fmt_digest *modules, size_t n_modules,
        const char *cache_folder, unsigned *ret_new)
{
        _cleanup_close_ int folder =
                open(cache_folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        _cleanup_(cache_scope_done) struct cache_scope scope = {-1, -1, ""};
        _cleanup_free_ struct cache_entry *entries = calloc(n_modules + 1, sizeof(*entries));
        /* ld.lld makes at most one entry per module. */
        struct import import = {.cache = cache, .scope = &scope, .most = n_modules};
        char name[FMT_DIGEST_HEX_SIZE];
        int r;

        *ret_new = 0;
        if (cache->read_only)
                return 0;
        if (folder < 0)
                return -errno;
        if (!entries)
                return -ENOMEM;
        r = cache_scope_open(cache, scope_digest, true, &scope);
        if (r < 0)
                return r;
        import.list = (struct cache_joblist){.modules = (struct fmt_digest *)modules,
                .n_modules = n_modules,
                .entries = entries};
        r = cache_each_name(folder, import_entry, &import);
        *ret_new = (unsigned)import.list.n_entries;
        if (import.list.n_entries > 0) {
                int listed;
                fmt_digest_to_hex(key, name);
                listed = keep_earlier(&import, name, &entries);
                if (listed == 0)
                        listed = cache_joblist_write(cache, scope.jobs_fd, name, &import.list);
                r = r < 0 ? r : listed;
        }
        return r;
}

int cache_modules_folder(struct cache *cache, char **ret_path)
{
        if (asprintf(ret_path, "%s/v1/modules", cache->directory) < 0) {
                *ret_path = NULL;
                return -ENOMEM;
        }
        return 0;
}
