/* SPDX-License-Identifier: Apache-2.0 */
/* The portable objects of a mount: found through the image's manifest, compiled by a session. */
#ifndef FS_PORTABLE_H
#define FS_PORTABLE_H

#include "fs.h"
#include "fs_options.h"
#include "fs_program.h"

#include "jit_spawner.h"

/* Whether there is a bundle, which may list programs. Reads nothing. */
bool fs_portable_may_exist(const struct fs *fs);
/* Reads /.xaas/bundle. Sets fs->hidden where there is one and fs->portable where it lists programs;
 * those need fs->cache, which is opened if it is not. Says what is wrong. */
int fs_portable_open(struct fs *fs, const struct fs_options *options);
/* Starts the threads that wait for compiles. SPAWNER is borrowed. */
int fs_portable_start(struct fs_portable *portable, const struct fs_options *options,
        struct jit_spawner *spawner);
/* Kernel and library can pass opens through; the first one tells whether this mount may. */
void fs_portable_offer_passthrough(struct fs_portable *portable);
/* DEVICE: the mounted session's /dev/fuse; borrowed. Before the first open. */
void fs_portable_connect(struct fs_portable *portable, int device);
/* Ends compiles that run and answers those who wait; no requests may come any more. Then the rest.
 */
void fs_portable_free(struct fs_portable *portable);

/* Why opens do not pass through; NULL: they do. Static. */
const char *fs_portable_no_passthrough(const struct fs_portable *portable);

/* What compiles may take. After fs_portable_start. */
const struct jit_options *fs_portable_pool(const struct fs_portable *portable);

size_t fs_portable_count(const struct fs_portable *portable);
/* NUMBER: 0 to the count less one. */
struct fs_program *fs_portable_program(const struct fs_portable *portable, size_t number);
/* NULL if INODE is no portable object, or PORTABLE is NULL. */
struct fs_program *fs_portable_find(const struct fs_portable *portable, fmt_inode inode);

/* Starts compiling what PROGRAM will map: its interpreter and libraries. Once per program. */
void fs_portable_start_libraries(struct fs_portable *portable, struct fs_program *program);

#endif
