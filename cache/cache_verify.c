/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at everything: what there is, and whether it is what was published. */
#include "cache_folder.h"
#include "cache_internal.h"
#include "fmt_cleanup.h"

#include <fcntl.h>
#include <string.h>

int cache_stats(struct cache *cache, struct cache_stats *ret)
{
        _cleanup_(cache_items_done) struct cache_items items = {0};
        int r = cache_walk(cache, &items);

        if (r < 0)
                return r;
        *ret = (struct cache_stats){.limit = cache->limit};
        for (int counter = 0; counter < CACHE_N_COUNTERS; counter++)
                ret->counters[counter] = cache_counter_read(cache, counter);
        for (size_t i = 0; i < items.count; i++) {
                const struct cache_item *item = &items.list[i];
                switch (item->kind) {
                case CACHE_OBJECT:
                        ret->objects++;
                        ret->object_bytes += item->bytes;
                        break;
                case CACHE_MODULE:
                        ret->module_results++;
                        ret->module_bytes += item->bytes;
                        break;
                case CACHE_INDEX:
                        ret->indexes++;
                        ret->index_bytes += item->bytes;
                        break;
                }
        }
        return 0;
}

static int compare_use(const void *a, const void *b)
{
        const struct cache_item *x = a, *y = b;

        return (x->last_use < y->last_use) - (x->last_use > y->last_use);
}

int cache_each_object(struct cache *cache,
        int (*visit)(void *context, const struct cache_object *object), void *context)
{
        _cleanup_(cache_items_done) struct cache_items items = {0};
        int r = cache_walk(cache, &items);

        if (r == 0 && items.count > 0)
                qsort(items.list, items.count, sizeof(*items.list), compare_use);
        for (size_t i = 0; r == 0 && i < items.count; i++) {
                const struct cache_item *item = &items.list[i];
                /* Only objects are on shelves. */
                if (item->kind != CACHE_OBJECT)
                        continue;
                const char *shelf_name = strrchr(item->folder, '/') + 1;
                _cleanup_(cache_meta_done) struct cache_meta meta = {0};
                _cleanup_close_ int shelf = -1;
                struct cache_object object = {
                        .meta = &meta, .bytes = item->bytes, .last_use = item->last_use};
                struct cache_names names;
                if (cache_key_of(shelf_name, item->name, &object.key) < 0 ||
                        cache_open_shelf(cache, shelf_name, false, &shelf) < 0)
                        continue;
                cache_names_of(&object.key, &names);
                if (cache_meta_read(shelf, names.meta, &meta) == 0)
                        r = visit(context, &object);
        }
        return r;
}

/* -EBADMSG: it was damaged. */
static int verify_object(struct cache *cache, const struct cache_item *item, const char **ret_why)
{
        const char *shelf_name = strrchr(item->folder, '/') + 1;
        _cleanup_(cache_meta_done) struct cache_meta meta = {0};
        _cleanup_close_ int shelf = -1, fd = -1;
        struct stat st = {0};
        struct cache_names names;
        struct fmt_digest key;
        int r;

        if (cache_key_of(shelf_name, item->name, &key) < 0 ||
                cache_open_shelf(cache, shelf_name, false, &shelf) < 0)
                return 0;
        cache_names_of(&key, &names);
        r = cache_check_object(shelf, &names, &fd, &meta, &st, ret_why);
        if (r != -EBADMSG)
                return r == -ENOENT ? 0 : r;
        cache_seen_remove(cache->seen, &key);
        cache_take_out(cache, shelf, &names, &st, *ret_why);
        return r;
}

static int tell(const struct cache_item *item, const char *why, cache_report *report, void *context)
{
        _cleanup_free_ char *what = NULL;

        if (!report)
                return 0;
        if (asprintf(&what, "%s/%s", item->folder, item->name) < 0) {
                what = NULL;
                return -ENOMEM;
        }
        report(context, what, why);
        return 0;
}

int cache_verify(
        struct cache *cache, cache_report *report, void *context, struct cache_verdict *ret)
{
        _cleanup_(cache_items_done) struct cache_items items = {0};
        struct cache_verdict verdict = {0};
        int r = cache_walk(cache, &items);

        for (size_t i = 0; r == 0 && i < items.count; i++) {
                const struct cache_item *item = &items.list[i];
                const char *why;
                /* Those are on lists that say what they must be: below. */
                if (item->kind == CACHE_MODULE)
                        continue;
                r = item->kind == CACHE_INDEX ? cache_index_verify(cache, item->name, &why)
                                              : verify_object(cache, item, &why);
                verdict.checked++;
                if (r == -EBADMSG) {
                        verdict.damaged++;
                        r = tell(item, why, report, context);
                }
        }
        if (r == 0)
                r = cache_modules_verify(cache, report, context, &verdict);
        if (r == 0)
                *ret = verdict;
        return r;
}
