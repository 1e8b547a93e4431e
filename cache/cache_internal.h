/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this room share: the opened folders of a cache, and how objects are named. */
#ifndef CACHE_INTERNAL_H
#define CACHE_INTERNAL_H

#include "cache_store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/types.h>

/* "ab" and "cdef…": an object's folder and its name in it; the record has ".meta" appended. */
#define CACHE_SHELF_SIZE 3
#define CACHE_NAME_SIZE 70

/* Last use is written down this often at most: eviction needs no more, and each is a journal
 * write. */
#define CACHE_MARK_SECONDS 60

struct cache_names {
        char shelf[CACHE_SHELF_SIZE];
        char object[CACHE_NAME_SIZE];
        char meta[CACHE_NAME_SIZE];
};

/* The mapped page of DIR/v1/counters. */
struct cache_page;

/* What this process has checked: cache_seen.c. */
struct cache_seen;

struct cache {
        char *directory; /* as given, made absolute */
        bool read_only;
        uint64_t limit;
        mode_t share; /* read and search bits for others, as on the folder itself */

        /* Folders; -1 for those that a read-only cache has not got. */
        int root_fd; /* DIR/v1 */
        int objects_fd;
        int locks_fd;
        int modules_fd;
        int jobs_fd;
        int indexes_fd;

        pthread_mutex_t counters_lock; /* for replacing the page; counting is atomic */
        int counters_fd;               /* -1: `page` is private memory */
        struct cache_page *page;

        struct cache_seen *seen;
};

void cache_names_of(const struct fmt_digest *key, struct cache_names *ret);

/* Opens the shelf folder of an object. -ENOENT unless CREATE. */
int cache_open_shelf(struct cache *cache, const char *shelf, bool create, int *ret_fd);

/* Opens a file of the cache for reading: regular, ours or root's, not writable by others
 * (-EPERM). The time of last access stays as it is where the kernel lets us. */
int cache_open_file(int folder, const char *name, int *ret_fd, struct stat *ret_st);

/* PREFIX (at most 15 letters), "-" and 16 random hexadecimal digits: two processes with the same id
 * (in two pid namespaces) may share a cache. */
#define CACHE_RANDOM_NAME_SIZE 40
void cache_random_name(const char *prefix, char ret[CACHE_RANDOM_NAME_SIZE]);

/* ---- cache_meta.c: the JSON beside an object ---- */

int cache_meta_read(int shelf, const char *name, struct cache_meta *ret);
/* Replaces NAME at once or not at all; JOBS_FD is where the new file is written. */
int cache_meta_write(
        struct cache *cache, int shelf, const char *name, const struct cache_meta *meta);
int cache_meta_copy(const struct cache_meta *meta, struct cache_meta *ret);

/* XXH3-128 of the first SIZE bytes of FD, low and high half. -EIO if it is shorter. */
int cache_xxh3(int fd, uint64_t size, uint64_t ret[2]);

/* ---- cache_lookup.c ---- */

/* Opens and checks the object NAMES of SHELF. -ENOENT: no such object; -EBADMSG: damaged, and
 * ret_why says how (static). Counts and removes nothing. */
int cache_check_object(int shelf, const struct cache_names *names, int *ret_fd,
        struct cache_meta *ret_meta, struct stat *ret_st, const char **ret_why);

/* ---- cache_seen.c: results of checks, so that each object is read once per process ---- */

int cache_seen_new(struct cache_seen **ret);
void cache_seen_free(struct cache_seen *seen);
/* 0 if the object that ST describes was checked before: ret_meta (optional) is a copy,
 * ret_mark_due whether its last use should be written down again. -ENOENT. */
int cache_seen_find(struct cache_seen *seen, const struct fmt_digest *key, const struct stat *st,
        struct cache_meta *ret_meta, bool *ret_mark_due);
void cache_seen_add(struct cache_seen *seen, const struct fmt_digest *key, const struct stat *st,
        const struct cache_meta *meta);
void cache_seen_remove(struct cache_seen *seen, const struct fmt_digest *key);

/* ---- cache_counters.c ---- */

int cache_counters_open(struct cache *cache);
void cache_counters_close(struct cache *cache);
uint64_t cache_counter_read(struct cache *cache, enum cache_counter counter);
void cache_counters_reset(struct cache *cache);
/* Bytes on disk, roughly: what was published since the last walk through the cache is added.
 * UINT64_MAX: not known. */
uint64_t cache_usage_read(struct cache *cache);
void cache_usage_add(struct cache *cache, uint64_t bytes);
void cache_usage_set(struct cache *cache, uint64_t bytes);

/* ---- cache_lock.c ---- */

/* A lock by any name (no slash). As cache_lock_take. */
int cache_lock_named(struct cache *cache, const char *name, bool wait, struct cache_lock **ret);
/* Whether the kernel really holds it, or it is only a hint. */
bool cache_lock_is_real(const struct cache_lock *lock);

/* Takes a damaged object out, counts it and says so. Only if it is still the file CHECKED
 * describes (zero: whatever is there): another may have taken its place. */
void cache_take_out(struct cache *cache, int shelf, const struct cache_names *names,
        const struct stat *checked, const char *why);

/* ---- cache_collect.c ---- */

/* Evicts if the cache is over its limit, or the file system about to be full once BYTES more are
 * on it. */
void cache_keep_bounds(struct cache *cache, uint64_t bytes);

/* ---- cache_walk.c: everything that takes space ---- */

enum cache_kind { CACHE_OBJECT, CACHE_MODULE, CACHE_INDEX };

struct cache_item {
        char *folder; /* below DIR/v1: "objects/ab", "modules/SCOPE/entries", "indexes" */
        char *name;
        enum cache_kind kind;
        bool is_complete; /* has its record, if it should have one */
        uint64_t bytes;   /* on disk, with its record */
        int64_t last_use; /* nanoseconds since the epoch */
};

struct cache_items {
        struct cache_item *list;
        size_t count;
        uint64_t bytes;
};

/* Lists all objects, module results and indexes. What disappears meanwhile is left out. */
int cache_walk(struct cache *cache, struct cache_items *ret);
void cache_items_done(struct cache_items *items);

/* Calls VISIT for each name in the folder (not "." and ".."), until it returns something else
 * than 0. FOLDER_FD stays the caller's. */
int cache_each_name(
        int folder_fd, int (*visit)(void *context, int folder_fd, const char *name), void *context);

/* The key that the object NAME on SHELF stands for. -EINVAL. */
int cache_key_of(const char *shelf, const char *name, struct fmt_digest *ret);

/* ---- cache_publish.c ---- */

/* Gives a staged file, whose bytes beyond USED are a hole, the name NAME in FOLDER. -EEXIST. */
int cache_give_name(
        struct cache *cache, int staged_fd, uint64_t used, int folder, const char *name);

/* ---- cache_index.c ---- */

/* Checks all of one index. -EBADMSG after taking it out; *ret_why says why (static). */
int cache_index_verify(struct cache *cache, const char *name, const char **ret_why);

/* ---- cache_modules.c ---- */

/* Removes job lists whose entries are gone and scopes that are empty. */
void cache_modules_tidy(struct cache *cache);
/* Checks every entry; takes out and reports what is damaged. */
int cache_modules_verify(
        struct cache *cache, cache_report *report, void *context, struct cache_verdict *verdict);

#endif
