/* SPDX-License-Identifier: Apache-2.0 */
#include "fs.h"
#include "fs_options.h"
#include "fs_portable.h"
#include "fs_state.h"
#include "fs_statistics.h"
#include "fs_status.h"

#include "fmt_cleanup.h"

#include <string.h>
#include <sys/statvfs.h>

int fs_stat(const struct fs *fs, fmt_inode inode, struct stat *ret)
{
        int error = fmt_squashfs_stat(fs->image, inode, ret);
        if (error < 0)
                return error;
        /* The hidden folder does not count as a subdirectory: find(1) trusts this number. */
        if (inode == FMT_ROOT && fs->hidden != 0 && ret->st_nlink > 2)
                ret->st_nlink--;
        if (fs->uid != FS_AS_IMAGE)
                ret->st_uid = fs->uid;
        if (fs->gid != FS_AS_IMAGE)
                ret->st_gid = fs->gid;
        const struct fs_program *program = fs_portable_find(fs->portable, inode);
        if (program != NULL) {
                ret->st_size = (off_t)fs_program_entry(program)->size;
                /* Fewer blocks than the size stands for, so that copies look for the hole at the
                 * end; never 0, so that nobody takes the whole file for one. */
                if (ret->st_blocks == 0 || !fs_program_entry(program)->baseline)
                        ret->st_blocks = ret->st_size / 512 / 2 + 1;
        }
        return 0;
}

static void operation_init(void *userdata, struct fuse_conn_info *conn)
{
        struct fs *fs = userdata;
        /* libfuse may offer more where the system's limit on pages was raised; the kernel would
         * take a shorter answer for the end of the file. */
        if (conn->max_write > FMT_VIEW_MAX)
                conn->max_write = FMT_VIEW_MAX;
        static const uint64_t wanted[] = {
                FUSE_CAP_ASYNC_READ, FUSE_CAP_PARALLEL_DIROPS, FUSE_CAP_READDIRPLUS};
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
                fuse_set_feature_flag(conn, wanted[i]);
        if (!fs->checks_users) {
                fuse_set_feature_flag(conn, FUSE_CAP_CACHE_SYMLINKS);
                fs->skips_opendir = fuse_set_feature_flag(conn, FUSE_CAP_NO_OPENDIR_SUPPORT);
        }
        /* Always readdirplus: every attribute is an array access away. */
        fuse_unset_feature_flag(conn, FUSE_CAP_READDIRPLUS_AUTO);
        if (fs->portable == NULL) {
                fs->skips_open =
                        !fs->checks_users && fuse_set_feature_flag(conn, FUSE_CAP_NO_OPEN_SUPPORT);
                return;
        }
#ifdef FUSE_CAP_OVER_IO_URING
        /* However that was asked for: fs_io_uring.c says why. */
        fuse_unset_feature_flag(conn, FUSE_CAP_OVER_IO_URING);
#endif
        /* Depth 0 lets an overlay stand above the mount; a cache that is itself on an overlay is
         * then served without passthrough. */
        conn->max_backing_stack_depth = 0;
        if (fuse_set_feature_flag(conn, FUSE_CAP_PASSTHROUGH))
                fs_portable_offer_passthrough(fs->portable);
}

static void operation_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        const struct fs *fs = fuse_req_userdata(req);
        struct fuse_entry_param entry = {
                .attr_timeout = fs_timeout(fs), .entry_timeout = fs_timeout(fs)};
        fmt_inode inode;
        int error =
                fmt_squashfs_lookup(fs->image, fs_inode(fs, parent), name, strlen(name), &inode);
        if (error == 0 && inode == fs->hidden)
                error = -ENOENT;
        if (error == 0)
                error = fs_stat(fs, inode, &entry.attr);
        if (error == 0)
                entry.ino = inode;
        /* An entry without an inode says for good that there is none of that name. */
        if (error == 0 || error == -ENOENT)
                fuse_reply_entry(req, &entry);
        else
                fuse_reply_err(req, -error);
}

/* Nothing is kept for those whom the kernel knows. */
static void operation_forget(fuse_req_t req, fuse_ino_t inode, uint64_t count)
{
        (void)inode, (void)count;
        fuse_reply_none(req);
}

static void operation_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
        (void)count, (void)forgets;
        fuse_reply_none(req);
}

static void operation_getattr(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *fi)
{
        const struct fs *fs = fuse_req_userdata(req);
        struct stat st;
        (void)fi;
        int error = fs_stat(fs, fs_inode(fs, inode), &st);
        if (error < 0)
                fuse_reply_err(req, -error);
        else
                fuse_reply_attr(req, &st, fs_timeout(fs));
}

static void operation_readlink(fuse_req_t req, fuse_ino_t inode)
{
        const struct fs *fs = fuse_req_userdata(req);
        const char *target;
        size_t size;
        int error = fmt_squashfs_readlink(fs->image, (fmt_inode)inode, &target, &size);
        if (error < 0)
                fuse_reply_err(req, -error);
        else
                fuse_reply_readlink(req, target);
}

static void operation_open(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *fi)
{
        struct fs *fs = fuse_req_userdata(req);
        if ((fi->flags & O_ACCMODE) != O_RDONLY) {
                fuse_reply_err(req, EROFS);
                return;
        }
        if (fs->skips_open) {
                fuse_reply_err(req, ENOSYS);
                return;
        }
        struct fs_program *program = fs_portable_find(fs->portable, (fmt_inode)inode);
        if (program != NULL) {
                fs_program_open(program, req, fi);
                fs_portable_start_libraries(fs->portable, program);
                return;
        }
        fi->keep_cache = 1;
        fs_statistics_add(fs->statistics, FS_PLAIN_OPENS, 1);
        /* The opener is gone: no release will come. */
        if (fuse_reply_open(req, fi) == -ENOENT)
                fs_statistics_add(fs->statistics, FS_PLAIN_OPENS, -1);
}

static void operation_release(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *fi)
{
        const struct fs *fs = fuse_req_userdata(req);
        struct fs_program *program = fs_portable_find(fs->portable, (fmt_inode)inode);
        (void)fi;
        if (program != NULL) {
                fs_program_release(program, req);
                return;
        }
        fs_statistics_add(fs->statistics, FS_PLAIN_OPENS, -1);
        fuse_reply_err(req, 0);
}

static void operation_read(
        fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, struct fuse_file_info *fi)
{
        const struct fs *fs = fuse_req_userdata(req);
        struct fs_program *program = fs_portable_find(fs->portable, (fmt_inode)inode);
        struct fmt_view view;
        (void)fi;
        if (program != NULL) {
                fs_program_read(program, req, size, offset);
                return;
        }
        int error = fmt_squashfs_view(fs->image, (fmt_inode)inode, size, (uint64_t)offset, &view);
        if (error < 0) {
                fuse_reply_err(req, -error);
                return;
        }
        fs_statistics_add(fs->statistics, FS_BYTES_REPLIED, (int64_t)view.size);
        fuse_reply_iov(req, view.pieces, (int)view.n_pieces);
        fmt_view_done(&view);
}

static void operation_lseek(
        fuse_req_t req, fuse_ino_t inode, off_t offset, int whence, struct fuse_file_info *fi)
{
        const struct fs *fs = fuse_req_userdata(req);
        struct fs_program *program = fs_portable_find(fs->portable, (fmt_inode)inode);
        uint64_t found;
        (void)fi;
        if (program != NULL) {
                fs_program_seek(program, req, offset, whence);
                return;
        }
        int error = offset < 0 ? -EINVAL
                               : fmt_squashfs_seek(fs->image, (fmt_inode)inode, (uint64_t)offset,
                                         whence, &found);
        if (error < 0)
                fuse_reply_err(req, -error);
        else
                fuse_reply_lseek(req, (off_t)found);
}

static void operation_opendir(fuse_req_t req, fuse_ino_t inode, struct fuse_file_info *fi)
{
        const struct fs *fs = fuse_req_userdata(req);
        (void)inode;
        if (fs->skips_opendir)
                fuse_reply_err(req, ENOSYS);
        else
                fuse_reply_open(req, fi);
}

static void operation_statfs(fuse_req_t req, fuse_ino_t inode)
{
        const struct fs *fs = fuse_req_userdata(req);
        struct fmt_squashfs_facts facts;
        (void)inode;
        fmt_squashfs_facts(fs->image, &facts);
        const struct statvfs statistics = {
                .f_bsize = facts.block_size,
                .f_frsize = facts.block_size,
                .f_blocks = (facts.image_size + facts.block_size - 1) / facts.block_size,
                .f_files = facts.inodes,
                .f_flag = ST_RDONLY,
                .f_namemax = 255,
        };
        fuse_reply_statfs(req, &statistics);
}

const struct fuse_lowlevel_ops fs_operations = {
        .init = operation_init,
        .lookup = operation_lookup,
        .forget = operation_forget,
        .forget_multi = operation_forget_multi,
        .getattr = operation_getattr,
        .readlink = operation_readlink,
        .open = operation_open,
        .release = operation_release,
        .read = operation_read,
        .lseek = operation_lseek,
        .opendir = operation_opendir,
        .readdir = fs_readdir,
        .readdirplus = fs_readdirplus,
        .statfs = operation_statfs,
        .getxattr = fs_getxattr,
        .listxattr = fs_listxattr,
        .ioctl = fs_ioctl,
};
