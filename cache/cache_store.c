/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a cache, and the files and folders in it. */
#include "cache_store.h"

#include "cache_folder.h"
#include "cache_internal.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define DEFAULT_LIMIT (10ULL << 30)
#define LAYOUT "v1"

static int from_environment(const char *variable, const char *below, char **ret)
{
        const char *value = secure_getenv(variable);

        /* The XDG specification: a relative path is to be ignored. */
        if (!value || value[0] != '/')
                return 0;
        if (asprintf(ret, "%s%s", value, below) < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        return 1;
}

static int default_directory(enum fmt_log_level complaints, char **ret)
{
        int r = from_environment("XAASFS_CACHE", "", ret);

        if (r == 0)
                r = from_environment("XDG_CACHE_HOME", "/xaasfs", ret);
        if (r == 0)
                r = from_environment("HOME", "/.cache/xaasfs", ret);
        if (r != 0)
                return r < 0 ? r : 0;
        if (geteuid() == 0) {
                *ret = strdup("/var/cache/xaasfs");
                return *ret ? 0 : -ENOMEM;
        }
        fmt_log(complaints,
                "there is no place for the cache: neither XAASFS_CACHE, XDG_CACHE_HOME nor HOME is "
                "an absolute path; set one of them, or name a folder");
        return -ENOENT;
}

static int absolute(const char *path, char **ret)
{
        _cleanup_free_ char *here = NULL;

        if (path[0] != '/') {
                here = getcwd(NULL, 0);
                if (!here)
                        return -errno;
        }
        if (asprintf(ret, "%s%s%s", here ? here : "", here ? "/" : "", path) < 0) {
                *ret = NULL;
                return -ENOMEM;
        }
        return 0;
}

static int open_folders(struct cache *cache, int directory)
{
        const struct {
                const char *name;
                int *fd;
        } folders[] = {
                {"objects", &cache->objects_fd},
                {"locks", &cache->locks_fd},
                {"modules", &cache->modules_fd},
                {"jobs", &cache->jobs_fd},
        };
        const mode_t mode = 0700 | cache->share;
        int r = cache_folder_sub(directory, LAYOUT, !cache->read_only, mode, &cache->root_fd);

        for (size_t i = 0; r == 0 && i < sizeof(folders) / sizeof(folders[0]); i++)
                r = cache_folder_sub(
                        cache->root_fd, folders[i].name, !cache->read_only, mode, folders[i].fd);
        /* What has no place for indexes (a full disk, say) still has programs. */
        if (r == 0)
                cache_folder_sub(
                        cache->root_fd, "indexes", !cache->read_only, mode, &cache->indexes_fd);
        /* A read-only cache may be empty, or not show us what it does not want read. */
        return cache->read_only && (r == -ENOENT || r == -EACCES) ? 0 : r;
}

static void remember_limit(struct cache *cache)
{
        char temporary[CACHE_RANDOM_NAME_SIZE];
        int fd;

        cache_random_name("limit", temporary);
        fd = openat(cache->jobs_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                0600 | (cache->share & 0044));
        if (fd < 0)
                return;
        if (dprintf(fd, "%llu\n", (unsigned long long)cache->limit) < 0 ||
                renameat(cache->jobs_fd, temporary, cache->root_fd, "limit") < 0)
                unlinkat(cache->jobs_fd, temporary, 0);
        close(fd);
}

/* Two processes with different bounds would undo each other's work, so one that was given holds
 * for all. That it cannot be read or written is no reason to fail. */
static void settle_limit(struct cache *cache)
{
        _cleanup_close_ int fd = -1;
        unsigned long long remembered = 0;
        char text[32] = "";
        struct stat st;

        if (cache_open_file(cache->root_fd, "limit", &fd, &st) == 0 &&
                pread(fd, text, sizeof(text) - 1, 0) > 0 && sscanf(text, "%llu", &remembered) != 1)
                remembered = 0;
        if (cache->limit == 0)
                cache->limit = remembered ? remembered : DEFAULT_LIMIT;
        else if (cache->limit != remembered && !cache->read_only)
                remember_limit(cache);
}

static int open_cache(struct cache *cache, bool create, enum fmt_log_level complaints)
{
        _cleanup_close_ int directory = -1;
        struct stat st;
        int r;

        r = cache_folder_open(cache->directory, create, complaints, &directory);
        if (r < 0)
                return r;
        if (fstat(directory, &st) < 0)
                return -errno;
        cache->share = st.st_mode & 0055;
        if (!cache->read_only && faccessat(directory, ".", W_OK, AT_EACCESS) < 0 &&
                (errno == EACCES || errno == EROFS)) {
                fmt_debug("the cache %s is used read-only: %s", cache->directory, strerror(errno));
                cache->read_only = true;
        }
        r = open_folders(cache, directory);
        if (r == 0)
                settle_limit(cache);
        if (r == 0)
                r = cache_counters_open(cache);
        if (r == 0)
                r = cache_seen_new(&cache->seen);
        if (r < 0)
                fmt_log(complaints, "cannot use the cache folder %s: %s; choose another one",
                        cache->directory, strerror(-r));
        return r;
}

int cache_open(const struct cache_options *options, struct cache **ret)
{
        _cleanup_free_ char *chosen = NULL;
        struct cache *cache;
        int r = 0;

        if (!options->directory)
                r = default_directory(options->complaints, &chosen);
        if (r < 0)
                return r;
        cache = calloc(1, sizeof(*cache));
        if (!cache)
                return -ENOMEM;
        *cache = (struct cache){.read_only = options->read_only,
                .limit = options->limit,
                .root_fd = -1,
                .objects_fd = -1,
                .locks_fd = -1,
                .modules_fd = -1,
                .jobs_fd = -1,
                .indexes_fd = -1,
                .counters_fd = -1};
        pthread_mutex_init(&cache->counters_lock, NULL);
        r = absolute(chosen ? chosen : options->directory, &cache->directory);
        if (r == 0)
                r = open_cache(cache, !options->read_only && !options->must_exist,
                        options->complaints);
        if (r < 0) {
                cache_close(cache);
                return r;
        }
        *ret = cache;
        return 0;
}

void cache_close(struct cache *cache)
{
        if (!cache)
                return;
        cache_counters_close(cache);
        cache_seen_free(cache->seen);
        fmt_close_fd(&cache->root_fd);
        fmt_close_fd(&cache->objects_fd);
        fmt_close_fd(&cache->locks_fd);
        fmt_close_fd(&cache->modules_fd);
        fmt_close_fd(&cache->jobs_fd);
        fmt_close_fd(&cache->indexes_fd);
        pthread_mutex_destroy(&cache->counters_lock);
        free(cache->directory);
        free(cache);
}

bool cache_is_read_only(const struct cache *cache)
{
        return cache->read_only;
}

uint64_t cache_limit(const struct cache *cache)
{
        return cache->limit;
}

const char *cache_directory(const struct cache *cache)
{
        return cache->directory;
}

void cache_names_of(const struct fmt_digest *key, struct cache_names *ret)
{
        char hex[FMT_DIGEST_HEX_SIZE];

        fmt_digest_to_hex(key, hex);
        snprintf(ret->shelf, sizeof(ret->shelf), "%.2s", hex);
        snprintf(ret->object, sizeof(ret->object), "%s", hex + 2);
        snprintf(ret->meta, sizeof(ret->meta), "%s.meta", hex + 2);
}

void cache_random_name(const char *prefix, char ret[CACHE_RANDOM_NAME_SIZE])
{
        static _Atomic uint64_t counter;
        uint64_t number;

        if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number))
                number = (uint64_t)getpid() << 32 | counter++;
        snprintf(ret, CACHE_RANDOM_NAME_SIZE, "%.15s-%016llx", prefix, (unsigned long long)number);
}

int cache_open_shelf(struct cache *cache, const char *shelf, bool create, int *ret_fd)
{
        if (cache->objects_fd < 0)
                return -ENOENT;
        return cache_folder_sub(cache->objects_fd, shelf, create, 0700 | cache->share, ret_fd);
}

int cache_open_file(int folder, const char *name, int *ret_fd, struct stat *ret_st)
{
        const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
        _cleanup_close_ int fd = openat(folder, name, flags | O_NOATIME);

        if (fd < 0 && errno == EPERM)
                fd = openat(folder, name, flags);
        if (fd < 0)
                return errno == ELOOP ? -EPERM : -errno;
        if (fstat(fd, ret_st) < 0)
                return -errno;
        if (!S_ISREG(ret_st->st_mode) || (ret_st->st_mode & 0022) ||
                (ret_st->st_uid != 0 && ret_st->st_uid != geteuid()))
                return -EPERM;
        *ret_fd = steal_fd(&fd);
        return 0;
}

/* Where O_TMPFILE is not known (NFS), a named file is unlinked at once: the same for everyone
 * but for cache_publish, which then has to copy. */
static int stage_named(struct cache *cache, mode_t mode, int *ret_fd)
{
        char name[CACHE_RANDOM_NAME_SIZE];
        int fd;

        cache_random_name("stage", name);
        fd = openat(cache->jobs_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd < 0)
                return -errno;
        unlinkat(cache->jobs_fd, name, 0);
        *ret_fd = fd;
        return 0;
}

int cache_stage(struct cache *cache, uint64_t bytes, int *ret_fd)
{
        const mode_t mode = 0400 | (cache->share & 0044);
        int fd;

        if (cache->read_only) {
                fd = memfd_create("xaasfs-object", MFD_CLOEXEC);
                if (fd < 0)
                        return -errno;
                *ret_fd = fd;
                return 0;
        }
        cache_keep_bounds(cache, bytes);
        fd = openat(cache->jobs_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
        if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
                return stage_named(cache, mode, ret_fd);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

int cache_reopen_readonly(int staged_fd, int *ret_fd)
{
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", staged_fd);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}
