/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which constructors and destructors run.
 *
 * ld.lld places what it compiles from modules behind all native inputs, and so their entries in
 * .init_array and .fini_array, whatever stood first on the line: the C++ library's own
 * constructors might run after those of a program that uses it, or before, against the record.
 * So a program where that can matter is linked, its map is read, and if entries of equal priority
 * stand in another order than their inputs, it is linked again with a script that names them one by
 * one. All modules then come out of the ThinLTO cache: the second link costs milliseconds. */
#ifndef JIT_LINK_ORDER_H
#define JIT_LINK_ORDER_H

#include <stddef.h>

/* MAP: ld.lld's --Map, terminated and cut up in place. ARCHIVE: the inputs in their order, as
 * ld.lld saw them under PATH. *ret_script: NULL where the order is right, else the text for -T (the
 * caller frees it). -EBADMSG: the map does not say enough. */
int jit_link_order(char *map, size_t map_size, const char *path, const void *archive,
        size_t archive_size, char **ret_script);

#endif
