/* SPDX-License-Identifier: Apache-2.0 */
/* What may stand behind -o: names, kinds of values, and what other mount commands call it. */
#ifndef FS_MOUNT_OPTIONS_H
#define FS_MOUNT_OPTIONS_H

#include "fs_options.h"

/* Takes WORD, "name" or "name=value", into OPTIONS. -EINVAL after saying what is wrong with it. */
int fs_mount_option_apply(struct fs_options *options, const char *word);

/* Whether NAME is an option that is nothing without a value. */
bool fs_mount_option_wants_value(const char *name);

#endif
