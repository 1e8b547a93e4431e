/* SPDX-License-Identifier: Apache-2.0 */
/* Scopes of module results, and what keeps them tidy. */
#include "cache_scope.h"

#include "cache_folder.h"
#include "fmt_cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

/* An entry that is on no list yet may still get on one. */
#define ORPHAN_SECONDS 600

void cache_scope_done(struct cache_scope *scope)
{
        fmt_close_fd(&scope->entries_fd);
        fmt_close_fd(&scope->jobs_fd);
        scope->entries_fd = scope->jobs_fd = -1;
}

int cache_scope_open_named(
        struct cache *cache, const char *name, bool create, struct cache_scope *ret)
{
        const mode_t mode = 0700 | cache->share;
        _cleanup_close_ int fd = -1;
        int r;

        *ret = (struct cache_scope){.entries_fd = -1, .jobs_fd = -1};
        if (cache->modules_fd < 0)
                return -ENOENT;
        snprintf(ret->name, sizeof(ret->name), "%s", name);
        r = cache_folder_sub(cache->modules_fd, name, create, mode, &fd);
        if (r == 0)
                r = cache_folder_sub(fd, "entries", create, mode, &ret->entries_fd);
        if (r == 0)
                r = cache_folder_sub(fd, "jobs", create, mode, &ret->jobs_fd);
        if (r < 0)
                cache_scope_done(ret);
        return r;
}

int cache_scope_open(
        struct cache *cache, const struct fmt_digest *digest, bool create, struct cache_scope *ret)
{
        char name[FMT_DIGEST_HEX_SIZE];

        fmt_digest_to_hex(digest, name);
        return cache_scope_open_named(cache, name, create, ret);
}

int cache_entry_check(
        struct cache *cache, int entries_fd, const struct cache_entry *entry, bool mark)
{
        _cleanup_close_ int fd = -1;
        uint64_t xxh3[2] = {0};
        struct stat st;
        int r;

        r = cache_open_file(entries_fd, entry->name, &fd, &st);
        if (r < 0 && r != -EPERM)
                return r;
        if (r == 0 && (uint64_t)st.st_size == entry->size) {
                r = cache_xxh3(fd, entry->size, xxh3);
                if (r == -ENOMEM)
                        return r;
        }
        if (r == 0 && xxh3[0] == entry->xxh3[0] && xxh3[1] == entry->xxh3[1]) {
                if (mark && !cache->read_only &&
                        st.st_mtim.tv_sec < time(NULL) - CACHE_MARK_SECONDS)
                        utimensat(entries_fd, entry->name, NULL, AT_SYMLINK_NOFOLLOW);
                return 0;
        }
        if (!cache->read_only && unlinkat(entries_fd, entry->name, 0) == 0)
                cache_count(cache, CACHE_DAMAGED, 1);
        return -EBADMSG;
}

/* ---- tidying and verifying ---- */

struct tidy {
        struct cache *cache;
        struct cache_scope *scope;
        struct cache_joblist all; /* entries of all lists of the scope */
        cache_report *report;
        void *context;
        struct cache_verdict *verdict;
};

static int compare_entries(const void *a, const void *b)
{
        const struct cache_entry *x = a, *y = b;

        return strcmp(x->name, y->name);
}

static int remember_entries(struct tidy *tidy, const struct cache_joblist *list)
{
        size_t count = tidy->all.n_entries + list->n_entries;
        void *grown = reallocarray(tidy->all.entries, count + 1, sizeof(*list->entries));

        if (!grown)
                return -ENOMEM;
        tidy->all.entries = grown;
        if (list->n_entries > 0)
                memcpy(tidy->all.entries + tidy->all.n_entries, list->entries,
                        list->n_entries * sizeof(*list->entries));
        tidy->all.n_entries = count;
        return 0;
}

/* Removes a list none of whose entries is left. */
static int tidy_list(void *context, int folder_fd, const char *name)
{
        _cleanup_(cache_joblist_done) struct cache_joblist list = {0};
        struct tidy *tidy = context;
        bool has_some = false;
        int r = cache_joblist_read(folder_fd, name, &list);

        for (size_t i = 0; r == 0 && i < list.n_entries && !has_some; i++)
                has_some = faccessat(tidy->scope->entries_fd, list.entries[i].name, F_OK,
                                   AT_SYMLINK_NOFOLLOW) == 0;
        if (r == -EBADMSG || (r == 0 && !has_some))
                unlinkat(folder_fd, name, 0);
        return has_some ? remember_entries(tidy, &list) : 0;
}

/* Removes an entry that no list names, so that nobody could ever check it. */
static int tidy_entry(void *context, int folder_fd, const char *name)
{
        struct tidy *tidy = context;
        struct cache_entry wanted = {.name = ""};
        struct stat st;

        snprintf(wanted.name, sizeof(wanted.name), "%s", name);
        if (tidy->all.n_entries > 0 && bsearch(&wanted, tidy->all.entries, tidy->all.n_entries,
                                               sizeof(wanted), compare_entries))
                return 0;
        if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                st.st_mtim.tv_sec < time(NULL) - ORPHAN_SECONDS)
                unlinkat(folder_fd, name, 0);
        return 0;
}

static int tidy_scope(void *context, int folder_fd, const char *name)
{
        _cleanup_(cache_scope_done) struct cache_scope scope = {-1, -1, ""};
        _cleanup_close_ int fd = -1;
        struct tidy tidy = {.cache = context, .scope = &scope};

        if (cache_scope_open_named(context, name, false, &scope) == 0 &&
                cache_each_name(scope.jobs_fd, tidy_list, &tidy) == 0) {
                if (tidy.all.n_entries > 0)
                        qsort(tidy.all.entries, tidy.all.n_entries, sizeof(*tidy.all.entries),
                                compare_entries);
                cache_each_name(scope.entries_fd, tidy_entry, &tidy);
        }
        cache_joblist_done(&tidy.all);
        /* Goes only if it is empty. */
        if (cache_folder_sub(folder_fd, name, false, 0, &fd) == 0) {
                unlinkat(fd, "entries", AT_REMOVEDIR);
                unlinkat(fd, "jobs", AT_REMOVEDIR);
                unlinkat(folder_fd, name, AT_REMOVEDIR);
        }
        return 0;
}

void cache_modules_tidy(struct cache *cache)
{
        cache_each_name(cache->modules_fd, tidy_scope, cache);
}

static int verify_list(void *context, int folder_fd, const char *name)
{
        _cleanup_(cache_joblist_done) struct cache_joblist list = {0};
        struct tidy *tidy = context;
        int r = cache_joblist_read(folder_fd, name, &list);

        for (size_t i = 0; r == 0 && i < list.n_entries; i++) {
                const struct cache_entry *entry = &list.entries[i];
                char what[2 * FMT_DIGEST_HEX_SIZE + CACHE_ENTRY_NAME_SIZE];

                r = cache_entry_check(tidy->cache, tidy->scope->entries_fd, entry, false);
                if (r == -ENOENT) {
                        r = 0;
                        continue;
                }
                tidy->verdict->checked++;
                if (r != -EBADMSG)
                        continue;
                r = 0;
                tidy->verdict->damaged++;
                snprintf(what, sizeof(what), "modules/%s/entries/%s", tidy->scope->name,
                        entry->name);
                if (tidy->report)
                        tidy->report(tidy->context, what, "its bytes are not what was taken in");
        }
        return r == -ENOMEM ? r : 0;
}

static int verify_scope(void *context, int folder_fd, const char *name)
{
        _cleanup_(cache_scope_done) struct cache_scope scope = {-1, -1, ""};
        struct tidy *tidy = context;

        (void)folder_fd;
        if (cache_scope_open_named(tidy->cache, name, false, &scope) < 0)
                return 0;
        tidy->scope = &scope;
        return cache_each_name(scope.jobs_fd, verify_list, tidy);
}

int cache_modules_verify(
        struct cache *cache, cache_report *report, void *context, struct cache_verdict *verdict)
{
        struct tidy tidy = {
                .cache = cache, .report = report, .context = context, .verdict = verdict};

        if (cache->modules_fd < 0)
                return 0;
        return cache_each_name(cache->modules_fd, verify_scope, &tidy);
}
