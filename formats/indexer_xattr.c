/* SPDX-License-Identifier: Apache-2.0 */
#include "indexer_xattr.h"

#include "indexer_place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* libsquashfuse takes trusted.* for security.* and the other way round (0.1.105), so the prefix is
 * put in front here: squashfs 4.0 numbers them so. */
static const char *const prefixes[] = {
        [SQUASHFS_XATTR_USER] = "user.",
        [SQUASHFS_XATTR_TRUSTED] = "trusted.",
        [SQUASHFS_XATTR_SECURITY] = "security.",
};

/* The whole name, into FMT_INDEX_NAME_MAX bytes at NAME. */
static int read_name(sqfs_xattr *xattr, char *name, size_t *ret_size)
{
        if (xattr->type >= sizeof prefixes / sizeof prefixes[0])
                return -EBADMSG;
        const size_t prefix_size = strlen(prefixes[xattr->type]);
        const size_t size = prefix_size + xattr->entry.size;
        if (size > FMT_INDEX_NAME_MAX)
                return -EBADMSG;
        memcpy(name, prefixes[xattr->type], prefix_size);
        if (sqfs_xattr_name(xattr, name + prefix_size, false) != SQFS_OK)
                return -EBADMSG;
        *ret_size = size;
        return 0;
}

static int add_xattr(sqfs_xattr *xattr, struct indexer_parts *parts)
{
        struct fmt_index_xattr record = {0};
        char name[FMT_INDEX_NAME_MAX + 1];
        size_t value_size = 0;
        if (sqfs_xattr_read(xattr) != SQFS_OK)
                return -EBADMSG;
        size_t name_size;
        int error = read_name(xattr, name, &name_size);
        if (error < 0)
                return error;
        if (sqfs_xattr_value_size(xattr, &value_size) != SQFS_OK ||
                value_size > FMT_INDEX_VALUE_MAX)
                return -EBADMSG;
        record.name_size = (uint32_t)name_size;
        record.value_size = (uint32_t)value_size;
        error = indexer_text(parts, name, name_size, &record.name);
        if (error == 0)
                error = indexer_text(parts, NULL, value_size, &record.value);
        if (error < 0)
                return error;
        if (sqfs_xattr_value(xattr, parts->text.data + record.value) != SQFS_OK)
                return -EBADMSG;
        return indexer_part_append(&parts->xattrs, &record, sizeof record);
}

static int read_set(sqfs *fs, sqfs_inode *inode, struct indexer_parts *parts, uint32_t *ret)
{
        sqfs_xattr xattr;
        struct fmt_index_xattr_set set = {
                .first = (uint32_t)(parts->xattrs.size / sizeof(struct fmt_index_xattr)),
        };
        if (sqfs_xattr_open(fs, inode, &xattr) != SQFS_OK)
                return -EBADMSG;
        if (xattr.remain > 0 &&
                !indexer_place_exists(fs, fs->xattr_info.xattr_table_start, xattr.info.xattr))
                return -EBADMSG;
        for (; xattr.remain > 0; set.count++) {
                int error = add_xattr(&xattr, parts);
                if (error < 0)
                        return error;
        }
        *ret = (uint32_t)(parts->xattr_sets.size / sizeof set);
        return indexer_part_append(&parts->xattr_sets, &set, sizeof set);
}

int indexer_xattr_set(struct indexer_xattrs *xattrs, sqfs *fs, sqfs_inode *inode,
        struct indexer_parts *parts, uint32_t *ret)
{
        *ret = FMT_INDEX_NONE;
        const uint32_t wanted = inode->xattr;
        if (wanted == SQUASHFS_INVALID_XATTR)
                return 0;
        if (wanted >= fs->xattr_info.xattr_ids)
                return -EBADMSG;
        if (xattrs->sets == NULL) {
                xattrs->n = fs->xattr_info.xattr_ids;
                xattrs->sets = calloc(xattrs->n, sizeof *xattrs->sets);
                if (xattrs->sets == NULL)
                        return -ENOMEM;
        }
        if (xattrs->sets[wanted] == 0) {
                uint32_t number;
                int error = read_set(fs, inode, parts, &number);
                if (error < 0)
                        return error;
                xattrs->sets[wanted] = number + 1;
        }
        *ret = xattrs->sets[wanted] - 1;
        return 0;
}

void indexer_xattrs_done(struct indexer_xattrs *xattrs)
{
        free(xattrs->sets);
}
