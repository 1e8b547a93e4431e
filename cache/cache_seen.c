/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a whole object to check it costs what reading it costs; doing so once per process is
 * enough against bit rot and half-written disks. An entry is tied to inode, size and modification
 * time, so that a replaced object is read again. */
#include "cache_internal.h"

#include "fmt_cleanup.h"

#include <string.h>
#include <time.h>

/* A power of two; an image has some thousand programs, keys are evenly spread. */
#define BUCKETS 1024

struct seen {
        struct seen *next;
        struct fmt_digest key;
        dev_t device;
        ino_t inode;
        off_t size;
        struct timespec modified;
        time_t marked; /* CLOCK_MONOTONIC */
        struct cache_meta meta;
};

struct cache_seen {
        pthread_mutex_t lock;
        struct seen *buckets[BUCKETS];
};

int cache_seen_new(struct cache_seen **ret)
{
        struct cache_seen *seen = calloc(1, sizeof(*seen));

        if (!seen)
                return -ENOMEM;
        pthread_mutex_init(&seen->lock, NULL);
        *ret = seen;
        return 0;
}

static void entry_free(struct seen *entry)
{
        cache_meta_done(&entry->meta);
        free(entry);
}

void cache_seen_free(struct cache_seen *seen)
{
        if (!seen)
                return;
        for (size_t i = 0; i < BUCKETS; i++)
                while (seen->buckets[i]) {
                        struct seen *entry = seen->buckets[i];
                        seen->buckets[i] = entry->next;
                        entry_free(entry);
                }
        pthread_mutex_destroy(&seen->lock);
        free(seen);
}

static struct seen **slot_of(struct cache_seen *seen, const struct fmt_digest *key)
{
        size_t bucket = (key->bytes[0] | (size_t)key->bytes[1] << 8) % BUCKETS;
        struct seen **slot = &seen->buckets[bucket];

        while (*slot && !fmt_digest_equal(&(*slot)->key, key))
                slot = &(*slot)->next;
        return slot;
}

static bool same_file(const struct seen *entry, const struct stat *st)
{
        return entry->device == st->st_dev && entry->inode == st->st_ino &&
               entry->size == st->st_size && entry->modified.tv_sec == st->st_mtim.tv_sec &&
               entry->modified.tv_nsec == st->st_mtim.tv_nsec;
}

static time_t now(void)
{
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
        return time.tv_sec;
}

int cache_seen_find(struct cache_seen *seen, const struct fmt_digest *key, const struct stat *st,
        struct cache_meta *ret_meta, bool *ret_mark_due)
{
        struct seen *entry;
        int r = -ENOENT;

        pthread_mutex_lock(&seen->lock);
        entry = *slot_of(seen, key);
        if (entry && same_file(entry, st)) {
                r = ret_meta ? cache_meta_copy(&entry->meta, ret_meta) : 0;
                *ret_mark_due = now() - entry->marked >= CACHE_MARK_SECONDS;
                if (*ret_mark_due)
                        entry->marked = now();
        }
        pthread_mutex_unlock(&seen->lock);
        return r;
}

void cache_seen_add(struct cache_seen *seen, const struct fmt_digest *key, const struct stat *st,
        const struct cache_meta *meta)
{
        struct seen *entry = calloc(1, sizeof(*entry));
        struct seen **slot;

        if (!entry)
                return;
        *entry = (struct seen){.key = *key,
                .device = st->st_dev,
                .inode = st->st_ino,
                .size = st->st_size,
                .modified = st->st_mtim,
                .marked = now()};
        if (cache_meta_copy(meta, &entry->meta) < 0) {
                free(entry);
                return;
        }
        pthread_mutex_lock(&seen->lock);
        slot = slot_of(seen, key);
        if (*slot) {
                struct seen *old = *slot;
                entry->next = old->next;
                entry_free(old);
        }
        *slot = entry;
        pthread_mutex_unlock(&seen->lock);
}

void cache_seen_remove(struct cache_seen *seen, const struct fmt_digest *key)
{
        struct seen **slot;

        pthread_mutex_lock(&seen->lock);
        slot = slot_of(seen, key);
        if (*slot) {
                struct seen *old = *slot;
                *slot = old->next;
                entry_free(old);
        }
        pthread_mutex_unlock(&seen->lock);
}
