/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_elf.h"

#include "fmt_cleanup.h"
#include "fmt_elf_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The dynamic symbol table with what belongs to it; pointers into the image. */
struct symbols {
        const struct fmt_elf_image *image;
        const Elf64_Sym *entries;
        size_t n;
        size_t strings;               /* section index */
        const Elf64_Versym *versions; /* as many as entries, or NULL */
        size_t definitions;           /* section index of the version definitions, 0: none */
};

static int find_symbols(const struct fmt_elf_image *image, struct symbols *ret)
{
        *ret = (struct symbols){.image = image};
        size_t dynsym = fmt_elf_section_of_type(image, SHT_DYNSYM);
        if (dynsym == 0)
                return 0;
        const Elf64_Shdr *section = &image->sections[dynsym];
        if (section->sh_offset % 8)
                return -EBADMSG;
        ret->entries = (const Elf64_Sym *)(image->bytes + section->sh_offset);
        ret->n = section->sh_size / sizeof(Elf64_Sym);
        ret->strings = section->sh_link;
        ret->definitions = fmt_elf_section_of_type(image, SHT_GNU_verdef);
        size_t versym = fmt_elf_section_of_type(image, SHT_GNU_versym);
        if (versym && image->sections[versym].sh_size / sizeof(Elf64_Versym) >= ret->n &&
                image->sections[versym].sh_offset % 2 == 0)
                ret->versions =
                        (const Elf64_Versym *)(image->bytes + image->sections[versym].sh_offset);
        return 0;
}

/* Name of version INDEX if this file defines it, else NULL. */
static const char *version_name(const struct symbols *symbols, unsigned index)
{
        if (symbols->definitions == 0)
                return NULL;
        const Elf64_Shdr *section = &symbols->image->sections[symbols->definitions];
        const char *bytes = symbols->image->bytes + section->sh_offset;
        for (uint64_t at = 0; at + sizeof(Elf64_Verdef) <= section->sh_size;) {
                Elf64_Verdef definition;
                memcpy(&definition, bytes + at, sizeof(definition));
                uint64_t auxiliary = at + definition.vd_aux;
                if (definition.vd_ndx == index) {
                        Elf64_Verdaux name;
                        if (auxiliary + sizeof(name) > section->sh_size)
                                return NULL;
                        memcpy(&name, bytes + auxiliary, sizeof(name));
                        return fmt_elf_string(symbols->image, section->sh_link, name.vda_name);
                }
                if (definition.vd_next == 0)
                        return NULL;
                at += definition.vd_next;
        }
        return NULL;
}

static bool made_by_linker(const char *name)
{
        static const char *const names[] = {"_end", "end", "_edata", "edata", "_etext", "etext",
                "__etext", "__bss_start", "__bss_start__", "__bss_end__", "_bss_end__", "__end__",
                "_init", "_fini", "_DYNAMIC", "_GLOBAL_OFFSET_TABLE_", "__ehdr_start",
                "__executable_start", "__dso_handle"};
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
                if (strcmp(name, names[i]) == 0)
                        return true;
        return strncmp(name, "__start_", 8) == 0 || strncmp(name, "__stop_", 7) == 0;
}

/* Marks the symbols that are copies of another library's variables. */
static void mark_copies(const struct symbols *symbols, bool *copied)
{
        const struct fmt_elf_image *image = symbols->image;
        for (size_t i = 1; i < image->n_sections; i++) {
                const Elf64_Shdr *section = &image->sections[i];
                if (section->sh_type != SHT_RELA || !(section->sh_flags & SHF_ALLOC))
                        continue;
                for (uint64_t at = 0; at + sizeof(Elf64_Rela) <= section->sh_size;
                        at += sizeof(Elf64_Rela)) {
                        Elf64_Rela relocation;
                        memcpy(&relocation, image->bytes + section->sh_offset + at,
                                sizeof(relocation));
                        uint64_t symbol = ELF64_R_SYM(relocation.r_info);
                        if (ELF64_R_TYPE(relocation.r_info) == R_X86_64_COPY && symbol < symbols->n)
                                copied[symbol] = true;
                }
        }
}

static int append_export(const struct symbols *symbols, size_t i, bool with_vague, char ***list)
{
        const Elf64_Sym *symbol = &symbols->entries[i];
        const char *name = fmt_elf_string(symbols->image, symbols->strings, symbol->st_name);
        if (!name)
                return -EBADMSG;
        unsigned bind = ELF64_ST_BIND(symbol->st_info);
        bool weak = bind == STB_WEAK || bind == STB_GNU_UNIQUE;
        if (symbol->st_shndx == SHN_UNDEF || bind == STB_LOCAL || made_by_linker(name) ||
                (!with_vague && weak && strncmp(name, "_Z", 2) == 0))
                return 0;
        unsigned version = symbols->versions ? symbols->versions[i] : VER_NDX_GLOBAL;
        bool hidden = version & 0x8000;
        version &= 0x7fff;
        if (version == VER_NDX_LOCAL)
                return 0;
        if (version == VER_NDX_GLOBAL)
                return fmt_strings_append(list, name);
        const char *text = version_name(symbols, version);
        if (!text || (symbol->st_shndx == SHN_ABS && strcmp(text, name) == 0))
                return 0; /* another library's version: a copy; or the version's own name */
        _cleanup_free_ char *full = NULL;
        if (asprintf(&full, "%s%s%s", name, hidden ? "@" : "@@", text) < 0)
                return -ENOMEM;
        return fmt_strings_append(list, full);
}

static int by_name(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

static void free_strings(char ***list)
{
        fmt_strings_free(*list);
}

int fmt_elf_exports(int fd, bool with_vague, char ***ret)
{
        _cleanup_(fmt_elf_image_close) struct fmt_elf_image image;
        int r = fmt_elf_image_open(fd, &image);
        if (r < 0)
                return r;
        struct symbols symbols;
        r = find_symbols(&image, &symbols);
        if (r < 0)
                return r;
        _cleanup_(free_strings) char **list = calloc(1, sizeof(char *));
        _cleanup_free_ bool *copied = calloc(symbols.n + 1, sizeof(bool));
        if (!list || !copied)
                return -ENOMEM;
        mark_copies(&symbols, copied);
        for (size_t i = 1; i < symbols.n && r == 0; i++)
                if (!copied[i])
                        r = append_export(&symbols, i, with_vague, &list);
        if (r < 0)
                return r;
        size_t n = fmt_strings_count(list);
        if (n)
                qsort(list, n, sizeof(char *), by_name);
        *ret = steal_pointer(&list);
        return 0;
}
