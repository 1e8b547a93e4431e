/* SPDX-License-Identifier: Apache-2.0 */
/* -o subdir=: a folder of the image as the root of the mount.
 *
 * For the kernel the root is always inode 1 (fs_inode, in fs.h); paths and links in the image, also
 * those that the search for libraries follows, begin at the folder, as after chroot(2). The
 * manifest names programs from the image's own root (fs_root_path). */
#ifndef FS_ROOT_H
#define FS_ROOT_H

#include "fs.h"

/* SUBDIR may lead through symbolic links; NULL: the whole image. IMAGE is for messages: says what
 * is wrong. Sets fs->subdir, the caller's to free. Call before anything else uses the image. */
int fs_root_enter(struct fs *fs, const char *image, const char *subdir);

/* PATH, from the image's root, as seen from the mount's; NULL if it is not below that. Both without
 * leading slash; points into PATH. PATH leads through no symbolic link. */
const char *fs_root_path(const struct fs *fs, const char *path);

#endif
