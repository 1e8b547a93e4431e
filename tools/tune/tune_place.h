/* SPDX-License-Identifier: Apache-2.0 */
/* How a command gets into a mount. */
#ifndef TUNE_PLACE_H
#define TUNE_PLACE_H

#include "tune_command.h"

/* Path of NAME in the folder of this program or in $PATH; the caller frees. NULL: nowhere. */
char *tune_find_program(const char *name);

/* The words to execute: the command's own with "{}" replaced, or bwrap with what it needs in front
 * of them. */
int tune_place_words(const struct tune_command *command, const char *mountpoint, char ***ret);

/* Makes MOUNTPOINT the root of this process, in a mount namespace of its own, with the folders of
 * this machine where MOUNTPOINT has such; in FOLDER, or else in /. Only for root; -1 and errno. */
int tune_chroot(const char *mountpoint, const char *folder);

#endif
