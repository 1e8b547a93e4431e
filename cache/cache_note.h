/* SPDX-License-Identifier: Apache-2.0 */
/* What was learnt about programs and cannot be had again by compiling: which policy was measured to
 * be best, profiles of their runs. Lies with what is compiled because it is for the same
 * mounts, but takes no part in its limit: nothing evicts or clears it.
 *
 *     DIR/v1/notes/KIND/HEX     the note and 16 bytes: XXH3-128 of it, high half first
 *
 * Written at once or not at all; the last writer wins. Thread-safe. */
#ifndef CACHE_NOTE_H
#define CACHE_NOTE_H

#include "cache_store.h"

#include <stddef.h>

#define CACHE_NOTE_MAX (UINT64_C(256) << 20) /* bytes */

/* KIND: a word of lower-case letters. Waits for the disk. -EROFS, -EFBIG, -ENOSPC, -EIO. */
int cache_note_write(struct cache *cache, const char *kind, const struct fmt_digest *name,
        const void *data, size_t size);

/* The caller frees *ret, behind which a NUL stands that does not count. -ENOENT; -EBADMSG if it is
 * damaged. */
int cache_note_read(struct cache *cache, const char *kind, const struct fmt_digest *name,
        void **ret, size_t *ret_size);

/* -ENOENT. */
int cache_note_remove(struct cache *cache, const char *kind, const struct fmt_digest *name);

/* Calls VISIT for the name of each note of KIND until it returns something else than 0, which is
 * then returned. */
int cache_note_each(struct cache *cache, const char *kind,
        int (*visit)(void *context, const struct fmt_digest *name), void *context);

#endif
