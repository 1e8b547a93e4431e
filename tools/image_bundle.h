/* SPDX-License-Identifier: Apache-2.0 */
/* The bundle inside an image, opened together with what it is read through. */
#ifndef IMAGE_BUNDLE_H
#define IMAGE_BUNDLE_H

#include "fmt_bundle.h"
#include "fmt_manifest.h"
#include "fmt_squashfs.h"

struct image_bundle {
        struct fmt_squashfs *image;
        struct fmt_source_inode file; /* what the bundle reads through: must not move */
        struct fmt_bundle *bundle;    /* NULL: an image without portable objects */
        struct fmt_manifest *manifest;
};

/* KEEPER may have the image's index; NULL: nobody has. Prints what is wrong. Call while
 * single-threaded (fmt_squashfs_open forks). */
int image_bundle_open(
        const char *path, const struct fmt_index_keeper *keeper, struct image_bundle *ret);
void image_bundle_done(struct image_bundle *image);

#endif
