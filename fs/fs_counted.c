/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of the mount with a count and a clock around each. */
#include "fs.h"
#include "fs_statistics.h"

static struct fs_statistics *of(fuse_req_t req)
{
        const struct fs *fs = fuse_req_userdata(req);
        return fs->statistics;
}

/* REQ may be gone after the operation, the mount may not. */
#define COUNTED(kind, operation, parameters, ...)                                                  \
        static void counted_##operation parameters                                                 \
        {                                                                                          \
                struct fs_statistics *statistics = of(req);                                        \
                fs_statistics_begin(statistics, kind);                                             \
                fs_operations.operation(__VA_ARGS__);                                              \
                fs_statistics_end(statistics, kind);                                               \
        }

COUNTED(FS_LOOKUP, lookup, (fuse_req_t req, fuse_ino_t parent, const char *name), req, parent, name)
COUNTED(FS_FORGET, forget, (fuse_req_t req, fuse_ino_t inode, uint64_t count), req, inode, count)
COUNTED(FS_FORGET, forget_multi, (fuse_req_t req, size_t count, struct fuse_forget_data *forgets),
        req, count, forgets)
COUNTED(FS_GETATTR, getattr, (fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *fi), req,
        inode, fi)
COUNTED(FS_READLINK, readlink, (fuse_req_t req, fuse_ino_t inode), req, inode)
COUNTED(FS_OPEN, open, (fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *fi), req, inode,
        fi)
COUNTED(FS_READ, read,
        (fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *fi),
        req, inode, size, offset, fi)
COUNTED(FS_RELEASE, release, (fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *fi), req,
        inode, fi)
COUNTED(FS_LSEEK, lseek,
        (fuse_req_t req, fuse_ino_t inode, off_t offset, int whence, struct fuse_file_info *fi),
        req, inode, offset, whence, fi)
COUNTED(FS_OPENDIR, opendir, (fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *fi), req,
        inode, fi)
COUNTED(FS_READDIR, readdir,
        (fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *fi),
        req, inode, size, offset, fi)
COUNTED(FS_READDIRPLUS, readdirplus,
        (fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *fi),
        req, inode, size, offset, fi)
COUNTED(FS_STATFS, statfs, (fuse_req_t req, fuse_ino_t inode), req, inode)
COUNTED(FS_GETXATTR, getxattr, (fuse_req_t req, fuse_ino_t inode, const char *name, size_t size),
        req, inode, name, size)
COUNTED(FS_LISTXATTR, listxattr, (fuse_req_t req, fuse_ino_t inode, size_t size), req, inode, size)
COUNTED(FS_IOCTL, ioctl,
        (fuse_req_t req, fuse_ino_t inode, unsigned command, void *argument,
                struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size,
                size_t out_size),
        req, inode, command, argument, fi, flags, in, in_size, out_size)

static void counted_init(void *userdata, struct fuse_conn_info *conn)
{
        fs_operations.init(userdata, conn);
}

const struct fuse_lowlevel_ops fs_counted_operations = {
        .init = counted_init,
        .lookup = counted_lookup,
        .forget = counted_forget,
        .forget_multi = counted_forget_multi,
        .getattr = counted_getattr,
        .readlink = counted_readlink,
        .open = counted_open,
        .read = counted_read,
        .release = counted_release,
        .lseek = counted_lseek,
        .opendir = counted_opendir,
        .readdir = counted_readdir,
        .readdirplus = counted_readdirplus,
        .statfs = counted_statfs,
        .getxattr = counted_getxattr,
        .listxattr = counted_listxattr,
        .ioctl = counted_ioctl,
};
