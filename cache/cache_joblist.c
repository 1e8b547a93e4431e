/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_joblist.h"

#include "fmt_cleanup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define ENTRY_PREFIX "llvmcache-"
#define SHA1_HEX_SIZE 40

/* A compile of a hundred thousand modules stays below this. */
#define LARGEST_LIST (16 << 20)

bool cache_entry_name_is_valid(const char *name)
{
        size_t prefix = strlen(ENTRY_PREFIX);

        return !strncmp(name, ENTRY_PREFIX, prefix) && strlen(name) == prefix + SHA1_HEX_SIZE &&
               strspn(name + prefix, "0123456789ABCDEFabcdef") == SHA1_HEX_SIZE;
}

void cache_joblist_done(struct cache_joblist *list)
{
        free(list->modules);
        free(list->entries);
        *list = (struct cache_joblist){0};
}

static int parse_module(const char *line, struct cache_joblist *list)
{
        return fmt_digest_from_hex(line, &list->modules[list->n_modules++]) < 0 ? -EBADMSG : 0;
}

static int parse_entry(const char *line, struct cache_joblist *list)
{
        struct cache_entry *entry = &list->entries[list->n_entries++];
        int end = -1;

        if (sscanf(line, "%50s %" SCNu64 " %16" SCNx64 "%16" SCNx64 "%n", entry->name, &entry->size,
                    &entry->xxh3[1], &entry->xxh3[0], &end) != 4 ||
                end < 0 || line[end] || !cache_entry_name_is_valid(entry->name))
                return -EBADMSG;
        return 0;
}

/* TEXT is cut into lines in place. */
static int parse(char *text, struct cache_joblist *list)
{
        size_t lines = 0;
        int r = 0;
        char *end;

        for (const char *c = text; *c; c++)
                lines += *c == '\n';
        list->modules = calloc(lines + 1, sizeof(*list->modules));
        list->entries = calloc(lines + 1, sizeof(*list->entries));
        if (!list->modules || !list->entries)
                return -ENOMEM;
        for (; r == 0 && *text; text = end + 1) {
                end = strchr(text, '\n');
                if (!end)
                        return -EBADMSG;
                *end = '\0';
                if (!strncmp(text, "M ", 2))
                        r = parse_module(text + 2, list);
                else if (!strncmp(text, "E ", 2))
                        r = parse_entry(text + 2, list);
                else
                        r = -EBADMSG;
        }
        return r;
}

/* The caller frees *ret. */
static int read_text(int folder, const char *name, char **ret)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -1;
        struct stat st;
        ssize_t size;
        int r;

        r = cache_open_file(folder, name, &fd, &st);
        if (r < 0)
                return r == -EPERM ? -EBADMSG : r;
        if (st.st_size > LARGEST_LIST)
                return -EBADMSG;
        text = malloc((size_t)st.st_size + 1);
        if (!text)
                return -ENOMEM;
        size = pread(fd, text, (size_t)st.st_size, 0);
        if (size != st.st_size)
                return size < 0 ? -errno : -EBADMSG;
        text[size] = '\0';
        *ret = steal_pointer(&text);
        return 0;
}

static int parse_list(char *text, struct cache_joblist *ret)
{
        _cleanup_(cache_joblist_done) struct cache_joblist list = {0};
        int r = parse(text, &list);

        if (r < 0)
                return r;
        *ret = list;
        list = (struct cache_joblist){0};
        return 0;
}

int cache_joblist_read(int folder, const char *name, struct cache_joblist *ret)
{
        _cleanup_free_ char *text = NULL;
        int r = read_text(folder, name, &text);

        return r < 0 ? r : parse_list(text, ret);
}

static int compare_hex(const void *a, const void *b)
{
        return memcmp(a, b, FMT_DIGEST_HEX_SIZE - 1);
}

int cache_wanted_new(const struct fmt_digest *modules, size_t n_modules, struct cache_wanted *ret)
{
        ret->hex = calloc(n_modules + 1, sizeof(*ret->hex));
        if (!ret->hex)
                return -ENOMEM;
        ret->count = n_modules;
        for (size_t i = 0; i < n_modules; i++)
                fmt_digest_to_hex(&modules[i], ret->hex[i]);
        qsort(ret->hex, n_modules, sizeof(*ret->hex), compare_hex);
        return 0;
}

void cache_wanted_done(struct cache_wanted *wanted)
{
        free(wanted->hex);
        *wanted = (struct cache_wanted){0};
}

static bool names_wanted(const char *text, const struct cache_wanted *wanted)
{
        for (const char *end; (end = strchr(text, '\n')); text = end + 1)
                if (!strncmp(text, "M ", 2) && end - text == FMT_DIGEST_HEX_SIZE + 1 &&
                        bsearch(text + 2, wanted->hex, wanted->count, sizeof(*wanted->hex),
                                compare_hex))
                        return true;
        return false;
}

int cache_joblist_read_wanted(
        int folder, const char *name, const struct cache_wanted *wanted, struct cache_joblist *ret)
{
        _cleanup_free_ char *text = NULL;
        int r = read_text(folder, name, &text);

        if (r == 0 && !names_wanted(text, wanted))
                r = -ENOENT;
        return r < 0 ? r : parse_list(text, ret);
}

static void print(FILE *file, const struct cache_joblist *list)
{
        for (size_t i = 0; i < list->n_modules; i++) {
                char hex[FMT_DIGEST_HEX_SIZE];
                fmt_digest_to_hex(&list->modules[i], hex);
                fprintf(file, "M %s\n", hex);
        }
        for (size_t i = 0; i < list->n_entries; i++) {
                const struct cache_entry *entry = &list->entries[i];
                fprintf(file, "E %s %" PRIu64 " %016" PRIx64 "%016" PRIx64 "\n", entry->name,
                        entry->size, entry->xxh3[1], entry->xxh3[0]);
        }
}

int cache_joblist_write(
        struct cache *cache, int folder, const char *name, const struct cache_joblist *list)
{
        char temporary[CACHE_RANDOM_NAME_SIZE];
        bool failed;
        FILE *file;
        int r = 0;
        int fd;

        cache_random_name("list", temporary);
        fd = openat(cache->jobs_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                0600 | (cache->share & 0044));
        if (fd < 0)
                return -errno;
        file = fdopen(fd, "w");
        if (!file) {
                close(fd);
                r = -ENOMEM;
        } else {
                print(file, list);
                failed = ferror(file);
                if (fclose(file) != 0 || failed)
                        r = errno ? -errno : -EIO;
        }
        if (r == 0 && renameat(cache->jobs_fd, temporary, folder, name) < 0)
                r = -errno;
        if (r < 0)
                unlinkat(cache->jobs_fd, temporary, 0);
        return r;
}
