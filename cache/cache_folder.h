/* SPDX-License-Identifier: Apache-2.0 */
/* Folders that nobody else can write to, and removing trees without being led astray.
 * Internal to the cache. Thread-safe. */
#ifndef CACHE_FOLDER_H
#define CACHE_FOLDER_H

#include "fmt_log.h"

#include <stdbool.h>
#include <sys/types.h>

/* Opens the folder PATH, walking it component by component: each (symbolic links included) must
 * belong to root or to us, and each folder be writable by nobody else; a sticky one such as /tmp
 * may stand above, not at the end. Makes what is missing (0700) if CREATE. Says what is wrong, as
 * COMPLAINTS. -EPERM: a component could be written by others. */
int cache_folder_open(const char *path, bool create, enum fmt_log_level complaints, int *ret_fd);

/* Opens the folder NAME in PARENT, making it with MODE if CREATE. Never follows a link. */
int cache_folder_sub(int parent, const char *name, bool create, mode_t mode, int *ret_fd);

/* Removes NAME in PARENT, whatever it is, with all that is below. Follows no link and does not
 * recurse, so that a tree made by someone hostile, however deep, is removed as well. */
int cache_tree_remove(int parent, const char *name);

#endif
