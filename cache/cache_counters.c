/* SPDX-License-Identifier: Apache-2.0 */
/* Counters that all processes of a node share: one page of DIR/v1/counters, mapped, added to
 * atomically. No lock, so a process that is stopped or killed in the middle holds up nobody. What
 * is no counters file (another size, another magic) is replaced by a fresh one; where none can be
 * had, a process counts for itself. */
#include "cache_internal.h"

#include "fmt_cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>

#define PAGE_SIZE 4096
#define MAGIC "XAASCNT1"
#define ROOM_FOR 32 /* counters that later versions may add */

struct cache_page {
        char magic[8];
        /* 1 + bytes on disk, or 0: not known. */
        _Atomic uint64_t usage;
        _Atomic uint64_t counters[ROOM_FOR];
        char zero[PAGE_SIZE - 8 - 8 * (ROOM_FOR + 1)];
};

_Static_assert(sizeof(struct cache_page) == PAGE_SIZE, "the file is one page");
_Static_assert(CACHE_N_COUNTERS <= ROOM_FOR, "all counters have room");

static const char *const names[CACHE_N_COUNTERS] = {
        [CACHE_HITS] = "hits",
        [CACHE_MISSES] = "misses",
        [CACHE_COMPILES] = "compiles",
        [CACHE_COMPILES_FAILED] = "compiles_failed",
        [CACHE_MODULE_HITS] = "module_hits",
        [CACHE_MODULE_MISSES] = "module_misses",
        [CACHE_BYTES_PUBLISHED] = "bytes_published",
        [CACHE_EVICTIONS] = "evictions",
        [CACHE_DAMAGED] = "damaged",
        [CACHE_INDEX_HITS] = "index_hits",
        [CACHE_INDEX_MISSES] = "index_misses",
};

const char *cache_counter_name(enum cache_counter counter)
{
        return names[counter];
}

/* A page of our own, for a process that cannot share one. */
static int use_private_page(struct cache *cache)
{
        void *page =
                mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (page == MAP_FAILED)
                return -errno;
        cache->page = page;
        cache->counters_fd = -1;
        return 0;
}

static bool is_counters_file(int fd)
{
        char magic[sizeof(MAGIC) - 1];
        struct stat st;

        return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == PAGE_SIZE &&
               pread(fd, magic, sizeof(magic), 0) == sizeof(magic) &&
               !memcmp(magic, MAGIC, sizeof(magic));
}

/* Writes every byte, so that no page of the mapping has to be allocated later, when the disk
 * may be full (that would be a SIGBUS). Called under the lock on the folder. */
static int make_file(struct cache *cache)
{
        struct cache_page empty = {.magic = MAGIC};
        const char *temporary = "counters.new";
        int r = 0;
        int fd;

        unlinkat(cache->root_fd, temporary, 0);
        fd = openat(cache->root_fd, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                0600 | cache->share);
        if (fd < 0)
                return -errno;
        if (pwrite(fd, &empty, sizeof(empty), 0) != sizeof(empty) ||
                renameat(cache->root_fd, temporary, cache->root_fd, "counters") < 0)
                r = errno ? -errno : -EIO;
        close(fd);
        if (r < 0)
                unlinkat(cache->root_fd, temporary, 0);
        return r;
}

static int open_file(struct cache *cache)
{
        int fd = openat(cache->root_fd, "counters",
                (cache->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

        if (fd >= 0 && !is_counters_file(fd)) {
                close(fd);
                fd = -1;
        }
        return fd;
}

/* Makes or replaces the file. Under a lock on the folder, so that of several that find no file, or
 * a damaged one, only the first makes one. */
static int replace_file(struct cache *cache)
{
        _cleanup_close_ int folder =
                openat(cache->root_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int fd;

        if (folder < 0)
                return -1;
        while (flock(folder, LOCK_EX) < 0 && errno == EINTR)
                ;
        fd = open_file(cache);
        if (fd < 0 && make_file(cache) == 0)
                fd = open_file(cache);
        return fd;
}

int cache_counters_open(struct cache *cache)
{
        void *page;
        int fd = cache->root_fd < 0 ? -1 : open_file(cache);

        if (fd < 0 && !cache->read_only)
                fd = replace_file(cache);
        if (fd < 0)
                return use_private_page(cache);
        page = mmap(NULL, PAGE_SIZE, cache->read_only ? PROT_READ : PROT_READ | PROT_WRITE,
                MAP_SHARED, fd, 0);
        if (page == MAP_FAILED) {
                close(fd);
                return use_private_page(cache);
        }
        cache->page = page;
        cache->counters_fd = fd;
        return 0;
}

void cache_counters_close(struct cache *cache)
{
        if (cache->page)
                munmap(cache->page, PAGE_SIZE);
        cache->page = NULL;
        fmt_close_fd(&cache->counters_fd);
        cache->counters_fd = -1;
}

/* The page to count on. A file that was cut off would be a SIGBUS to touch, and one that was
 * removed would count for nobody: both are looked at each time, which costs one fstat. The old
 * mapping stays (another thread may be about to touch it) with fresh zero pages laid over it. */
static struct cache_page *current_page(struct cache *cache)
{
        struct cache_page *page;
        struct stat st;

        pthread_mutex_lock(&cache->counters_lock);
        if (cache->counters_fd >= 0 && !cache->read_only &&
                (fstat(cache->counters_fd, &st) < 0 || st.st_size < PAGE_SIZE ||
                        st.st_nlink == 0)) {
                int fd = replace_file(cache);
                int flags = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
                if (mmap(cache->page, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, fd, 0) !=
                        MAP_FAILED) {
                        close(cache->counters_fd);
                        cache->counters_fd = fd;
                }
        }
        page = cache->page;
        pthread_mutex_unlock(&cache->counters_lock);
        return page;
}

/* Nothing can be added to a page that is mapped for reading only. */
static bool may_write(const struct cache *cache)
{
        return !cache->read_only || cache->counters_fd < 0;
}

void cache_count(struct cache *cache, enum cache_counter counter, uint64_t add)
{
        if (may_write(cache))
                atomic_fetch_add_explicit(
                        &current_page(cache)->counters[counter], add, memory_order_relaxed);
}

uint64_t cache_counter_read(struct cache *cache, enum cache_counter counter)
{
        return atomic_load_explicit(&current_page(cache)->counters[counter], memory_order_relaxed);
}

void cache_counters_reset(struct cache *cache)
{
        struct cache_page *page = current_page(cache);

        if (!may_write(cache))
                return;
        for (size_t i = 0; i < ROOM_FOR; i++)
                atomic_store_explicit(&page->counters[i], 0, memory_order_relaxed);
}

uint64_t cache_usage_read(struct cache *cache)
{
        return atomic_load_explicit(&current_page(cache)->usage, memory_order_relaxed) - 1;
}

void cache_usage_add(struct cache *cache, uint64_t bytes)
{
        struct cache_page *page = current_page(cache);

        if (may_write(cache) && atomic_load_explicit(&page->usage, memory_order_relaxed) > 0)
                atomic_fetch_add_explicit(&page->usage, bytes, memory_order_relaxed);
}

void cache_usage_set(struct cache *cache, uint64_t bytes)
{
        if (may_write(cache))
                atomic_store_explicit(&current_page(cache)->usage, bytes + 1, memory_order_relaxed);
}
