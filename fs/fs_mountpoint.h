/* SPDX-License-Identifier: Apache-2.0 */
/* Whether something can be mounted here, and in plain words why not. */
#ifndef FS_MOUNTPOINT_H
#define FS_MOUNTPOINT_H

#include <stdbool.h>

/* Checks MOUNTPOINT and /dev/fuse; *ret is the absolute path, the caller's to free. If CLEAN, what
 * is left there of mounts whose process is gone is taken away first. Says what is wrong and what
 * cures it; negative errno. */
int fs_mountpoint_check(const char *mountpoint, bool clean, char **ret);

/* After a mount failed with libfuse's or fusermount3's own words in WHY. */
void fs_mountpoint_explain(const char *mountpoint, const char *why);

/* Whether whatever is mounted there has nobody left who answers. Looks at it, which is use. */
bool fs_mountpoint_is_dead(const char *mountpoint);

/* True of /dev/fd/N: an open /dev/fuse that somebody else has mounted, who knows where. */
bool fs_mountpoint_is_passed(const char *mountpoint);

#endif
