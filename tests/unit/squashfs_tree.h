/* SPDX-License-Identifier: Apache-2.0 */
/* Random trees and images of them, for the tests of what reads squashfs. */
#ifndef SQUASHFS_TREE_H
#define SQUASHFS_TREE_H

#include <stdint.h>

/* Fills the empty folder PATH with about N files, directories, links and special files, with
 * contents around every multiple of BLOCK_SIZE that matters. */
void tree_make(const char *path, unsigned n, uint64_t block_size, uint64_t *random_state);

/* Runs mksquashfs over PATH with random options; says them on stdout. Exits with 77 if there is
 * no mksquashfs. */
void tree_pack(const char *path, const char *image, uint64_t block_size, uint64_t *random_state);

/* Removes PATH and all below it. */
void tree_remove(const char *path);

#endif
