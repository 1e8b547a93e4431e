/* SPDX-License-Identifier: Apache-2.0 */
#include "ld_object.h"

#include "fmt_cleanup.h"
#include "fmt_elf.h"
#include "fmt_elf_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int aligned(const void *data, size_t size, void **ret_copy, const void **ret)
{
        *ret_copy = NULL;
        *ret = data;
        if ((uintptr_t)data % 8 == 0)
                return 0;
        *ret_copy = malloc(size ? size : 1);
        if (!*ret_copy)
                return -ENOMEM;
        *ret = memcpy(*ret_copy, data, size);
        return 0;
}

/* .comment holds NUL-terminated strings, one for each compiler that had a hand in it. */
static int read_producer(const struct fmt_elf_image *image, size_t index, struct ld_object *object)
{
        const Elf64_Shdr *section = &image->sections[index];
        const char *p = image->bytes + section->sh_offset, *end = p + section->sh_size;
        while (p < end) {
                size_t length = strnlen(p, (size_t)(end - p));
                const char *clang = memmem(p, length, "clang version", 13);
                if (clang && !object->producer) {
                        size_t rest = (size_t)(p + length - clang);
                        const char *stop = memchr(clang, '(', rest);
                        rest = stop ? (size_t)(stop - clang) : rest;
                        while (rest > 0 && clang[rest - 1] == ' ')
                                rest--;
                        object->producer = strndup(clang, rest);
                        if (!object->producer)
                                return -ENOMEM;
                }
                p += length + 1;
        }
        return 0;
}

static bool begins(const char *name, const char *with)
{
        return strncmp(name, with, strlen(with)) == 0;
}

static int read_sections(const struct fmt_elf_image *image, struct ld_object *object)
{
        for (size_t i = 1; i < image->n_sections; i++) {
                const Elf64_Shdr *section = &image->sections[i];
                const char *name = fmt_elf_section_name(image, i);
                int r = 0;
                if (section->sh_type == SHT_NOBITS || section->sh_size == 0)
                        continue;
                if (strcmp(name, FMT_ELF_BITCODE_SECTION) == 0) {
                        object->bitcode = image->bytes + section->sh_offset;
                        object->bitcode_size = section->sh_size;
                        object->is_list = section->sh_size >= 8 &&
                                          memcmp(object->bitcode, "XAASBNDL", 8) == 0;
                } else if (strcmp(name, ".comment") == 0) {
                        r = read_producer(image, i, object);
                } else if (begins(name, ".gnu.lto_")) {
                        object->is_gcc_lto = true;
                } else if (begins(name, ".init_array") || begins(name, ".fini_array") ||
                           begins(name, ".preinit_array") || begins(name, ".ctors") ||
                           begins(name, ".dtors")) {
                        object->has_constructors = true;
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

int ld_object_read(const void *data, size_t size, struct ld_object *ret)
{
        *ret = (struct ld_object){0};
        const void *bytes = NULL;
        int r = aligned(data, size, &ret->copy, &bytes);
        if (r < 0)
                return r;
        _cleanup_(fmt_elf_image_close) struct fmt_elf_image image;
        r = fmt_elf_image_of(bytes, size, &image);
        if (r == 0)
                r = read_sections(&image, ret);
        if (r < 0)
                ld_object_done(ret);
        return r;
}

void ld_object_done(struct ld_object *object)
{
        free(object->copy);
        free(object->producer);
        *object = (struct ld_object){0};
}

int ld_object_symbols(const void *data, size_t size, ld_symbol_visitor *visit, void *context)
{
        _cleanup_free_ void *copy = NULL;
        const void *bytes = NULL;
        int r = aligned(data, size, &copy, &bytes);
        if (r < 0)
                return r;
        _cleanup_(fmt_elf_image_close) struct fmt_elf_image image;
        r = fmt_elf_image_of(bytes, size, &image);
        if (r < 0)
                return r;
        size_t table = fmt_elf_section_of_type(
                &image, image.header->e_type == ET_REL ? SHT_SYMTAB : SHT_DYNSYM);
        if (table == 0)
                return 0;
        const Elf64_Shdr *section = &image.sections[table];
        for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= section->sh_size && r == 0;
                at += sizeof(Elf64_Sym)) {
                Elf64_Sym symbol;
                memcpy(&symbol, image.bytes + section->sh_offset + at, sizeof(symbol));
                const char *name = fmt_elf_string(&image, section->sh_link, symbol.st_name);
                if (!name || !*name || ELF64_ST_BIND(symbol.st_info) == STB_LOCAL)
                        continue;
                r = visit(context, name, symbol.st_shndx != SHN_UNDEF);
        }
        return r;
}
