/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_note.h"

#include "cache_folder.h"
#include "cache_internal.h"
#include "fmt_cleanup.h"
#include "fmt_whole.h"

#include <endian.h>
#include <fcntl.h>
#include <string.h>
#include <xxhash.h>

#define SUM_SIZE sizeof(XXH128_canonical_t)

static int open_kind(struct cache *cache, const char *kind, bool create, int *ret_fd)
{
        const mode_t mode = 0700 | cache->share;
        _cleanup_close_ int notes = -1;

        if (create && cache->read_only)
                return -EROFS;
        if (cache->root_fd < 0)
                return -ENOENT;
        int r = cache_folder_sub(cache->root_fd, "notes", create, mode, &notes);
        return r < 0 ? r : cache_folder_sub(notes, kind, create, mode, ret_fd);
}

static void sum_of(const void *data, size_t size, XXH128_canonical_t *ret)
{
        XXH128_canonicalFromHash(ret, XXH3_128bits(data, size));
}

/* In the folder of scratch files, where whoever dies leaves nothing for long. */
static int write_temporary(struct cache *cache, const char *name, const void *data, size_t size)
{
        XXH128_canonical_t sum;
        _cleanup_close_ int fd = openat(cache->jobs_fd, name,
                O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600 | (cache->share & 0044));

        if (fd < 0)
                return -errno;
        sum_of(data, size, &sum);
        int r = fmt_write_whole(fd, data, size);
        if (r == 0)
                r = fmt_write_whole(fd, &sum, sizeof sum);
        return r < 0 ? r : fsync(fd) < 0 ? -errno : 0;
}

int cache_note_write(struct cache *cache, const char *kind, const struct fmt_digest *name,
        const void *data, size_t size)
{
        char temporary[CACHE_RANDOM_NAME_SIZE], hex[FMT_DIGEST_HEX_SIZE];
        _cleanup_close_ int folder = -1;

        if (size > CACHE_NOTE_MAX)
                return -EFBIG;
        int r = open_kind(cache, kind, true, &folder);
        if (r < 0)
                return r;
        fmt_digest_to_hex(name, hex);
        cache_random_name("note", temporary);
        r = write_temporary(cache, temporary, data, size);
        if (r == 0 && renameat(cache->jobs_fd, temporary, folder, hex) < 0)
                r = -errno;
        if (r < 0)
                unlinkat(cache->jobs_fd, temporary, 0);
        else if (fsync(folder) < 0)
                r = -errno;
        return r;
}

int cache_note_read(struct cache *cache, const char *kind, const struct fmt_digest *name,
        void **ret, size_t *ret_size)
{
        _cleanup_close_ int folder = -1, fd = -1;
        char hex[FMT_DIGEST_HEX_SIZE];
        XXH128_canonical_t sum;
        struct stat st;

        fmt_digest_to_hex(name, hex);
        int r = open_kind(cache, kind, false, &folder);
        if (r == 0)
                r = cache_open_file(folder, hex, &fd, &st);
        if (r < 0)
                return r;
        if (st.st_size < (off_t)SUM_SIZE || (uint64_t)st.st_size - SUM_SIZE > CACHE_NOTE_MAX)
                return -EBADMSG;
        const size_t size = (size_t)st.st_size - SUM_SIZE;
        _cleanup_free_ char *data = malloc(size + SUM_SIZE);
        if (data == NULL)
                return -ENOMEM;
        r = fmt_read_whole(fd, data, size + SUM_SIZE, 0);
        if (r < 0)
                return r;
        sum_of(data, size, &sum);
        if (memcmp(&sum, data + size, sizeof sum) != 0)
                return -EBADMSG;
        data[size] = '\0';
        *ret = steal_pointer(&data);
        *ret_size = size;
        return 0;
}

int cache_note_remove(struct cache *cache, const char *kind, const struct fmt_digest *name)
{
        _cleanup_close_ int folder = -1;
        char hex[FMT_DIGEST_HEX_SIZE];

        if (cache->read_only)
                return -EROFS;
        int r = open_kind(cache, kind, false, &folder);
        if (r < 0)
                return r;
        fmt_digest_to_hex(name, hex);
        return unlinkat(folder, hex, 0) < 0 ? -errno : 0;
}

struct visit {
        int (*each)(void *context, const struct fmt_digest *name);
        void *context;
};

static int visit_name(void *context, int folder_fd, const char *name)
{
        const struct visit *visit = context;
        struct fmt_digest digest;

        (void)folder_fd;
        return fmt_digest_from_hex(name, &digest) < 0 ? 0 : visit->each(visit->context, &digest);
}

int cache_note_each(struct cache *cache, const char *kind,
        int (*visit)(void *context, const struct fmt_digest *name), void *context)
{
        struct visit each = {.each = visit, .context = context};
        _cleanup_close_ int folder = -1;
        int r = open_kind(cache, kind, false, &folder);

        return r == -ENOENT ? 0 : r < 0 ? r : cache_each_name(folder, visit_name, &each);
}
