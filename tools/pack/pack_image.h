/* SPDX-License-Identifier: Apache-2.0 */
/* The image that is being written: an unnamed file in the target's folder, filled by mksquashfs out
 * of a tar stream, which gets its name only when it is complete and on disk. However this ends,
 * by failure, signal or power cut, there is the old image or the new one.
 *
 * Life: pack_image_begin, write to pack_image_stream, pack_image_finish; or pack_image_abandon at
 * any time. */
#ifndef PACK_IMAGE_H
#define PACK_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

struct pack_image_options {
        unsigned level;     /* zstd, 1 to 22 */
        uint32_t time;      /* of the file system, seconds: later times of files become this */
        unsigned root_mode; /* permissions of the root folder */
        uint32_t root_owner;
        uint32_t root_group;
        bool all_root; /* everything belongs to 0:0 */
        unsigned processors;
};

struct pack_image;

/* Starts mksquashfs. Messages go through fmt_error; what mksquashfs says is part of them. */
int pack_image_begin(
        const char *path, const struct pack_image_options *options, struct pack_image **ret);

/* Where the tar stream goes. Writing fails with EPIPE once mksquashfs gave up: finish says why.
 * Borrowed. */
int pack_image_stream(const struct pack_image *image);

/* Ends the stream, waits for mksquashfs, syncs and names the image. Frees IMAGE. ret_size: bytes.
 */
int pack_image_finish(struct pack_image *image, uint64_t *ret_size);

/* Ends mksquashfs and frees IMAGE; NULL is fine. */
void pack_image_abandon(struct pack_image *image);

#endif
