/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_index.h"

#include "cache_internal.h"
#include "fmt_cleanup.h"
#include "fmt_index.h"
#include "fmt_log.h"
#include "fmt_whole.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <time.h>
#include <xxhash.h>

#define MAGIC "XAASKEPT"
#define NAME_SIZE 33

/* XXH3 makes more than 10 GiB a second of what is in memory. 160,000 files or so. */
#define COMPARED_AT_ONCE ((uint64_t)16 << 20)

/* No padding: it is hashed as it is. */
struct footer {
        char magic[8];
        uint64_t size;    /* of the index, bytes */
        uint64_t xxh3[2]; /* of the index: low, high */
        struct fmt_image_identity image;
        uint64_t footer_xxh3[2]; /* of all before it */
};

_Static_assert(sizeof(struct footer) == 48 + sizeof(struct fmt_image_identity), "no padding");

static void hash(const void *bytes, size_t size, uint64_t ret[2])
{
        XXH128_hash_t value = XXH3_128bits(bytes, size);

        ret[0] = value.low64;
        ret[1] = value.high64;
}

static void name_of(const struct fmt_image_identity *image, char ret[NAME_SIZE])
{
        uint64_t value[2];

        hash(image, sizeof(*image), value);
        snprintf(ret, NAME_SIZE, "%016llx%016llx", (unsigned long long)value[1],
                (unsigned long long)value[0]);
}

/* -EBADMSG and why. */
static int read_footer(int fd, uint64_t file_size, struct footer *ret, const char **ret_why)
{
        uint64_t xxh3[2];

        *ret_why = "it is incomplete";
        if (file_size < sizeof(*ret) ||
                pread(fd, ret, sizeof(*ret), (off_t)(file_size - sizeof(*ret))) != sizeof(*ret))
                return -EBADMSG;
        hash(ret, offsetof(struct footer, footer_xxh3), xxh3);
        if (memcmp(ret->magic, MAGIC, sizeof(ret->magic)) ||
                memcmp(xxh3, ret->footer_xxh3, sizeof(xxh3)) ||
                ret->size != file_size - sizeof(*ret))
                return -EBADMSG;
        return 0;
}

/* Only if it is still the file that ST describes: another may have taken its place. */
static void take_out(
        struct cache *cache, const char *name, const struct stat *checked, const char *why)
{
        struct stat st;

        if (cache->read_only || fstatat(cache->indexes_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                st.st_ino != checked->st_ino || unlinkat(cache->indexes_fd, name, 0) < 0)
                return;
        cache_count(cache, CACHE_DAMAGED, 1);
        fmt_warning("took %s/v1/indexes/%s out of the cache: %s; the image will be indexed again",
                cache->directory, name, why);
}

/* -ENOENT; -EBADMSG after taking it out. */
static int open_index(struct cache *cache, const char *name, int *ret_fd, struct stat *ret_st,
        struct footer *ret_footer)
{
        _cleanup_close_ int fd = -1;
        const char *why;
        int r;

        if (cache->indexes_fd < 0)
                return -ENOENT;
        r = cache_open_file(cache->indexes_fd, name, &fd, ret_st);
        if (r < 0)
                return r;
        r = read_footer(fd, (uint64_t)ret_st->st_size, ret_footer, &why);
        if (r < 0) {
                take_out(cache, name, ret_st, why);
                return r;
        }
        *ret_fd = steal_fd(&fd);
        return 0;
}

/* ---- finding ---- */

/* Touching a mapped page that cannot be read any more is a SIGBUS. These keep a file that was
 * removed (evicted, by whomever) whole for as long as it is mapped; NFS and its like do not, for
 * files that another machine removes. */
static bool outlives_removal(int fd)
{
        static const uint64_t local[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                TMPFS_MAGIC, RAMFS_MAGIC, OVERLAYFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,
                0xca451a4e /* bcachefs */, 0x2fc12fc1 /* ZFS */};
        struct statfs fs;

        if (fstatfs(fd, &fs) < 0)
                return false;
        for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
                if ((uint64_t)fs.f_type == local[i])
                        return true;
        return false;
}

static int map_file(int fd, size_t size, void **ret_map)
{
        int now = size <= COMPARED_AT_ONCE ? MAP_POPULATE : 0;
        void *map = mmap(NULL, size, PROT_READ, MAP_SHARED | now, fd, 0);

        if (map == MAP_FAILED)
                return -errno;
        *ret_map = map;
        return 0;
}

static int copy_file(int fd, size_t size, void **ret_map)
{
        void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (map == MAP_FAILED)
                return -errno;
        if (fmt_read_whole(fd, map, size, 0) < 0) {
                munmap(map, size);
                return -EIO;
        }
        mprotect(map, size, PROT_READ);
        *ret_map = map;
        return 0;
}

/* -EBADMSG: its bytes are not those that were put there. */
static int load(int fd, const struct footer *footer, void **ret_map)
{
        bool mapped = outlives_removal(fd);
        uint64_t xxh3[2];
        void *map = NULL;
        int r = mapped ? map_file(fd, footer->size, &map) : copy_file(fd, footer->size, &map);

        if (r < 0)
                return r;
        if (footer->size <= COMPARED_AT_ONCE || !mapped) {
                hash(map, footer->size, xxh3);
                if (memcmp(xxh3, footer->xxh3, sizeof(xxh3))) {
                        munmap(map, footer->size);
                        return -EBADMSG;
                }
        }
        *ret_map = map;
        return 0;
}

static int find(struct cache *cache, const struct fmt_image_identity *image, void **ret_map,
        size_t *ret_size)
{
        _cleanup_close_ int fd = -1;
        char name[NAME_SIZE];
        struct footer footer;
        struct stat st;
        int r;

        name_of(image, name);
        r = open_index(cache, name, &fd, &st, &footer);
        if (r < 0 || memcmp(&footer.image, image, sizeof(*image)))
                return -ENOENT;
        r = load(fd, &footer, ret_map);
        if (r == -EBADMSG)
                take_out(cache, name, &st, "its bytes are not what was kept");
        if (r < 0)
                return r;
        *ret_size = footer.size;
        if (!cache->read_only && st.st_mtim.tv_sec < time(NULL) - CACHE_MARK_SECONDS)
                utimensat(cache->indexes_fd, name, NULL, AT_SYMLINK_NOFOLLOW);
        return 0;
}

int cache_index_find(struct cache *cache, const struct fmt_image_identity *image, void **ret_map,
        size_t *ret_size)
{
        int r = find(cache, image, ret_map, ret_size);

        cache_count(cache, r == 0 ? CACHE_INDEX_HITS : CACHE_INDEX_MISSES, 1);
        return r;
}

static int find_for_keeper(
        void *context, const struct fmt_image_identity *image, void **ret_map, size_t *ret_size)
{
        return cache_index_find(context, image, ret_map, ret_size);
}

struct fmt_index_keeper cache_index_keeper(struct cache *cache)
{
        return (struct fmt_index_keeper){.find = find_for_keeper, .context = cache};
}

/* ---- keeping ---- */

static int stage(struct cache *cache, const struct fmt_index_origin *origin, int *ret_fd)
{
        struct footer footer = {.magic = MAGIC, .size = origin->size, .image = origin->image};
        _cleanup_close_ int fd = -1;
        int r;

        hash(origin->data, origin->size, footer.xxh3);
        hash(&footer, offsetof(struct footer, footer_xxh3), footer.footer_xxh3);
        r = cache_stage(cache, origin->size + sizeof(footer), &fd);
        if (r == 0)
                r = fmt_write_whole(fd, origin->data, origin->size);
        if (r == 0)
                r = fmt_write_whole(fd, &footer, sizeof(footer));
        if (r == 0 && fsync(fd) < 0)
                r = -errno;
        if (r == 0)
                *ret_fd = steal_fd(&fd);
        return r;
}

int cache_index_keep(struct cache *cache, const struct fmt_index_origin *origin)
{
        _cleanup_close_ int fd = -1;
        char temporary[CACHE_RANDOM_NAME_SIZE];
        char name[NAME_SIZE];
        int r;

        if (!origin->may_be_kept)
                return 0;
        if (cache->read_only || cache->indexes_fd < 0)
                return -EROFS;
        r = stage(cache, origin, &fd);
        if (r < 0)
                return r;
        /* Whatever has that name is of no use (it was not found), or the same. */
        cache_random_name("index", temporary);
        name_of(&origin->image, name);
        r = cache_give_name(
                cache, fd, origin->size + sizeof(struct footer), cache->jobs_fd, temporary);
        if (r < 0)
                return r;
        if (renameat(cache->jobs_fd, temporary, cache->indexes_fd, name) < 0) {
                r = -errno;
                unlinkat(cache->jobs_fd, temporary, 0);
                return r;
        }
        cache_usage_add(cache, origin->size + 4096);
        cache_keep_bounds(cache, 0);
        return 0;
}

/* ---- checking ---- */

int cache_index_check(struct cache *cache, const struct fmt_index_origin *origin)
{
        _cleanup_close_ int fd = -1;
        char name[NAME_SIZE];
        struct footer footer;
        uint64_t xxh3[2];
        struct stat st;
        int r;

        if (!origin->is_kept || origin->size <= COMPARED_AT_ONCE)
                return 0;
        name_of(&origin->image, name);
        r = open_index(cache, name, &fd, &st, &footer);
        if (r < 0)
                return r == -EBADMSG ? r : 0;
        r = cache_xxh3(fd, footer.size, xxh3);
        if (r < 0 && r != -EIO)
                return r;
        if (r == 0 && !memcmp(xxh3, footer.xxh3, sizeof(xxh3)))
                return 0;
        take_out(cache, name, &st, "its bytes are not what was kept");
        return -EBADMSG;
}

static const char *check_all(int fd, const struct footer *footer)
{
        struct fmt_index index;
        uint64_t xxh3[2];
        const char *why;
        void *map;

        if (copy_file(fd, footer->size, &map) < 0)
                return "it cannot be read";
        hash(map, footer->size, xxh3);
        if (memcmp(xxh3, footer->xxh3, sizeof(xxh3)))
                why = "its bytes are not what was kept";
        else if (fmt_index_check(map, footer->size, footer->image.size - footer->image.offset,
                         &index, &why) == 0)
                why = NULL;
        munmap(map, footer->size);
        return why;
}

int cache_index_verify(struct cache *cache, const char *name, const char **ret_why)
{
        _cleanup_close_ int fd = -1;
        struct footer footer;
        char expected[NAME_SIZE];
        struct stat st;
        int r;

        r = cache_open_file(cache->indexes_fd, name, &fd, &st);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        r = read_footer(fd, (uint64_t)st.st_size, &footer, ret_why);
        if (r == 0) {
                name_of(&footer.image, expected);
                *ret_why = strcmp(expected, name) ? "it has another one's name"
                                                  : check_all(fd, &footer);
        }
        if (!*ret_why)
                return 0;
        take_out(cache, name, &st, *ret_why);
        return -EBADMSG;
}
