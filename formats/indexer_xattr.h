/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes: each set that the image has is read once, when the first inode has it. */
#ifndef INDEXER_XATTR_H
#define INDEXER_XATTR_H

#include <squashfuse/squashfuse.h>

#include "indexer_parts.h"

struct indexer_xattrs {
        uint32_t *sets; /* by the image's number: 1 + our number, 0 not read yet */
        uint32_t n;
};

/* *ret is the number of INODE's set in PARTS, or FMT_INDEX_NONE. -EBADMSG, -ENOMEM, -E2BIG. */
int indexer_xattr_set(struct indexer_xattrs *xattrs, sqfs *fs, sqfs_inode *inode,
        struct indexer_parts *parts, uint32_t *ret);
void indexer_xattrs_done(struct indexer_xattrs *xattrs);

#endif
