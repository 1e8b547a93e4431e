/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes of images (fmt_index.h), kept so that the next mount of an image maps what an earlier one
 * made and checked.
 *
 *     DIR/v1/indexes/NAME     index footer; modification time: last use
 *     NAME                    32 hexadecimal digits: XXH3-128 of the image's identity
 *
 * The footer repeats the whole identity, so the name need not be free of collisions. An index is
 * put there only after all of it was checked, by whoever owns the cache, and under a name only
 * when it is complete and on disk; so what is left to guard against is a disk that forgets. The
 * footer has XXH3-128 of itself and of the index. The first is compared always. The second is
 * compared before an index is used if that takes at most a millisecond or so; a larger one is used
 * at once, like a shared library is, and compared by whoever has the time (cache_index_check). */
#ifndef CACHE_INDEX_H
#define CACHE_INDEX_H

#include "cache_store.h"
#include "fmt_squashfs.h"

/* For fmt_squashfs_open, to look in CACHE (which must outlive that). Counts a hit or a miss. */
struct fmt_index_keeper cache_index_keeper(struct cache *cache);

/* As struct fmt_index_keeper's find. -ENOENT. */
int cache_index_find(struct cache *cache, const struct fmt_image_identity *image, void **ret_map,
        size_t *ret_size);

/* Keeps what was made and may be kept; otherwise does nothing. -EROFS, -ENOSPC, -EDQUOT, -EIO.
 * Waits for the disk. */
int cache_index_keep(struct cache *cache, const struct fmt_index_origin *origin);

/* Compares what cache_index_find left uncompared; otherwise does nothing. -EBADMSG after taking it
 * out: whoever has it mapped must not go on with it. */
int cache_index_check(struct cache *cache, const struct fmt_index_origin *origin);

#endif
