/* SPDX-License-Identifier: Apache-2.0 */
/* Where in a file the squashfs image is: at its start, or as the primary partition of a SIF file
 * (Singularity image format, sylabs/sif, pkg/sif/sif.go). */
#ifndef FMT_IMAGE_FIND_H
#define FMT_IMAGE_FIND_H

#include <stdint.h>

/* OFFSET: what the caller was told, or 0. *ret is the byte at which the superblock stands. Says
 * what the file is if it holds no squashfs that we read: -EMEDIUMTYPE. PATH is for messages. */
int fmt_image_find(const char *path, int fd, uint64_t file_size, uint64_t offset, uint64_t *ret);

#endif
