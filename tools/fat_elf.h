/* SPDX-License-Identifier: Apache-2.0 */
/* A fat ELF: its record, the bundle that the record lies in, and the ELF without both. */
#ifndef FAT_ELF_H
#define FAT_ELF_H

#include "fmt_bundle.h"
#include "fmt_record.h"

struct fat_elf {
        struct fmt_source_fd part; /* the section: what the bundle reads from */
        struct fmt_bundle *bundle;
        struct fmt_record *record;
        size_t record_size; /* bytes of its JSON */
};

/* FD stays the caller's and must stay open as long as the bundle is used. *ret must not move.
 * -ENOENT: no record; -EBADMSG, -EPROTONOSUPPORT as the bundle and the record say. On failure *ret
 * is empty. */
int fat_elf_open(int fd, struct fat_elf *ret);
void fat_elf_done(struct fat_elf *fat);

/* A memory file with the ELF as an image holds it: without record, and without debug information
 * unless KEEP_DEBUG. */
int fat_elf_strip(int fd, bool keep_debug, int *ret_fd);

/* A memory file with the ELF of FD, which has no record, and one that only says why the program
 * stays native. -EINVAL: REASON cannot stand in a record. */
int fat_elf_explain(int fd, const char *reason, int *ret_fd);

int fat_elf_digest(int fd, struct fmt_digest *ret);

#endif
