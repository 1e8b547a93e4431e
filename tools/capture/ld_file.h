/* SPDX-License-Identifier: Apache-2.0 */
/* Files that a link reads: mapped whole, archives opened up, objects looked into. */
#ifndef LD_FILE_H
#define LD_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ld_file_kind {
        LD_OBJECT,  /* relocatable ELF for x86-64 */
        LD_LIBRARY, /* shared ELF for x86-64 */
        LD_ARCHIVE,
        LD_SCRIPT,  /* text */
        LD_FOREIGN, /* anything else: other machines, bitcode, other formats */
};

struct ld_member {
        char *name; /* last component */
        const void *data;
        size_t size;
        char *path;      /* of a thin archive's member, else NULL */
        uint64_t offset; /* of its header in the archive */
};

struct ld_symbol {
        const char *name; /* within the archive */
        size_t member;
};

struct ld_file {
        char *path;
        enum ld_file_kind kind;
        const void *data;
        size_t size;
        struct ld_member *members; /* of an archive */
        size_t n_members;
        struct ld_symbol *symbols; /* what its members define, from the archive's index */
        size_t n_symbols;
};

/* -ENOENT …, -EBADMSG for a damaged archive. The caller frees with ld_file_free. */
int ld_file_open(const char *path, struct ld_file **ret);
void ld_file_free(struct ld_file *file);

/* Fills in the data of member INDEX (a thin archive's are read when asked for). */
int ld_file_member(struct ld_file *file, size_t index, const struct ld_member **ret);

/* Whether NAME, as a linker prints it, is MEMBER's: GNU ld gives the last component, ld.lld what
 * a thin archive says. */
bool ld_member_is(const struct ld_member *member, const char *name);

/* Whether member INDEX defines SYMBOL, by the archive's index. */
bool ld_file_defines(const struct ld_file *file, size_t index, const char *symbol);

enum ld_file_kind ld_file_kind_of(const void *data, size_t size);

#endif
