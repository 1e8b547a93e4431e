/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the confined indexer over an image and maps what it wrote. */
#ifndef FMT_SQUASHFS_START_H
#define FMT_SQUASHFS_START_H

#include "fmt_index.h"

#include <stddef.h>
#include <stdint.h>

/* How the indexer ends. Any other end (a signal, a time-out) means that the image is damaged. The
 * sentence that says why is then all that is in the output. */
enum fmt_indexer_exit {
        FMT_INDEXER_OK = 0,
        FMT_INDEXER_DAMAGED = 10, /* the image contradicts itself */
        FMT_INDEXER_REFUSED = 11, /* not an image that we read: other format, version, compressor */
        FMT_INDEXER_PROBLEM = 12, /* the image is not to blame: no memory, no confinement */
};

/* Descriptors that the indexer is started with, and argv[1]: offset of the superblock, argv[2]:
 * limit of its memory, argv[3]: limit of its processor time in seconds. */
#define FMT_INDEXER_IMAGE_FD 3
#define FMT_INDEXER_OUTPUT_FD 4

/* PATH is for messages; LIBEXEC as in struct fmt_squashfs_options. On success *ret_map is a
 * read-only mapping of *ret_map_size bytes of a sealed memfd and *ret its checked parts. Prints
 * what is wrong; -EBADMSG (damaged), -EMEDIUMTYPE (not squashfs), or what kept the indexer from
 * running. */
int fmt_squashfs_start_index(const char *path, int image_fd, uint64_t file_size, uint64_t offset,
        const char *libexec, void **ret_map, size_t *ret_map_size, struct fmt_index *ret);

#endif
