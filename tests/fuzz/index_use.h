/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that a mount can ask of a checked index. */
#ifndef INDEX_USE_H
#define INDEX_USE_H

#include "fmt_squashfs.h"

/* An image that has INDEX_SIZE bytes at INDEX for its index, which no indexer wrote, and the file
 * FD (borrowed) for its data. NULL if the check refuses it, and *ret_reason says why (else NULL).
 * FILE_SIZE as in fmt_index_check, CACHE_SIZE as in struct fmt_squashfs_options. INDEX must outlive
 * it; end it with fmt_squashfs_free. */
struct fmt_squashfs *index_open(const void *index, size_t index_size, int fd, uint64_t file_size,
        uint64_t cache_size, const char **ret_reason);

/* Walks all directories, looks up each name and some that are not there, and asks each inode for
 * everything; reads some of the files' bytes. Aborts if an answer contradicts another one. True if
 * all reads succeeded. */
bool index_use_everything(struct fmt_squashfs *image);

/* Reads SIZE bytes at OFFSET of the regular file INODE, copied and in place: all that the file has
 * there, the same both times, or -EIO. Returns as fmt_squashfs_read; at most FMT_VIEW_MAX. */
ssize_t index_read(
        struct fmt_squashfs *image, fmt_inode inode, void *buffer, size_t size, uint64_t offset);

#endif
