/* SPDX-License-Identifier: Apache-2.0 */
/* ar archives in GNU format (System V with a "//" table of long names, no symbol table): how the
 * inputs of a link travel to the worker. ld.lld reads one with --whole-archive, and its messages
 * then say "(NAME)" of the member that they are about.
 *
 * Names longer than 15 bytes go into the table. Of a name ld.lld would show only what stands behind
 * its last '/', so that each '/' is written as JIT_ARCHIVE_SLASH, and whoever shows ld.lld's words
 * puts it back. A newline becomes '?'. Not thread-safe per writer. */
#ifndef JIT_ARCHIVE_H
#define JIT_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

#define JIT_ARCHIVE_SLASH '\1'

/* Puts every '/' back into TEXT, in place. */
void jit_archive_restore_slashes(char *text);

struct jit_archive_writer;

/* Starts an archive at the current position of FD (borrowed) whose N members will be called NAMES,
 * in that order. */
int jit_archive_begin(int fd, const char *const *names, size_t n, struct jit_archive_writer **ret);

/* Writes the next member. -EINVAL after the last one; the errors of write(2). */
int jit_archive_append(struct jit_archive_writer *writer, const void *data, size_t size);

/* -EINVAL if members are missing. Frees WRITER in any case. */
int jit_archive_end(struct jit_archive_writer *writer);
void jit_archive_abandon(struct jit_archive_writer *writer);
void jit_archive_abandonp(struct jit_archive_writer **writer);

/* Reading: the members of an archive in memory, in order. */
struct jit_archive_member {
        const char *name; /* not terminated; points into the archive */
        size_t name_size;
        const void *data;
        size_t size;
};

/* *cursor starts at 0. 1 and the next member, 0 at the end, -EBADMSG for what is not such an
 * archive. */
int jit_archive_next(
        const void *archive, size_t size, size_t *cursor, struct jit_archive_member *ret);

#endif
