/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_squashfs_image.h"

#include <errno.h>
#include <string.h>

static const struct fmt_index_xattr_set *set_of(
        const struct fmt_squashfs *image, const struct fmt_index_inode *inode)
{
        static const struct fmt_index_xattr_set none = {0, 0};
        return inode->xattr_set == FMT_INDEX_NONE ? &none
                                                  : &image->index.xattr_sets[inode->xattr_set];
}

ssize_t fmt_squashfs_listxattr(
        const struct fmt_squashfs *image, fmt_inode inode, char *buffer, size_t size)
{
        const struct fmt_index_inode *record = fmt_squashfs_inode(image, inode);
        if (record == NULL)
                return -ENOENT;
        const struct fmt_index_xattr_set *set = set_of(image, record);
        size_t used = 0;
        for (uint32_t i = 0; i < set->count; i++) {
                const struct fmt_index_xattr *xattr = &image->index.xattrs[set->first + i];
                const size_t name_size = (size_t)xattr->name_size + 1;
                if (size > 0) {
                        if (name_size > size - used)
                                return -ERANGE;
                        memcpy(buffer + used, image->index.text + xattr->name, name_size);
                }
                used += name_size;
        }
        return (ssize_t)used;
}

ssize_t fmt_squashfs_getxattr(const struct fmt_squashfs *image, fmt_inode inode, const char *name,
        void *buffer, size_t size)
{
        const struct fmt_index_inode *record = fmt_squashfs_inode(image, inode);
        if (record == NULL)
                return -ENOENT;
        const struct fmt_index_xattr_set *set = set_of(image, record);
        for (uint32_t i = 0; i < set->count; i++) {
                const struct fmt_index_xattr *xattr = &image->index.xattrs[set->first + i];
                if (strcmp(name, image->index.text + xattr->name) != 0)
                        continue;
                if (size == 0)
                        return (ssize_t)xattr->value_size;
                if (xattr->value_size > size)
                        return -ERANGE;
                memcpy(buffer, image->index.text + xattr->value, xattr->value_size);
                return (ssize_t)xattr->value_size;
        }
        return -ENODATA;
}
