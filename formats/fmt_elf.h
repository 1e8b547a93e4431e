/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files: what they say of themselves, adding and taking a section, stubs of shared libraries.
 *
 * Through libelf. All functions are thread-safe; none trusts the file beyond libelf's checks.
 * -ENOEXEC: not a 64-bit little-endian ELF file. -EBADMSG: damaged. */
#ifndef FMT_ELF_H
#define FMT_ELF_H

#include "fmt_record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fmt_elf_facts {
        uint16_t type;    /* ET_EXEC, ET_DYN, ET_REL */
        uint16_t machine; /* EM_… */
        bool has_dynamic;
        bool is_pie;            /* ET_DYN with DF_1_PIE or an interpreter */
        char *interpreter;      /* or NULL */
        char *soname;           /* or NULL */
        char **needed;          /* NULL-terminated, never NULL */
        char *rpath;            /* or NULL */
        bool rpath_is_old;      /* DT_RPATH rather than DT_RUNPATH */
        bool has_record;        /* carries .xaas.record */
        bool has_bitcode;       /* carries .llvm.lto */
        bool has_constructors;  /* .init_array, .fini_array, .ctors, .dtors or .preinit_array, not empty */
        uint64_t size;          /* bytes that the ELF itself spans: a sparse tail beyond is padding */
};

int fmt_elf_read(int fd, struct fmt_elf_facts *ret);
void fmt_elf_facts_done(struct fmt_elf_facts *facts);

/* Defined dynamic symbols, "name" or "name@@VERSION" / "name@VERSION", sorted, without the ones
 * a linker makes up itself (_end, __bss_start, _edata, …). NULL-terminated; free with
 * fmt_strings_free. */
int fmt_elf_exports(int fd, char ***ret);

/* Where a section's bytes lie in the file. -ENOENT. */
int fmt_elf_find_section(int fd, const char *name, uint64_t *ret_offset, uint64_t *ret_size);

/* Writes a copy of the ELF in FD to OUT_FD with section NAME (SHT_PROGBITS, no flags, 8-byte
 * aligned) appended, or replaced if it is there; every byte that a loader sees stays in place. */
int fmt_elf_with_section(int fd, const char *name, const void *data, size_t size, int out_fd);

/* Writes a copy without section NAME; with STRIP_DEBUG also without .debug_* sections. The
 * loader's view stays byte for byte. The copy of a file without either is the file. */
int fmt_elf_without_section(int fd, const char *name, bool strip_debug, int out_fd);

/* A shared library reduced to what ld.lld reads: same headers and layout, dynamic symbols,
 * versions and DT_ entries kept, everything else zero. The caller frees *ret_data. */
int fmt_elf_stub(int fd, void **ret_data, size_t *ret_size);

#endif
