/* SPDX-License-Identifier: Apache-2.0 */
/* Looking objects up, and taking out what fails its check. */
#include "cache_internal.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <fcntl.h>
#include <string.h>
#include <xxhash.h>

#define READ_SIZE (1U << 20)

static void free_xxh3(XXH3_state_t **state)
{
        XXH3_freeState(*state);
}

int cache_xxh3(int fd, uint64_t size, uint64_t ret[2])
{
        _cleanup_(free_xxh3) XXH3_state_t *state = XXH3_createState();
        _cleanup_free_ void *buffer = malloc(READ_SIZE);
        XXH128_hash_t hash;
        uint64_t offset = 0;

        if (!state || !buffer)
                return -ENOMEM;
        XXH3_128bits_reset(state);
        while (offset < size) {
                size_t wanted = size - offset < READ_SIZE ? size - offset : READ_SIZE;
                ssize_t got = pread(fd, buffer, wanted, (off_t)offset);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got < 0 ? -errno : -EIO;
                XXH3_128bits_update(state, buffer, (size_t)got);
                offset += (uint64_t)got;
        }
        hash = XXH3_128bits_digest(state);
        ret[0] = hash.low64;
        ret[1] = hash.high64;
        return 0;
}

int cache_check_object(int shelf, const struct cache_names *names, int *ret_fd,
        struct cache_meta *ret_meta, struct stat *ret_st, const char **ret_why)
{
        _cleanup_close_ int fd = -1;
        _cleanup_(cache_meta_done) struct cache_meta meta = {0};
        uint64_t xxh3[2];
        int r;

        *ret_why = NULL;
        r = cache_open_file(shelf, names->object, &fd, ret_st);
        if (r == -EPERM)
                *ret_why = "it is no plain file of ours";
        if (r < 0)
                return *ret_why ? -EBADMSG : r;
        r = cache_meta_read(shelf, names->meta, &meta);
        if (r == -ENOENT) /* on its way out, or left by someone who was killed on the way */
                return r;
        if (r == -EBADMSG || r == -EPERM) {
                *ret_why = "its record is damaged";
                return -EBADMSG;
        }
        if (r < 0)
                return r;
        if ((uint64_t)ret_st->st_size != meta.size) {
                *ret_why = "its size is not what was published";
                return -EBADMSG;
        }
        r = cache_xxh3(fd, meta.elf_size, xxh3);
        if (r == -EIO) {
                *ret_why = "it cannot be read";
                return -EBADMSG;
        }
        if (r < 0)
                return r;
        if (xxh3[0] != meta.xxh3[0] || xxh3[1] != meta.xxh3[1]) {
                *ret_why = "its bytes are not what was published";
                return -EBADMSG;
        }
        *ret_fd = steal_fd(&fd);
        *ret_meta = meta;
        meta = (struct cache_meta){0};
        return 0;
}

void cache_take_out(struct cache *cache, int shelf, const struct cache_names *names,
        const struct stat *checked, const char *why)
{
        struct stat st;

        if (cache->read_only || fstatat(shelf, names->object, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                (checked->st_nlink &&
                        (st.st_ino != checked->st_ino || st.st_dev != checked->st_dev)))
                return;
        if (unlinkat(shelf, names->object, 0) < 0)
                return;
        unlinkat(shelf, names->meta, 0);
        cache_count(cache, CACHE_DAMAGED, 1);
        fmt_warning("took %s/objects/%s/%s out of the cache: %s; it will be compiled again",
                cache->directory, names->shelf, names->object, why);
}

/* An object that was checked before needs no more than its facts compared. */
static int find_seen(struct cache *cache, const struct fmt_digest *key, int shelf,
        const struct cache_names *names, int *ret_fd, struct cache_meta *ret_meta, bool *ret_mark)
{
        _cleanup_close_ int fd = -1;
        struct stat st;
        int r;

        r = cache_open_file(shelf, names->object, &fd, &st);
        if (r < 0)
                return r;
        r = cache_seen_find(cache->seen, key, &st, ret_meta, ret_mark);
        if (r == 0)
                *ret_fd = steal_fd(&fd);
        return r;
}

static int find(struct cache *cache, const struct fmt_digest *key, bool mark, int *ret_fd,
        struct cache_meta *ret_meta)
{
        _cleanup_close_ int shelf = -1;
        _cleanup_(cache_meta_done) struct cache_meta meta = {0};
        struct cache_names names;
        struct stat st = {0};
        const char *why;
        bool mark_due = true;
        int r;

        cache_names_of(key, &names);
        r = cache_open_shelf(cache, names.shelf, false, &shelf);
        if (r < 0)
                return r;
        r = find_seen(cache, key, shelf, &names, ret_fd, ret_meta, &mark_due);
        if (r < 0) {
                r = cache_check_object(shelf, &names, ret_fd, &meta, &st, &why);
                if (r == -EBADMSG) {
                        cache_take_out(cache, shelf, &names, &st, why);
                        cache_seen_remove(cache->seen, key);
                        return -ENOENT;
                }
                if (r < 0)
                        return r;
                cache_seen_add(cache->seen, key, &st, &meta);
                if (ret_meta) {
                        *ret_meta = meta;
                        meta = (struct cache_meta){0};
                }
        }
        if (mark && mark_due && !cache->read_only)
                utimensat(shelf, names.meta, NULL, AT_SYMLINK_NOFOLLOW);
        return 0;
}

int cache_lookup(
        struct cache *cache, const struct fmt_digest *key, int *ret_fd, struct cache_meta *ret_meta)
{
        int r = find(cache, key, true, ret_fd, ret_meta);

        cache_count(cache, r == 0 ? CACHE_HITS : CACHE_MISSES, 1);
        return r == 0 || r == -ENOMEM || r == -EMFILE || r == -ENFILE ? r : -ENOENT;
}

int cache_peek(
        struct cache *cache, const struct fmt_digest *key, int *ret_fd, struct cache_meta *ret_meta)
{
        return find(cache, key, false, ret_fd, ret_meta);
}
