/* SPDX-License-Identifier: Apache-2.0 */
/* The user's own command, run in one mount after the other. */
#ifndef TUNE_COMMAND_H
#define TUNE_COMMAND_H

#include "fmt_digest.h"
#include "tune_metric.h"

/* Where "{}" in a word becomes the mount point, the command runs as it is. Otherwise the mount
 * becomes its root file system, with /dev, /proc, /sys, /tmp and the current folder of this
 * machine in it. */
enum tune_place { TUNE_HERE, TUNE_BWRAP, TUNE_CHROOT };

struct tune_command {
        char *const *words; /* NULL-terminated */
        enum tune_place place;
        char *bwrap; /* path of the program */
        char folder[4096];
        const struct tune_metric *metric;
        int stop_fd; /* readable: kill it */
};

/* Finds a way to run WORDS. -EINVAL after saying what is missing. */
int tune_command_begin(char *const *words, const struct tune_metric *metric, int stop_fd,
        struct tune_command *ret);
void tune_command_done(struct tune_command *command);

struct tune_run {
        double seconds;           /* wall time */
        double cost;              /* by the metric */
        struct fmt_digest output; /* of what it printed on standard output */
};

/* Runs it once, killing all of it after LIMIT_S seconds (0: never). XAASFS_MOUNT in its environment
 * is MOUNTPOINT. -ECANCELED: we shall stop; -EPROTO: it failed, or took too long, or printed no
 * number, and *ret_reason (the caller frees) says which; other: it could not be run. */
int tune_command_run(const struct tune_command *command, const char *mountpoint, double limit_s,
        struct tune_run *ret, char **ret_reason);

#endif
