/* SPDX-License-Identifier: Apache-2.0 */
/* Giving a finished object its name. Order: bytes on disk, record, name, folder on disk. At
 * every moment a reader sees no object, or a whole one with its record. */
#include "cache_internal.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <fcntl.h>
#include <string.h>

/* The staged file is no longer one that can be linked (its name was removed): give its bytes
 * to one that can. */
static int copy_and_rename(
        struct cache *cache, int staged_fd, uint64_t used, int folder, const char *name)
{
        char temporary[CACHE_RANDOM_NAME_SIZE];
        _cleanup_close_ int fd = -1;
        off_t from = 0;
        struct stat st;
        int r = 0;

        cache_random_name("copy", temporary);
        fd = openat(cache->jobs_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                0400 | (cache->share & 0044));
        if (fd < 0)
                return -errno;
        while (r == 0 && (uint64_t)from < used) {
                ssize_t n = copy_file_range(staged_fd, &from, fd, NULL, used - (uint64_t)from, 0);
                if (n <= 0 && !(n < 0 && errno == EINTR))
                        r = n < 0 ? -errno : -EIO;
        }
        if (r == 0 && (fstat(staged_fd, &st) < 0 || ftruncate(fd, st.st_size) < 0 || fsync(fd) < 0))
                r = -errno;
        if (r == 0 && linkat(cache->jobs_fd, temporary, folder, name, 0) < 0)
                r = -errno;
        unlinkat(cache->jobs_fd, temporary, 0);
        return r;
}

/* AT_EMPTY_PATH needs no /proc but, on kernels before 6.10, CAP_DAC_READ_SEARCH; the way
 * through /proc needs nothing else. */
int cache_give_name(struct cache *cache, int staged_fd, uint64_t used, int folder, const char *name)
{
        char path[64];

        if (linkat(staged_fd, "", folder, name, AT_EMPTY_PATH) == 0)
                return 0;
        if (errno == EEXIST || errno == ENOSPC || errno == EDQUOT)
                return -errno;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", staged_fd);
        if (linkat(AT_FDCWD, path, folder, name, AT_SYMLINK_FOLLOW) == 0)
                return 0;
        if (errno == EEXIST || errno == ENOSPC || errno == EDQUOT)
                return -errno;
        return copy_and_rename(cache, staged_fd, used, folder, name);
}

static int prepare(int staged_fd, struct cache_meta *meta, struct stat *ret_st)
{
        int r;

        if (fstat(staged_fd, ret_st) < 0)
                return -errno;
        if ((uint64_t)ret_st->st_size != meta->size || meta->elf_size > meta->size)
                return -EINVAL;
        r = cache_xxh3(staged_fd, meta->elf_size, meta->xxh3);
        if (r < 0)
                return r;
        if (fsync(staged_fd) < 0)
                return -errno;
        return fstat(staged_fd, ret_st) < 0 ? -errno : 0;
}

/* Whether somebody published KEY before us. An object that is there but no good (peek has taken
 * out a damaged one; one without its record was left by somebody who died) makes room. */
static bool is_published(struct cache *cache, const struct fmt_digest *key, int shelf,
        const struct cache_names *names)
{
        _cleanup_close_ int fd = -1;
        int r = cache_peek(cache, key, &fd, NULL);

        if (r == -ENOENT)
                unlinkat(shelf, names->object, 0);
        return r == 0;
}

static int publish(struct cache *cache, const struct fmt_digest *key, int staged_fd,
        const struct cache_meta *meta, const struct stat *st)
{
        _cleanup_close_ int shelf = -1;
        struct cache_names names;
        int r;

        cache_names_of(key, &names);
        r = cache_open_shelf(cache, names.shelf, true, &shelf);
        if (r < 0)
                return r;
        if (is_published(cache, key, shelf, &names))
                return 0;
        r = cache_meta_write(cache, shelf, names.meta, meta);
        if (r < 0)
                return r;
        r = cache_give_name(cache, staged_fd, meta->elf_size, shelf, names.object);
        if (r == -EEXIST)
                return 0;
        if (r < 0) {
                unlinkat(shelf, names.meta, 0);
                return r;
        }
        if (fsync(shelf) < 0)
                return -errno;
        cache_seen_add(cache->seen, key, st, meta);
        cache_usage_add(cache, (uint64_t)st->st_blocks * 512 + 4096);
        cache_count(cache, CACHE_BYTES_PUBLISHED, meta->elf_size);
        return 0;
}

int cache_publish(
        struct cache *cache, const struct fmt_digest *key, int staged_fd, struct cache_meta *meta)
{
        struct stat st;
        int r;

        if (cache->read_only)
                return -EROFS;
        r = prepare(staged_fd, meta, &st);
        if (r == 0)
                r = publish(cache, key, staged_fd, meta, &st);
        if (r == 0)
                cache_keep_bounds(cache, 0);
        return r;
}
