/* SPDX-License-Identifier: Apache-2.0 */
/* The mount's answer to who asks how it is (fmt_status.h has the question). */
#ifndef FS_STATUS_H
#define FS_STATUS_H

#include "fs.h"

void fs_ioctl(fuse_req_t req, fuse_ino_t inode, unsigned command, void *argument,
        struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size, size_t out_size);

#endif
