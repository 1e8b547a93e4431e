/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts of the image in a folder that nobody else sees, each compiling by a policy of its own. */
#ifndef TUNE_MOUNT_H
#define TUNE_MOUNT_H

#include <stdint.h>

struct tune_mounts {
        char *xaasfs; /* path of the program */
        char *folder; /* the mount points are below; removed at the end */
        const char *image;
        const char *cache, *target, *variant; /* as its options; NULL: left out */
        int stop_fd;                          /* readable: give up */
        unsigned n_started;
};

/* Finds xaasfs and makes the folder. Says what is wrong. */
int tune_mounts_begin(struct tune_mounts *mounts);
/* All mounts must have ended. */
void tune_mounts_done(struct tune_mounts *mounts);

struct tune_mount;

/* Returns when it serves. It ends with this process, whatever ends that. -ECANCELED; other errors
 * after saying what xaasfs said. */
int tune_mount_start(struct tune_mounts *mounts, const char *policy, struct tune_mount **ret);
void tune_mount_end(struct tune_mount *mount);

const char *tune_mount_path(const struct tune_mount *mount);

/* How often PATH (in the image) was opened in it. -ENODATA: it is no portable object. */
int tune_mount_opens(const struct tune_mount *mount, const char *path, uint64_t *ret);

#endif
