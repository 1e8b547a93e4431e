/* SPDX-License-Identifier: Apache-2.0 */
/* Starting early: a program that is opened will map its libraries next, so those that are not
 * compiled yet are compiled at the same time and not one after the other. */
#ifndef FS_LIBRARIES_H
#define FS_LIBRARIES_H

#include "fs_program.h"

/* Finds what PROGRAM, a portable object of the mount, needs, and asks for the compile of each
 * portable object among it that is not in the cache. Takes milliseconds: call after the answer. */
void fs_libraries_start(const struct fs *fs, struct fs_program *program);

#endif
