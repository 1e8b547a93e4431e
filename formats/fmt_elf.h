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

#define FMT_ELF_BITCODE_SECTION                                                                    \
        ".llvm.lto" /* of a fat object: bitcode, or a bundle of parts after ld -r */

struct fmt_elf_facts {
        uint16_t type;    /* ET_EXEC, ET_DYN, ET_REL */
        uint16_t machine; /* EM_… */
        bool has_dynamic;
        bool is_pie;           /* ET_DYN with DF_1_PIE or an interpreter */
        char *interpreter;     /* or NULL */
        char *soname;          /* or NULL */
        char **needed;         /* NULL-terminated, never NULL */
        char *rpath;           /* or NULL */
        bool rpath_is_old;     /* DT_RPATH rather than DT_RUNPATH */
        bool has_record;       /* carries .xaas.record */
        bool has_bitcode;      /* carries .llvm.lto */
        bool has_constructors; /* .init_array, .fini_array, .ctors, .dtors or .preinit_array, not
                                  empty */
        bool has_gnu_hash;     /* DT_GNU_HASH */
        bool has_sysv_hash;    /* DT_HASH */
        bool executable_stack; /* PT_GNU_STACK asks for one */
        uint64_t size; /* bytes that the ELF itself spans: a sparse tail beyond is padding */
};

int fmt_elf_read(int fd, struct fmt_elf_facts *ret);
void fmt_elf_facts_done(struct fmt_elf_facts *facts);

/* Defined dynamic symbols, "name" or "name@@VERSION" / "name@VERSION", sorted, without the ones
 * that a linker makes up itself (_end, __bss_start, _edata, …) and without copies of other
 * libraries' variables. Unless WITH_VAGUE also without weak C++ symbols: every user of an inline
 * function or a template brings its own copy, so a relink may drop them; what a relink must
 * still export is the list without them. NULL-terminated; free with fmt_strings_free. */
int fmt_elf_exports(int fd, bool with_vague, char ***ret);

/* Where a section's bytes lie in the file. -ENOENT. */
int fmt_elf_find_section(int fd, const char *name, uint64_t *ret_offset, uint64_t *ret_size);

/* Writes a copy of the ELF in FD to OUT_FD with section NAME (SHT_PROGBITS, no flags, 8-byte
 * aligned) appended, or with its bytes replaced if it is there (its flags stay); every byte that a
 * loader sees stays in place. OUT_FD is written from offset 0 and truncated to fit. */
int fmt_elf_with_section(int fd, const char *name, const void *data, size_t size, int out_fd);

/* Writes a copy without section NAME; with STRIP_DEBUG also without .debug_* sections. The
 * loader's view stays byte for byte. The copy of a file without either is the file.
 * -EOPNOTSUPP for relocatable objects. */
int fmt_elf_without_section(int fd, const char *name, bool strip_debug, int out_fd);

/* A shared library reduced to what a linker reads of it: program headers, section headers (of
 * those without content only type and alignment matter), dynamic symbols, versions, SONAME and
 * NEEDED. Where the library has no SONAME it gets SONAME (what the original link wrote into
 * NEEDED), since a stub has no file name of its own. The same library gives the same bytes.
 * -ENOEXEC: not a shared library. The caller frees *ret_data. */
int fmt_elf_stub(int fd, const char *soname, void **ret_data, size_t *ret_size);

#endif
