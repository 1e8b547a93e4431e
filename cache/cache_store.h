/* SPDX-License-Identifier: Apache-2.0 */
/* The content-addressed store of compiled programs, shared by every mount and process of one
 * user on one node.
 *
 *     DIR/v1/objects/ab/cdef…          the padded ELF, exactly as it is served
 *     DIR/v1/objects/ab/cdef….meta     what it is (JSON), published before the object; its
 *                                      modification time is the object's last use
 *     DIR/v1/locks/…                   kernel locks for compile-once; die with their holder
 *     DIR/v1/modules/SCOPE/…           results of single modules, see cache_modules.h
 *     DIR/v1/jobs/…                    scratch folders of running compiles
 *     DIR/v1/indexes/…                 indexes of images, see cache_index.h
 *     DIR/v1/notes/…                   what was learnt about programs, see cache_note.h
 *     DIR/v1/limit                     text: the bound on disk space, bytes, if one was given
 *     DIR/v1/counters                  hits, misses, compiles, bytes: mapped, atomic
 *
 * A name is the digest of everything that went into the object. Publishing is O_TMPFILE, fsync,
 * link: a reader never sees half an object and a crash never leaves one. An object that fails its
 * check is taken out and counts as a miss. Nothing in here trusts a file that another user could
 * have written: every component of DIR must belong to root or to us and be writable by nobody else
 * (a sticky directory such as /tmp may stand above). */
#ifndef CACHE_STORE_H
#define CACHE_STORE_H

#include "fmt_digest.h"
#include "fmt_log.h"

#include <stdbool.h>
#include <stdint.h>

struct cache;

struct cache_options {
        const char *directory; /* NULL: $XAASFS_CACHE, $XDG_CACHE_HOME/xaasfs, $HOME/.cache/xaasfs,
                                  /var/cache/xaasfs for root without HOME */
        uint64_t limit; /* bytes on disk before eviction by last use, remembered in the cache for
                           everyone who says none; 0: what is remembered, or 10 GiB */
        bool read_only;  /* never publish, never evict */
        bool must_exist; /* -ENOENT if the folder is not there, instead of making it */
        enum fmt_log_level complaints; /* what is wrong with the folder; FMT_LOG_ERROR by default */
};

/* Makes the folder (0700) if need be. A folder that we may not write to is used read-only. Says
 * what is wrong with it. -EPERM: a component could be written by others.
 * Thread-safe afterwards, as is everything below. */
int cache_open(const struct cache_options *options, struct cache **ret);
void cache_close(struct cache *cache);
bool cache_is_read_only(const struct cache *cache);
uint64_t cache_limit(const struct cache *cache);
const char *cache_directory(const struct cache *cache);

/* What is known of an object. Strings owned by the struct; free with cache_meta_done. */
struct cache_meta {
        char *profile;     /* how well its profile fit, for people; NULL: it was compiled without */
        char *program;     /* a path it was first compiled for: for people, not for trust */
        char *target;      /* host description it was compiled for */
        char *policy;      /* and how (jit_policy.h), or NULL: not known */
        uint64_t elf_size; /* bytes without padding */
        uint64_t size;     /* promised size, bytes */
        uint64_t compile_ns; /* what it cost */
        uint64_t xxh3[2];    /* XXH3-128 of the first elf_size bytes: low, high */
};
void cache_meta_done(struct cache_meta *meta);

/* Looks KEY up, checks size and XXH3 (once per object and process), marks it used. Counts a hit
 * or a miss. 0 and a read-only descriptor; -ENOENT. ret_meta may be NULL. */
int cache_lookup(struct cache *cache, const struct fmt_digest *key, int *ret_fd,
        struct cache_meta *ret_meta);

/* The same without counting and without marking. */
int cache_peek(struct cache *cache, const struct fmt_digest *key, int *ret_fd,
        struct cache_meta *ret_meta);

/* Compile-once. At most one holder per KEY on this node, across threads and processes; the
 * kernel releases it when the holder dies. The descriptor is close-on-exec and must never reach
 * a child that does not exec: the lock would live as long as that child. WAIT false:
 * -EWOULDBLOCK if another holds it. Whoever gets the lock looks the key up again (cache_peek, so
 * that nothing is counted twice) before compiling. Where a lock cannot be had at all (read-only or
 * full disk, a file system without locks) it is a hint, and taking it succeeds: duplicates are
 * harmless. */
struct cache_lock;
int cache_lock_take(
        struct cache *cache, const struct fmt_digest *key, bool wait, struct cache_lock **ret);
void cache_lock_release(struct cache_lock *lock);

/* An unnamed file on the cache's file system, open for reading and writing (a memfd for a
 * read-only cache). Evicts first if the file system would be about full with BYTES more on it (as
 * many as will be written, or 0 if that is not known). */
int cache_stage(struct cache *cache, uint64_t bytes, int *ret_fd);

/* Gives the staged file its name: computes META's xxh3, fsync, link; someone else having
 * published the same key meanwhile is success. META's elf_size and size must be set; the file
 * must have exactly size bytes (-EINVAL). May evict. -ENOSPC, -EDQUOT, -EROFS, -EIO. The
 * descriptor stays the caller's and stays valid. */
int cache_publish(
        struct cache *cache, const struct fmt_digest *key, int staged_fd, struct cache_meta *meta);

/* A read-only descriptor of the same open file (so that nobody can write through it). */
int cache_reopen_readonly(int staged_fd, int *ret_fd);

/* A private scratch folder below DIR/v1/jobs (a read-only cache: below $TMPDIR or /tmp). It goes
 * away with everything in it at cache_job_end; what a process that died left is found by its
 * released kernel lock and removed by cache_collect. End a job only when every process that
 * could write there is gone. */
struct cache_job;
int cache_job_begin(struct cache *cache, struct cache_job **ret);
const char *cache_job_path(const struct cache_job *job);
void cache_job_end(struct cache_job *job);

enum cache_counter {
        CACHE_HITS,
        CACHE_MISSES,
        CACHE_COMPILES, /* finished, with an object */
        CACHE_COMPILES_FAILED,
        CACHE_MODULE_HITS,   /* modules of a compile that came from earlier results */
        CACHE_MODULE_MISSES, /* modules that were compiled */
        CACHE_BYTES_PUBLISHED,
        CACHE_EVICTIONS,
        CACHE_DAMAGED,      /* objects taken out because a check failed */
        CACHE_INDEX_HITS,   /* images whose index was mapped */
        CACHE_INDEX_MISSES, /* images that had to be indexed */
        CACHE_N_COUNTERS,
};
void cache_count(struct cache *cache, enum cache_counter counter, uint64_t add);
const char *cache_counter_name(enum cache_counter counter);

struct cache_stats {
        uint64_t counters[CACHE_N_COUNTERS];
        uint64_t objects;
        uint64_t object_bytes; /* on disk */
        uint64_t module_results;
        uint64_t module_bytes;
        uint64_t indexes;
        uint64_t index_bytes;
        uint64_t limit;
};
int cache_stats(struct cache *cache, struct cache_stats *ret);

struct cache_object {
        struct fmt_digest key;
        const struct cache_meta *meta;
        uint64_t bytes;   /* on disk */
        int64_t last_use; /* nanoseconds since the epoch, within a minute */
};
/* Calls VISIT with every object whose record can be read, the last used first, until it returns
 * something else than 0. */
int cache_each_object(struct cache *cache,
        int (*visit)(void *context, const struct cache_object *object), void *context);

struct cache_verdict {
        uint64_t checked;
        uint64_t damaged; /* taken out */
};
/* Told about each damaged object: WHAT it is (a path below DIR/v1, or the program) and why. */
typedef void cache_report(void *context, const char *what, const char *why);
/* Reads everything, objects, module results and indexes, and takes out what is damaged. REPORT may
 * be NULL.
 */
int cache_verify(
        struct cache *cache, cache_report *report, void *context, struct cache_verdict *ret);

/* Evicts by last use down to LIMIT bytes (0: the cache's own limit), removes what crashed
 * processes left (locks, jobs, meta without object). */
int cache_collect(struct cache *cache, uint64_t limit, uint64_t *ret_freed);

/* Removes every object, module result and index (counters stay unless RESET). */
int cache_clear(struct cache *cache, bool reset_counters, uint64_t *ret_freed);

#endif
