/* SPDX-License-Identifier: Apache-2.0 */
/* One mount: what every request can see. */
#ifndef FS_H
#define FS_H

#define FUSE_USE_VERSION 317
#include <fuse_lowlevel.h>

#include "fmt_squashfs.h"

#include <stdatomic.h>

struct cache;
struct fs_portable;
struct fs_statistics;

struct fs {
        struct fmt_squashfs *image;
        struct cache *cache;          /* NULL: there is none */
        struct fs_portable *portable; /* NULL: nothing in the image is compiled */
        struct fs_statistics *statistics;
        char *path;       /* of the image, absolute, for those who ask */
        fmt_inode hidden; /* the image's own folder, not shown; or 0 */
        char *subdir;     /* of the image that is the root; NULL, or with a slash behind */
        uid_t uid;        /* of everything, instead of the image's; or FS_AS_IMAGE (fs_options.h) */
        gid_t gid;
        bool any_xattrs;    /* of the image itself */
        bool checks_users;  /* -o allow_root */
        bool skips_open;    /* the kernel need not ask before it reads files */
        bool skips_opendir; /* ... nor folders, which it then keeps, too */
};

/* How long the kernel may answer by itself, seconds: nothing in an image ever changes. But only
 * libfuse knows whom -o allow_root keeps out, so it has to see every request then. */
static inline double fs_timeout(const struct fs *fs)
{
        return fs->checks_users ? 0 : 1e15;
}

/* The kernel calls the root of a mount 1, whichever folder of the image that is. */
static inline fmt_inode fs_inode(const struct fs *fs, fuse_ino_t inode)
{
        return inode == FUSE_ROOT_ID ? fmt_squashfs_root(fs->image) : (fmt_inode)inode;
}

/* The attributes of INODE as the mount shows them: a portable object has its promised size.
 * 0, -ENOENT. */
int fs_stat(const struct fs *fs, fmt_inode inode, struct stat *ret);

/* Directory listings. */
void fs_readdir(
        fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *fi);
void fs_readdirplus(
        fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *fi);

/* What the mount does, and the same with a count and a clock around each (fs_statistics.h): that
 * is what is served. */
extern const struct fuse_lowlevel_ops fs_operations;
extern const struct fuse_lowlevel_ops fs_counted_operations;

#endif
