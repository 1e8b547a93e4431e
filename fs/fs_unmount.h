/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a mount out of the tree: by root itself, by others through fusermount3. */
#ifndef FS_UNMOUNT_H
#define FS_UNMOUNT_H

/* At once; those who are in it stay. -EPERM, … */
int fs_unmount_detach(const char *mountpoint);

/* As umount(8): -EBUSY while somebody is in it. */
int fs_unmount_idle(const char *mountpoint);

/* Only if nobody is in it and nobody has come by since the last call, as only the kernel knows; for
 * root, also of a user namespace. 0: it is gone; -EBUSY: somebody is in it; -EAGAIN: somebody came
 * by, or this is the first call; -EPERM. */
int fs_unmount_expire(const char *mountpoint);

#endif
