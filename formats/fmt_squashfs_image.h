/* SPDX-License-Identifier: Apache-2.0 */
/* What an open image consists of: shared by the files that implement fmt_squashfs.h. */
#ifndef FMT_SQUASHFS_IMAGE_H
#define FMT_SQUASHFS_IMAGE_H

#include "fmt_budget.h"
#include "fmt_index.h"
#include "fmt_squashfs.h"

#include <stdatomic.h>

struct fmt_squashfs {
        char *path; /* for messages */
        int fd;
        uint64_t offset; /* of the superblock, bytes */
        struct fmt_index index;
        fmt_inode root; /* where paths start */
        void *map;      /* what index points into */
        size_t map_size;
        struct fmt_image_identity identity;
        bool index_is_kept; /* see struct fmt_index_origin */
        bool index_may_be_kept;
        struct fmt_block_cache *blocks;
        struct fmt_budget in_hand; /* memory of those who read right now, beside the cache's */
        struct fmt_readahead *readahead; /* NULL: too small a cache, or one core only */
        atomic_uint complaints;          /* damaged blocks that were reported */
        /* One bit for each of the index's blocks, then fragments: it was decompressed. */
        _Atomic uint64_t *made;
        _Atomic uint64_t made_again;
        _Atomic uint64_t bytes_read;
};

/* The inode's record, or NULL if there is no such number. */
static inline const struct fmt_index_inode *fmt_squashfs_inode(
        const struct fmt_squashfs *image, fmt_inode inode)
{
        if (inode == 0 || inode > image->index.header->n_inodes)
                return NULL;
        return &image->index.inodes[inode - 1];
}

/* Makes what file data is read through, for an image that has its descriptor and its index.
 * CACHE_SIZE as in struct fmt_squashfs_options. Free the image after an error, too. */
int fmt_squashfs_start_data(struct fmt_squashfs *image, uint64_t cache_size);

/* For fmt_readahead.h: CONTEXT is the image. */
void fmt_squashfs_make_ahead(void *context, const struct fmt_index_block *block);
void fmt_squashfs_fetch(void *context, uint64_t position, uint64_t size);

#endif
