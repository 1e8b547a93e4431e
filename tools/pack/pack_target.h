/* SPDX-License-Identifier: Apache-2.0 */
/* A file that gets its name when it is complete: until then it has none, so that no failure and
 * no signal leaves it behind, and then it replaces what had that name in one step. */
#ifndef PACK_TARGET_H
#define PACK_TARGET_H

#include <stdint.h>

struct pack_target;

/* Prints what is wrong. Where there are no unnamed files (NFS, Lustre) it has a temporary name,
 * which SIGHUP, SIGINT and SIGTERM remove. One at a time per process. */
int pack_target_open(const char *path, struct pack_target **ret);

/* Open for reading and writing. Borrowed. */
int pack_target_fd(const struct pack_target *target);

/* Syncs the file and names it. Prints what is wrong. ret_size: bytes. */
int pack_target_commit(struct pack_target *target, uint64_t *ret_size);

/* Without commit there is nothing left. NULL is fine. */
void pack_target_free(struct pack_target *target);

#endif
