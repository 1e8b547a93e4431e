/* SPDX-License-Identifier: Apache-2.0 */
/* The portable objects of a mount: found through the image's manifest, compiled by a session. */
#ifndef FS_PORTABLE_H
#define FS_PORTABLE_H

#include "fs.h"
#include "fs_options.h"
#include "fs_program.h"

#include "jit_spawner.h"

/* Reads /.xaas/bundle. Sets fs->portable and fs->hidden, or leaves them alone where the image has
 * no programs (no cache folder is made then) or they cannot be used (a warning says why). Says what
 * is wrong otherwise. Starts no threads. */
int fs_portable_open(struct fs *fs, const struct fs_options *options, struct jit_spawner *spawner);
/* Starts the threads that wait for compiles. */
int fs_portable_start(struct fs_portable *portable);
/* Ends compiles that run; parked requests are answered. No requests may come any more. */
void fs_portable_free(struct fs_portable *portable);

/* NULL if INODE is no portable object. */
struct fs_program *fs_portable_find(const struct fs_portable *portable, fmt_inode inode);

/* Starts compiling what PROGRAM will map: its interpreter and libraries. Once per program. */
void fs_portable_start_libraries(struct fs_portable *portable, struct fs_program *program);

#endif
