/* SPDX-License-Identifier: Apache-2.0 */
/* The mount's index and the cache: what need not be done before the mount serves is done while it
 * does. An index that was made is kept for the next mount; a large one that was found is compared
 * with what was kept, and the mount ends (as if by SIGTERM) if it is not that. */
#ifndef FS_INDEX_H
#define FS_INDEX_H

#include "fs.h"

struct fs_index;

/* Starts a thread, if there is anything to do. FS stays as it is until fs_index_finish. */
int fs_index_start(const struct fs *fs, struct fs_index **ret);
/* Waits for it. */
void fs_index_finish(struct fs_index *index);

#endif
