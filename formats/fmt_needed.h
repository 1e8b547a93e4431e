/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of an image the dynamic loader would map for a program: interpreter and libraries,
 * found as ld.so does (RPATH/RUNPATH with $ORIGIN, LD_LIBRARY_PATH not known, /etc/ld.so.conf of the
 * image and its includes, the default folders of the multiarch triplet, /lib64, /usr/lib64, /lib, /usr/lib). */
#ifndef FMT_NEEDED_H
#define FMT_NEEDED_H

#include "fmt_squashfs.h"

/* What fmt_needed_walk must know of one ELF file of the image. Strings are the callee's to
 * own until the walk ends. */
struct fmt_needed_facts {
        const char *interpreter;
        char *const *needed; /* NULL-terminated */
        const char *rpath;   /* or NULL */
};

/* Tells the facts of the file INODE (by its record if it is a portable object, else from its ELF
 * headers). -ENOEXEC: not an ELF file, no libraries. */
typedef int fmt_needed_reader(void *context, fmt_inode inode, const char *path,
        struct fmt_needed_facts *ret);
typedef void fmt_needed_visitor(void *context, fmt_inode inode, const char *path);

/* Visits the closure of PATH's libraries breadth first, each inode once, PATH itself not
 * included. What cannot be found is passed over (the loader will say so). */
int fmt_needed_walk(struct fmt_squashfs *image, const char *path, fmt_needed_reader *reader,
        fmt_needed_visitor *visitor, void *context);

#endif
