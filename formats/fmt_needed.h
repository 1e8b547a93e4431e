/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of an image the dynamic loader would map for a program: its interpreter and its
 * libraries, found as ld.so finds them (ld.so(8)): RPATH and RUNPATH with $ORIGIN, $LIB and
 * $PLATFORM, /etc/ld.so.conf of the image with its includes, the default folders. LD_LIBRARY_PATH,
 * LD_PRELOAD and what is opened with dlopen cannot be known. */
#ifndef FMT_NEEDED_H
#define FMT_NEEDED_H

#include "fmt_squashfs.h"

#include <stdbool.h>

/* What must be known of one ELF file of the image. */
struct fmt_needed_facts {
        const char *interpreter; /* or NULL */
        char *const *needed;     /* NULL-terminated, or NULL */
        const char *rpath;       /* or NULL */
        bool rpath_is_old;       /* DT_RPATH: also for the libraries of its libraries */
};

/* Tells the facts of INODE if that is a portable object (from its record: in a lean image there
 * is no ELF file to read). Strings stay valid until the walk ends. -ENOENT: it is none; then its
 * ELF headers are read. */
typedef int fmt_needed_reader(void *context, fmt_inode inode, struct fmt_needed_facts *ret);
/* PATH: a name the loader would use, no leading slash; valid during the call. */
typedef void fmt_needed_visitor(void *context, fmt_inode inode, const char *path);

/* Visits the closure of PATH's libraries breadth first, each inode once, PATH itself not
 * included. What cannot be found is passed over (the loader will say so), and so is a PATH that is
 * no ELF file. -ENOENT: there is no PATH; -ENOMEM, -EIO. */
int fmt_needed_walk(struct fmt_squashfs *image, const char *path, fmt_needed_reader *reader,
        fmt_needed_visitor *visitor, void *context);

#endif
