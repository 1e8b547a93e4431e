/* SPDX-License-Identifier: Apache-2.0 */
/* A stub keeps of a shared library what a linker looks at (ld.lld 19, ELF/InputFiles.cpp: dynamic
 * symbols, versions, SONAME; for copy relocations also which segment is writable and how a
 * symbol's section is aligned) and nothing else. llvm-ifs, made for this, fails on glibc. */
#include "fmt_elf.h"

#include "fmt_cleanup.h"
#include "fmt_elf_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct stub {
        const struct fmt_elf_image *image;
        char *data;
        size_t size;
        size_t room;
        Elf64_Shdr *sections;
        size_t dynamic; /* section indices */
        size_t strings;
        uint64_t soname; /* offset of an added name in the strings, 0: none */
};

/* Appends SIZE bytes (zeros if FROM is NULL), 8-byte aligned. */
static int append(struct stub *stub, const void *from, size_t size, uint64_t *ret_offset)
{
        size_t at = (stub->size + 7) & ~(size_t)7;
        if (at + size > stub->room) {
                size_t room = (at + size) * 2;
                char *grown = realloc(stub->data, room);
                if (!grown)
                        return -ENOMEM;
                stub->data = grown;
                stub->room = room;
        }
        memset(stub->data + stub->size, 0, at - stub->size);
        if (from)
                memcpy(stub->data + at, from, size);
        else
                memset(stub->data + at, 0, size);
        stub->size = at + size;
        *ret_offset = at;
        return 0;
}

static int append_headers(struct stub *stub)
{
        const struct fmt_elf_image *image = stub->image;
        Elf64_Ehdr header = *image->header;
        uint64_t at = 0;
        header.e_entry = 0;
        header.e_phoff = sizeof(header);
        int r = append(stub, &header, sizeof(header), &at);
        for (size_t i = 0; i < image->n_segments && r == 0; i++) {
                Elf64_Phdr segment = image->segments[i];
                segment.p_offset = 0;
                segment.p_filesz = 0;
                if (segment.p_type != PT_LOAD)
                        segment.p_type = PT_NULL;
                r = append(stub, &segment, sizeof(segment), &at);
        }
        return r;
}

static bool linker_reads(uint32_t type)
{
        return type == SHT_DYNSYM || type == SHT_GNU_versym || type == SHT_GNU_verdef ||
               type == SHT_GNU_verneed;
}

static int append_strings(struct stub *stub, const char *soname)
{
        const Elf64_Shdr *old = &stub->image->sections[stub->strings];
        Elf64_Shdr *section = &stub->sections[stub->strings];
        *section = *old;
        int r = append(
                stub, stub->image->bytes + old->sh_offset, old->sh_size, &section->sh_offset);
        if (r < 0 || !soname)
                return r;
        uint64_t at = 0;
        r = append(stub, soname, strlen(soname) + 1, &at);
        section->sh_size = stub->size - section->sh_offset;
        stub->soname = at - section->sh_offset;
        return r;
}

/* SONAME and NEEDED; all else in a dynamic section is for loaders. */
static int append_dynamic(struct stub *stub)
{
        const Elf64_Shdr *old = &stub->image->sections[stub->dynamic];
        Elf64_Shdr *section = &stub->sections[stub->dynamic];
        *section = *old;
        int r = append(stub, NULL, 0, &section->sh_offset);
        uint64_t at = 0;
        Elf64_Dyn entry = {.d_tag = DT_SONAME, .d_un.d_val = stub->soname};
        if (r == 0 && stub->soname)
                r = append(stub, &entry, sizeof(entry), &at);
        for (uint64_t i = 0; i + sizeof(entry) <= old->sh_size && r == 0; i += sizeof(entry)) {
                memcpy(&entry, stub->image->bytes + old->sh_offset + i, sizeof(entry));
                if (entry.d_tag == DT_NULL)
                        break;
                if (entry.d_tag == DT_SONAME || entry.d_tag == DT_NEEDED)
                        r = append(stub, &entry, sizeof(entry), &at);
        }
        entry = (Elf64_Dyn){.d_tag = DT_NULL};
        if (r == 0)
                r = append(stub, &entry, sizeof(entry), &at);
        section->sh_size = stub->size - section->sh_offset;
        return r;
}

static int append_sections(struct stub *stub, const char *soname)
{
        const struct fmt_elf_image *image = stub->image;
        int r = append_strings(stub, soname);
        for (size_t i = 1; i < image->n_sections && r == 0; i++) {
                Elf64_Shdr *section = &stub->sections[i];
                if (i == stub->strings)
                        continue;
                *section = image->sections[i];
                section->sh_offset = 0;
                if (i == image->names) {
                        section->sh_size = 1;
                        r = append(stub, "", 1, &section->sh_offset);
                } else if (i == stub->dynamic) {
                        r = append_dynamic(stub);
                } else if (linker_reads(section->sh_type)) {
                        r = append(stub, image->bytes + image->sections[i].sh_offset,
                                section->sh_size, &section->sh_offset);
                } else {
                        *section = (Elf64_Shdr){.sh_type = SHT_NOBITS,
                                .sh_flags = section->sh_flags & (SHF_ALLOC | SHF_WRITE | SHF_TLS),
                                .sh_addr = section->sh_addr,
                                .sh_addralign = section->sh_addralign};
                }
                section->sh_name = 0;
        }
        stub->sections[stub->strings].sh_name = 0;
        return r;
}

/* The SONAME the library has, or NULL. */
static const char *own_soname(const struct stub *stub)
{
        const Elf64_Shdr *section = &stub->image->sections[stub->dynamic];
        for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= section->sh_size; at += sizeof(Elf64_Dyn)) {
                Elf64_Dyn entry;
                memcpy(&entry, stub->image->bytes + section->sh_offset + at, sizeof(entry));
                if (entry.d_tag == DT_NULL)
                        return NULL;
                if (entry.d_tag == DT_SONAME)
                        return fmt_elf_string(stub->image, stub->strings, entry.d_un.d_val);
        }
        return NULL;
}

static void stub_done(struct stub *stub)
{
        free(stub->data);
        free(stub->sections);
}

int fmt_elf_stub(int fd, const char *soname, void **ret_data, size_t *ret_size)
{
        _cleanup_(fmt_elf_image_close) struct fmt_elf_image image;
        int r = fmt_elf_image_open(fd, &image);
        if (r < 0)
                return r;
        _cleanup_(stub_done) struct stub stub = {.image = &image};
        stub.dynamic = fmt_elf_section_of_type(&image, SHT_DYNAMIC);
        if (image.header->e_type != ET_DYN || stub.dynamic == 0)
                return -ENOEXEC;
        stub.strings = image.sections[stub.dynamic].sh_link;
        if (stub.strings == 0 || stub.strings >= image.n_sections || image.names == 0)
                return -EBADMSG;
        stub.sections = calloc(image.n_sections, sizeof(*stub.sections));
        if (!stub.sections)
                return -ENOMEM;
        stub.sections[0] = image.sections[0];
        r = append_headers(&stub);
        if (r == 0)
                r = append_sections(&stub, own_soname(&stub) ? NULL : soname);
        uint64_t at = 0;
        if (r == 0)
                r = append(&stub, stub.sections, image.n_sections * sizeof(Elf64_Shdr), &at);
        if (r < 0)
                return r;
        Elf64_Ehdr *header = (Elf64_Ehdr *)stub.data;
        header->e_shoff = at;
        *ret_size = stub.size;
        *ret_data = steal_pointer(&stub.data);
        return 0;
}
