/* SPDX-License-Identifier: Apache-2.0 */
#include "image_bundle.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <string.h>

static int read_manifest(struct image_bundle *image)
{
        _cleanup_free_ void *json = NULL;
        struct fmt_source source;
        struct fmt_digest root;
        size_t size;

        int r = fmt_source_of_inode(&image->file, &source);
        if (r == 0)
                r = fmt_bundle_open(source, &image->bundle);
        if (r < 0)
                return r;
        fmt_bundle_root(image->bundle, &root);
        r = fmt_bundle_read(image->bundle, &root, &json, &size);
        return r < 0 ? r : fmt_manifest_decode(json, size, &image->manifest);
}

int image_bundle_open(
        const char *path, const struct fmt_index_keeper *keeper, struct image_bundle *ret)
{
        const struct fmt_squashfs_options options = {.keeper = keeper};

        *ret = (struct image_bundle){0};
        int r = fmt_squashfs_open(path, &options, &ret->image);
        if (r < 0)
                return r;
        ret->file.image = ret->image;
        r = fmt_squashfs_resolve(ret->image, FMT_IMAGE_BUNDLE, &ret->file.inode);
        if (r == -ENOENT || r == -ENOTDIR)
                return 0;
        if (r == 0)
                r = read_manifest(ret);
        if (r < 0) {
                fmt_error("cannot read the bundle of %s: %s; pack the image again", path,
                        r == -EPROTONOSUPPORT ? "it was written by a later version of xaas"
                                              : strerror(-r));
                image_bundle_done(ret);
        }
        return r;
}

void image_bundle_done(struct image_bundle *image)
{
        fmt_manifest_free(image->manifest);
        fmt_bundle_free(image->bundle);
        fmt_squashfs_free(image->image);
        *image = (struct image_bundle){0};
}
