/* SPDX-License-Identifier: Apache-2.0 */
/* A whole ELF file in memory with its headers checked: what fmt_elf.c, fmt_elf_rewrite.c and
 * fmt_elf_stub.c share. Every section with content lies inside the file; names are terminated. */
#ifndef FMT_ELF_IMAGE_H
#define FMT_ELF_IMAGE_H

#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fmt_elf_image {
        Elf *elf;
        const char *bytes;
        size_t size; /* of the file */
        const Elf64_Ehdr *header;
        Elf64_Phdr *segments; /* own copies */
        size_t n_segments;
        Elf64_Shdr *sections;
        size_t n_sections;
        size_t names; /* index of .shstrtab, 0: none */
};

/* FD stays the caller's and must stay open. -ENOEXEC, -EBADMSG, -ENOMEM. */
int fmt_elf_image_open(int fd, struct fmt_elf_image *ret);
/* The same for SIZE bytes of memory that stay the caller's and are 8-byte aligned. */
int fmt_elf_image_of(const void *data, size_t size, struct fmt_elf_image *ret);
void fmt_elf_image_close(struct fmt_elf_image *image);

const char *fmt_elf_section_name(const struct fmt_elf_image *image, size_t index);
/* Index of the first section of that name, 0: none. */
size_t fmt_elf_section_index(const struct fmt_elf_image *image, const char *name);
/* Index of the first section of that type, 0: none. */
size_t fmt_elf_section_of_type(const struct fmt_elf_image *image, uint32_t type);

/* A string of string table SECTION, or NULL where OFFSET does not name one inside it. */
const char *fmt_elf_string(const struct fmt_elf_image *image, size_t section, uint64_t offset);

/* Writes SIZE bytes at OFFSET, all of them. 0 or a negative errno. */
int fmt_elf_write(int fd, const void *data, size_t size, uint64_t offset);

/* End of the last byte that a segment, a section with content or a header table occupies. */
uint64_t fmt_elf_extent(const struct fmt_elf_image *image);

#endif
