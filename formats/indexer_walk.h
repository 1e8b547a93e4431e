/* SPDX-License-Identifier: Apache-2.0 */
/* From a squashfs image to its flat index, with libsquashfuse. Only for a confined process. */
#ifndef INDEXER_WALK_H
#define INDEXER_WALK_H

#include "fmt_squashfs_start.h"

#include <stdint.h>

/* Reads the image in IMAGE_FD, superblock at OFFSET, and writes its index to OUTPUT_FD.
 * Unless it returns FMT_INDEXER_OK, *ret_sentence (static) says why. */
enum fmt_indexer_exit indexer_walk(
        int image_fd, uint64_t offset, int output_fd, const char **ret_sentence);

#endif
