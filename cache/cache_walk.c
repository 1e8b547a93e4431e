/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_folder.h"
#include "cache_internal.h"
#include "fmt_cleanup.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

int cache_each_name(
        int folder_fd, int (*visit)(void *context, int folder_fd, const char *name), void *context)
{
        int fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent *entry;
        DIR *folder;
        int r = 0;

        if (fd < 0)
                return -errno;
        folder = fdopendir(fd);
        if (!folder) {
                close(fd);
                return -ENOMEM;
        }
        while (r == 0 && (entry = readdir(folder)))
                if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
                        r = visit(context, folder_fd, entry->d_name);
        closedir(folder);
        return r;
}

int cache_key_of(const char *shelf, const char *name, struct fmt_digest *ret)
{
        char hex[FMT_DIGEST_HEX_SIZE + 16];

        if (strlen(shelf) != CACHE_SHELF_SIZE - 1)
                return -EINVAL;
        snprintf(hex, sizeof(hex), "%s%s", shelf, name);
        return fmt_digest_from_hex(hex, ret);
}

struct walk {
        struct cache_items *items;
        const char *shelf_or_scope;
};

static int64_t nanoseconds(const struct timespec *time)
{
        return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

static uint64_t on_disk(const struct stat *st)
{
        return (uint64_t)st->st_blocks * 512;
}

static int append(struct cache_items *items, const struct cache_item *item, const char *folder,
        const char *below, const char *name)
{
        struct cache_item *slot;

        /* Doubling, at the powers of two. */
        if ((items->count & (items->count - 1)) == 0) {
                size_t room = items->count ? 2 * items->count : 1;
                void *grown = reallocarray(items->list, room, sizeof(*items->list));
                if (!grown)
                        return -ENOMEM;
                items->list = grown;
        }
        slot = &items->list[items->count];
        *slot = *item;
        slot->name = strdup(name);
        if (asprintf(&slot->folder, item->kind == CACHE_MODULE ? "%s/%s/entries" : "%s%s", folder,
                    below) < 0)
                slot->folder = NULL;
        if (!slot->name || !slot->folder) {
                free(slot->name);
                free(slot->folder);
                return -ENOMEM;
        }
        items->count++;
        items->bytes += item->bytes;
        return 0;
}

static int visit_object(void *context, int folder_fd, const char *name)
{
        struct walk *walk = context;
        struct cache_item item = {.kind = CACHE_OBJECT};
        struct fmt_digest key;
        char meta[CACHE_NAME_SIZE];
        struct stat st;

        if (cache_key_of(walk->shelf_or_scope, name, &key) < 0 ||
                fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0;
        item.bytes = on_disk(&st);
        item.last_use = nanoseconds(&st.st_mtim);
        snprintf(meta, sizeof(meta), "%.62s.meta", name);
        if (fstatat(folder_fd, meta, &st, AT_SYMLINK_NOFOLLOW) == 0) {
                item.is_complete = true;
                item.bytes += on_disk(&st);
                item.last_use = nanoseconds(&st.st_mtim);
        }
        return append(walk->items, &item, "objects/", walk->shelf_or_scope, name);
}

static int visit_shelf(void *context, int folder_fd, const char *name)
{
        struct walk walk = {.items = context, .shelf_or_scope = name};
        _cleanup_close_ int shelf = -1;

        if (cache_folder_sub(folder_fd, name, false, 0, &shelf) < 0)
                return 0;
        return cache_each_name(shelf, visit_object, &walk);
}

static int visit_module(void *context, int folder_fd, const char *name)
{
        struct walk *walk = context;
        struct cache_item item = {.kind = CACHE_MODULE, .is_complete = true};
        struct stat st;

        if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
                return 0;
        item.bytes = on_disk(&st);
        item.last_use = nanoseconds(&st.st_mtim);
        return append(walk->items, &item, "modules", walk->shelf_or_scope, name);
}

static int visit_scope(void *context, int folder_fd, const char *name)
{
        struct walk walk = {.items = context, .shelf_or_scope = name};
        _cleanup_close_ int scope = -1, entries = -1;

        if (cache_folder_sub(folder_fd, name, false, 0, &scope) < 0 ||
                cache_folder_sub(scope, "entries", false, 0, &entries) < 0)
                return 0;
        return cache_each_name(entries, visit_module, &walk);
}

static int visit_index(void *context, int folder_fd, const char *name)
{
        struct cache_item item = {.kind = CACHE_INDEX, .is_complete = true};
        struct stat st;

        if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
                return 0;
        item.bytes = on_disk(&st);
        item.last_use = nanoseconds(&st.st_mtim);
        return append(context, &item, "indexes", "", name);
}

int cache_walk(struct cache *cache, struct cache_items *ret)
{
        int r = 0;

        *ret = (struct cache_items){0};
        if (cache->objects_fd >= 0)
                r = cache_each_name(cache->objects_fd, visit_shelf, ret);
        if (r == 0 && cache->modules_fd >= 0)
                r = cache_each_name(cache->modules_fd, visit_scope, ret);
        if (r == 0 && cache->indexes_fd >= 0)
                r = cache_each_name(cache->indexes_fd, visit_index, ret);
        if (r < 0)
                cache_items_done(ret);
        return r;
}

void cache_items_done(struct cache_items *items)
{
        for (size_t i = 0; i < items->count; i++) {
                free(items->list[i].folder);
                free(items->list[i].name);
        }
        free(items->list);
        *items = (struct cache_items){0};
}
