/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping the cache within its bounds, and cleaning up after those who died. Removing an object
 * takes nothing from whoever has it open; whoever is about to publish it holds its lock, and is
 * left alone. */
#include "cache_folder.h"
#include "cache_internal.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <time.h>

/* Files without an owner whom a lock would tell about are left alone for as long as their maker
 * could possibly still be between two system calls. */
#define LEFTOVER_SECONDS 600

/* A file system that is 95 % full is about to be full, and other people's programs fail then. On a
 * large one 5 % is a lot: 2 GiB is more than any object. */
#define HEADROOM_PERCENT 5
#define HEADROOM_MOST (2ULL << 30)

static bool is_old(const struct stat *st)
{
        return st->st_mtim.tv_sec < time(NULL) - LEFTOVER_SECONDS;
}

/* ---- leftovers ---- */

static int visit_lock(void *context, int folder_fd, const char *name)
{
        struct cache_lock *lock;

        (void)folder_fd;
        /* Taking and releasing removes it. "collect" is held by ourselves. */
        if (strcmp(name, "collect") && strlen(name) < FMT_DIGEST_HEX_SIZE &&
                cache_lock_named(context, name, false, &lock) == 0)
                cache_lock_release(lock);
        return 0;
}

static int visit_job(void *context, int folder_fd, const char *name)
{
        _cleanup_close_ int fd = -1;
        struct stat st;
        bool abandoned;

        (void)context;
        if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        if (S_ISDIR(st.st_mode)) {
                fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                abandoned = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
        } else {
                abandoned = is_old(&st);
        }
        if (abandoned)
                cache_tree_remove(folder_fd, name);
        return 0;
}

struct shelf {
        struct cache *cache;
        const char *name;
};

/* A record whose object never came. */
static int visit_meta(void *context, int folder_fd, const char *name)
{
        struct shelf *shelf = context;
        size_t size = strlen(name);
        char object[CACHE_NAME_SIZE];
        struct cache_lock *lock;
        struct fmt_digest key;
        struct stat st;

        if (size < 5 || size >= sizeof(object) || strcmp(name + size - 5, ".meta"))
                return 0;
        snprintf(object, sizeof(object), "%.*s", (int)size - 5, name);
        if (faccessat(folder_fd, object, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
                fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !is_old(&st) ||
                cache_key_of(shelf->name, object, &key) < 0 ||
                cache_lock_take(shelf->cache, &key, false, &lock) < 0)
                return 0;
        if (faccessat(folder_fd, object, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                unlinkat(folder_fd, name, 0);
        cache_lock_release(lock);
        return 0;
}

static int visit_shelf(void *context, int folder_fd, const char *name)
{
        struct shelf shelf = {.cache = context, .name = name};
        _cleanup_close_ int fd = -1;

        if (cache_folder_sub(folder_fd, name, false, 0, &fd) == 0)
                cache_each_name(fd, visit_meta, &shelf);
        return 0;
}

static void remove_leftovers(struct cache *cache)
{
        cache_each_name(cache->locks_fd, visit_lock, cache);
        cache_each_name(cache->jobs_fd, visit_job, cache);
        cache_each_name(cache->objects_fd, visit_shelf, cache);
        cache_modules_tidy(cache);
}

/* ---- eviction ---- */

static int by_last_use(const void *a, const void *b)
{
        const struct cache_item *x = a, *y = b;

        return (x->last_use > y->last_use) - (x->last_use < y->last_use);
}

static bool evict_object(struct cache *cache, int folder, const struct cache_item *item)
{
        struct cache_lock *lock;
        struct cache_names names;
        struct fmt_digest key;
        bool gone;

        if (cache_key_of(strrchr(item->folder, '/') + 1, item->name, &key) < 0 ||
                cache_lock_take(cache, &key, false, &lock) < 0)
                return false;
        cache_names_of(&key, &names);
        gone = unlinkat(folder, names.object, 0) == 0;
        unlinkat(folder, names.meta, 0);
        cache_lock_release(lock);
        return gone;
}

static bool evict(struct cache *cache, const struct cache_item *item)
{
        _cleanup_close_ int folder = openat(
                cache->root_fd, item->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        bool gone;

        if (folder < 0)
                return false;
        gone = item->kind == CACHE_OBJECT ? evict_object(cache, folder, item)
                                          : unlinkat(folder, item->name, 0) == 0;
        if (gone)
                cache_count(cache, CACHE_EVICTIONS, 1);
        return gone;
}

/* Down to LIMIT bytes, but for the KEEP most recently used; objects that lack their record go
 * in any case. */
static int collect(struct cache *cache, uint64_t limit, size_t keep, uint64_t *ret_freed)
{
        _cleanup_(cache_items_done) struct cache_items items = {0};
        const int64_t old = ((int64_t)time(NULL) - LEFTOVER_SECONDS) * 1000000000;
        uint64_t left;
        int r;

        r = cache_walk(cache, &items);
        if (r < 0)
                return r;
        left = items.bytes;
        if (items.count > 0)
                qsort(items.list, items.count, sizeof(*items.list), by_last_use);
        for (size_t i = 0; i < items.count; i++) {
                const struct cache_item *item = &items.list[i];
                bool over = left > limit && i + keep < items.count;
                if ((over || (!item->is_complete && item->last_use < old)) && evict(cache, item))
                        left -= item->bytes;
        }
        cache_usage_set(cache, left);
        if (ret_freed)
                *ret_freed = items.bytes - left;
        return 0;
}

int cache_collect(struct cache *cache, uint64_t limit, uint64_t *ret_freed)
{
        struct cache_lock *lock;
        int r;

        if (cache->read_only)
                return -EROFS;
        r = cache_lock_named(cache, "collect", true, &lock);
        if (r < 0)
                return r;
        r = collect(cache, limit ? limit : cache->limit, 0, ret_freed);
        if (r == 0)
                remove_leftovers(cache);
        cache_lock_release(lock);
        return r;
}

/* What the file system is short of if BYTES more are to leave its headroom free. */
static uint64_t missing_headroom(struct cache *cache, uint64_t bytes)
{
        struct statvfs fs;
        uint64_t size, wanted, available;

        if (fstatvfs(cache->root_fd, &fs) < 0)
                return 0;
        size = (uint64_t)fs.f_blocks * fs.f_frsize;
        available = (uint64_t)fs.f_bavail * fs.f_frsize;
        wanted = size / 100 * HEADROOM_PERCENT;
        if (wanted > HEADROOM_MOST)
                wanted = HEADROOM_MOST;
        wanted += bytes;
        return available < wanted ? wanted - available : 0;
}

void cache_keep_bounds(struct cache *cache, uint64_t bytes)
{
        uint64_t usage = cache_usage_read(cache);
        uint64_t missing = missing_headroom(cache, bytes);
        uint64_t limit = cache->limit;
        struct cache_lock *lock;

        if (usage != UINT64_MAX && usage <= cache->limit && (missing == 0 || usage == 0))
                return;
        /* Someone else is at it. */
        if (cache_lock_named(cache, "collect", false, &lock) < 0)
                return;
        if (usage == UINT64_MAX && collect(cache, UINT64_MAX, 0, NULL) == 0)
                usage = cache_usage_read(cache);
        /* A tenth more than needed, so that not every publish has to walk the cache. */
        if (usage > limit)
                limit -= limit / 10;
        if (missing > 0) {
                uint64_t less = missing + missing / 10;
                uint64_t rest = usage > less ? usage - less : 0;
                limit = rest < limit ? rest : limit;
        }
        if (usage > limit && collect(cache, limit, 1, NULL) < 0)
                fmt_debug("cannot walk the cache %s to evict from it", cache->directory);
        cache_lock_release(lock);
}

/* ---- everything ---- */

static int visit_file(void *context, int folder_fd, const char *name)
{
        (void)context;
        unlinkat(folder_fd, name, 0);
        return 0;
}

static int clear_shelf(void *context, int folder_fd, const char *name)
{
        _cleanup_close_ int fd = -1;

        (void)context;
        if (cache_folder_sub(folder_fd, name, false, 0, &fd) == 0)
                cache_each_name(fd, visit_file, NULL);
        return 0;
}

static int clear_scope(void *context, int folder_fd, const char *name)
{
        (void)context;
        return cache_tree_remove(folder_fd, name);
}

int cache_clear(struct cache *cache, bool reset_counters, uint64_t *ret_freed)
{
        _cleanup_(cache_items_done) struct cache_items items = {0};
        struct cache_lock *lock;
        int r;

        if (cache->read_only)
                return -EROFS;
        r = cache_lock_named(cache, "collect", true, &lock);
        if (r < 0)
                return r;
        r = cache_walk(cache, &items);
        if (r == 0)
                r = cache_each_name(cache->objects_fd, clear_shelf, NULL);
        if (r == 0)
                r = cache_each_name(cache->modules_fd, clear_scope, NULL);
        if (r == 0)
                r = cache_each_name(cache->indexes_fd, visit_file, NULL);
        if (r == 0) {
                cache_usage_set(cache, 0);
                remove_leftovers(cache);
                if (reset_counters)
                        cache_counters_reset(cache);
                if (ret_freed)
                        *ret_freed = items.bytes;
        }
        cache_lock_release(lock);
        return r;
}
