/* SPDX-License-Identifier: Apache-2.0 */
/* flock on DIR/v1/locks/NAME. The holder removes the name before it lets go, so the folder stays
 * small; whoever was waiting then holds a lock on a file that has no name any more, notices, and
 * starts anew. A file is only ever removed by someone who holds it. */
#include "cache_internal.h"

#include "fmt_cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

struct cache_lock {
        int folder; /* borrowed from the cache */
        int fd;     /* -1: a hint only */
        char name[FMT_DIGEST_HEX_SIZE];
};

static bool still_has_its_name(const struct cache_lock *lock)
{
        struct stat held, named;

        return fstat(lock->fd, &held) == 0 &&
               fstatat(lock->folder, lock->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
               held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/* 0 and a held lock; -EWOULDBLOCK; -ESTALE: try again; else the kernel's reason. */
static int try_once(struct cache_lock *lock, bool wait)
{
        int r;

        lock->fd = openat(lock->folder, lock->name,
                O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
        if (lock->fd < 0)
                return -errno;
        do
                r = flock(lock->fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                r = -errno;
        else if (!still_has_its_name(lock))
                r = -ESTALE;
        if (r < 0) {
                close(lock->fd);
                lock->fd = -1;
        }
        return r;
}

int cache_lock_named(struct cache *cache, const char *name, bool wait, struct cache_lock **ret)
{
        struct cache_lock *lock = calloc(1, sizeof(*lock));
        int r = -EROFS;

        if (!lock)
                return -ENOMEM;
        *lock = (struct cache_lock){.folder = cache->locks_fd, .fd = -1};
        snprintf(lock->name, sizeof(lock->name), "%s", name);
        if (!cache->read_only)
                do
                        r = try_once(lock, wait);
                while (r == -ESTALE);
        if (r == -EWOULDBLOCK || r == -EMFILE || r == -ENFILE || r == -ENOMEM) {
                free(lock);
                return r;
        }
        *ret = lock;
        return 0;
}

bool cache_lock_is_real(const struct cache_lock *lock)
{
        return lock->fd >= 0;
}

int cache_lock_take(
        struct cache *cache, const struct fmt_digest *key, bool wait, struct cache_lock **ret)
{
        char hex[FMT_DIGEST_HEX_SIZE];

        fmt_digest_to_hex(key, hex);
        return cache_lock_named(cache, hex, wait, ret);
}

void cache_lock_release(struct cache_lock *lock)
{
        if (!lock)
                return;
        if (lock->fd >= 0) {
                unlinkat(lock->folder, lock->name, 0);
                close(lock->fd);
        }
        free(lock);
}
