/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes: the image's own, and what the mount tells about a portable object.
 *
 *     user.xaasfs.state    portable | compiling | native TARGET KEY[, profile: FIT | , counting] |
 *                          fast TARGET KEY, full: FULL | baseline REASON | failed REASON
 *                          where FULL is: not begun | compiling | ready | failed REASON
 *     user.xaasfs.key      the content address of its native ELF on this host
 *     user.xaasfs.policy   how it is compiled (jit_policy.h)
 *     user.xaasfs.opens    how often it was opened since the mount began
 *
 * Those can be asked for but are not listed, so that copies do not take them along. */
#ifndef FS_STATE_H
#define FS_STATE_H

#include "fs.h"

void fs_getxattr(fuse_req_t req, fuse_ino_t inode, const char *name, size_t size);
void fs_listxattr(fuse_req_t req, fuse_ino_t inode, size_t size);

#endif
