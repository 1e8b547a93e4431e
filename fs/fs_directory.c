/* SPDX-License-Identifier: Apache-2.0 */
#include "fs.h"

#include "fmt_cleanup.h"

#include <string.h>

/* Where a reader of the directory stands: 0 before ".", 1 before "..", then one more for each
 * entry. So an offset stays valid for as long as the image does. */
#define FIRST_ENTRY 2

/* What the kernel asks for at once, 4 KiB to 128 KiB; more than that is not worth its memory. */
#define MOST_BYTES ((size_t)128 << 10)

struct listing {
        const struct fs *fs;
        fuse_req_t req;
        bool plus;
        char *buffer;
        size_t size;
        size_t used;
};

/* Adds one entry; false if it does not fit any more. NEXT is the offset behind it. */
static bool add(struct listing *listing, const char *name, fmt_inode inode, off_t next)
{
        struct fuse_entry_param entry = {
                .attr_timeout = fs_timeout(listing->fs), .entry_timeout = fs_timeout(listing->fs)};
        const size_t left = listing->size - listing->used;
        size_t needed;
        if (fs_stat(listing->fs, inode, &entry.attr) < 0)
                return true;
        if (listing->plus) {
                /* "." and ".." must not be looked up by this: the kernel ignores them without an
                 * inode. */
                entry.ino = name[0] == '.' && next <= FIRST_ENTRY ? 0 : inode;
                needed = fuse_add_direntry_plus(
                        listing->req, listing->buffer + listing->used, left, name, &entry, next);
        } else {
                needed = fuse_add_direntry(listing->req, listing->buffer + listing->used, left,
                        name, &entry.attr, next);
        }
        if (needed > left)
                return false;
        listing->used += needed;
        return true;
}

static int list(struct listing *listing, fmt_inode directory, off_t offset)
{
        fmt_inode parent;
        int error = fmt_squashfs_parent(listing->fs->image, directory, &parent);
        if (error < 0)
                return error;
        if (offset == 0 && !add(listing, ".", directory, ++offset))
                return 0;
        if (offset == 1 && !add(listing, "..", parent, ++offset))
                return 0;
        for (;; offset++) {
                const char *name;
                size_t name_size;
                fmt_inode inode;
                if (fmt_squashfs_entry(listing->fs->image, directory,
                            (uint32_t)(offset - FIRST_ENTRY), &name, &name_size, &inode) < 0)
                        return 0;
                if (inode != listing->fs->hidden && !add(listing, name, inode, offset + 1))
                        return 0;
        }
}

static void reply_listing(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, bool plus)
{
        struct listing listing = {
                .fs = fuse_req_userdata(req),
                .req = req,
                .plus = plus,
                .size = size < MOST_BYTES ? size : MOST_BYTES,
        };
        _cleanup_free_ char *buffer = malloc(listing.size);
        listing.buffer = buffer;
        int error = buffer == NULL ? -ENOMEM
                    : offset < 0 || offset > UINT32_MAX
                            ? -EINVAL
                            : list(&listing, fs_inode(listing.fs, inode), offset);
        if (error < 0)
                fuse_reply_err(req, -error);
        else
                fuse_reply_buf(req, buffer, listing.used);
}

void fs_readdir(
        fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *fi)
{
        (void)fi;
        reply_listing(req, inode, size, offset, false);
}

void fs_readdirplus(
        fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *fi)
{
        (void)fi;
        reply_listing(req, inode, size, offset, true);
}
