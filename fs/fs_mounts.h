/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel tells about mounts of this kind without anybody touching them: a dead one does
 * not matter, and one that nobody uses stays one that nobody uses (fs_unmount_expire). */
#ifndef FS_MOUNTS_H
#define FS_MOUNTS_H

#include <sys/types.h>

/* The device number (stat(2), st_dev) of the xaasfs that is on top at MOUNTPOINT, an absolute path.
 * -ENOENT: none is. */
int fs_mounts_at(const char *mountpoint, dev_t *ret);

/* That of what is mounted with the open /dev/fuse FUSE. -ENOENT: this kernel does not tell. */
int fs_mounts_of(int fuse, dev_t *ret);

#endif
