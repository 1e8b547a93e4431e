/* SPDX-License-Identifier: Apache-2.0 */
/* What tells an image file from every other one, and from itself after a change: what is known
 * about an image is kept under this, and found again without reading the image.
 *
 * A change of the file moves its ctime, whatever is done to its mtime and size; an image put in its
 * place has another inode. The superblock is in it because it costs one read and names when the
 * image was made and where its tables lie. Two things escape that: a file system that writes down
 * times so coarsely that a change follows unnoticed in the same tick (fmt_image_identity_settled),
 * and a block device, whose times say nothing about its bytes (-ENOTSUP). */
#ifndef FMT_IMAGE_IDENTITY_H
#define FMT_IMAGE_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#define FMT_SUPERBLOCK_SIZE 96

/* Compared and hashed as bytes: no padding, and what is not used is zero. */
struct fmt_image_identity {
        char format[8];      /* of the index (fmt_index.h) */
        char written_by[32]; /* version of xaasfs: another one may understand images better */
        uint64_t device;
        uint64_t inode;
        uint64_t size;   /* bytes */
        uint64_t offset; /* of the superblock, bytes */
        int64_t mtime_ns;
        int64_t ctime_ns;
        unsigned char superblock[FMT_SUPERBLOCK_SIZE];
};

/* Of the image in FD, whose squashfs starts at OFFSET. -ENOTSUP: it cannot be recognised again;
 * -EIO: shorter than a superblock. */
int fmt_image_identity(int fd, uint64_t offset, struct fmt_image_identity *ret);

/* Whether a change from now on could not leave the identity as it is. */
bool fmt_image_identity_settled(const struct fmt_image_identity *identity);

#endif
