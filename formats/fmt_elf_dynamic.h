/* SPDX-License-Identifier: Apache-2.0 */
/* What the loader reads of an ELF file, from a source: a few reads of headers, however large the
 * file is. (fmt_elf.h has everything else, for files.) */
#ifndef FMT_ELF_DYNAMIC_H
#define FMT_ELF_DYNAMIC_H

#include "fmt_source.h"

#include <stdbool.h>

struct fmt_elf_dynamic {
        char *interpreter; /* or NULL */
        char **needed;     /* NULL-terminated, or NULL */
        char *rpath;       /* DT_RUNPATH, else DT_RPATH, or NULL */
        bool rpath_is_old; /* it is DT_RPATH */
};

/* -ENOEXEC: not a 64-bit little-endian ELF file for x86-64; -EBADMSG: damaged; else what the
 * source says. A file without a dynamic section has nothing of all this. Thread-safe. */
int fmt_elf_dynamic_read(struct fmt_source source, struct fmt_elf_dynamic *ret);
void fmt_elf_dynamic_done(struct fmt_elf_dynamic *dynamic);

#endif
