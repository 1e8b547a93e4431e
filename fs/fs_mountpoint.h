/* SPDX-License-Identifier: Apache-2.0 */
/* Whether something can be mounted here, and in plain words why not. */
#ifndef FS_MOUNTPOINT_H
#define FS_MOUNTPOINT_H

/* Checks MOUNTPOINT and /dev/fuse; *ret is the absolute path, the caller's to free. Says what is
 * wrong and what cures it; negative errno. */
int fs_mountpoint_check(const char *mountpoint, char **ret);

/* After a mount failed with libfuse's or fusermount3's own words in WHY. */
void fs_mountpoint_explain(const char *mountpoint, const char *why);

#endif
