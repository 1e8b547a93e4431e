/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_elf.h"

#include "fmt_cleanup.h"
#include "fmt_elf_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int load_sections(struct fmt_elf_image *image)
{
        size_t n = 0, names = 0;
        if (elf_getshdrnum(image->elf, &n) < 0)
                return -EBADMSG;
        image->sections = calloc(n ? n : 1, sizeof(*image->sections));
        if (!image->sections)
                return -ENOMEM;
        image->n_sections = n;
        for (size_t i = 0; i < n; i++) {
                Elf_Scn *found = elf_getscn(image->elf, i);
                const void *header = found ? elf64_getshdr(found) : NULL;
                if (!header)
                        return -EBADMSG;
                /* Copied, since a damaged file's tables may lie at any address. */
                memcpy(&image->sections[i], header, sizeof(*image->sections));
                const Elf64_Shdr *section = &image->sections[i];
                bool content = section->sh_type != SHT_NOBITS && section->sh_type != SHT_NULL;
                if (content && (section->sh_offset > image->size ||
                                       section->sh_size > image->size - section->sh_offset))
                        return -EBADMSG;
        }
        if (n == 0)
                return 0;
        if (elf_getshdrstrndx(image->elf, &names) < 0 || names >= n)
                return -EBADMSG;
        image->names = names;
        return 0;
}

static int load_segments(struct fmt_elf_image *image)
{
        size_t n = 0;
        if (elf_getphdrnum(image->elf, &n) < 0)
                return -EBADMSG;
        const void *table = n ? elf64_getphdr(image->elf) : NULL;
        if (n && !table)
                return -EBADMSG;
        image->segments = calloc(n ? n : 1, sizeof(*image->segments));
        if (!image->segments)
                return -ENOMEM;
        if (n)
                memcpy(image->segments, table, n * sizeof(*image->segments));
        image->n_segments = n;
        for (size_t i = 0; i < n; i++) {
                const Elf64_Phdr *segment = &image->segments[i];
                if (segment->p_offset > image->size ||
                        segment->p_filesz > image->size - segment->p_offset)
                        return -EBADMSG;
        }
        return 0;
}

/* Takes over ret->elf, closing it on failure. */
static int check_image(struct fmt_elf_image *ret)
{
        const char *ident = elf_getident(ret->elf, NULL);
        int r = -ENOEXEC;
        if (elf_kind(ret->elf) == ELF_K_ELF && ident && ident[EI_CLASS] == ELFCLASS64 &&
                ident[EI_DATA] == ELFDATA2LSB) {
                ret->header = elf64_getehdr(ret->elf);
                ret->bytes = elf_rawfile(ret->elf, &ret->size);
                r = ret->header && ret->bytes ? load_sections(ret) : -EBADMSG;
        }
        if (r == 0)
                r = load_segments(ret);
        if (r < 0)
                fmt_elf_image_close(ret);
        return r;
}

int fmt_elf_image_open(int fd, struct fmt_elf_image *ret)
{
        *ret = (struct fmt_elf_image){0};
        if (elf_version(EV_CURRENT) == EV_NONE)
                return -ENOEXEC;
        ret->elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
        return ret->elf ? check_image(ret) : -ENOEXEC;
}

int fmt_elf_image_of(const void *data, size_t size, struct fmt_elf_image *ret)
{
        *ret = (struct fmt_elf_image){0};
        if (elf_version(EV_CURRENT) == EV_NONE)
                return -ENOEXEC;
        ret->elf =
                elf_memory((char *)(uintptr_t)data, size); /* read only, whatever its type says */
        return ret->elf ? check_image(ret) : -ENOEXEC;
}

void fmt_elf_image_close(struct fmt_elf_image *image)
{
        free(image->sections);
        free(image->segments);
        if (image->elf)
                elf_end(image->elf);
        *image = (struct fmt_elf_image){0};
}

const char *fmt_elf_string(const struct fmt_elf_image *image, size_t section, uint64_t offset)
{
        if (section == 0 || section >= image->n_sections)
                return NULL;
        const Elf64_Shdr *table = &image->sections[section];
        if (table->sh_type != SHT_STRTAB || offset >= table->sh_size)
                return NULL;
        const char *text = image->bytes + table->sh_offset + offset;
        return memchr(text, 0, table->sh_size - offset) ? text : NULL;
}

const char *fmt_elf_section_name(const struct fmt_elf_image *image, size_t index)
{
        const char *name = fmt_elf_string(image, image->names, image->sections[index].sh_name);
        return name ? name : "";
}

size_t fmt_elf_section_index(const struct fmt_elf_image *image, const char *name)
{
        for (size_t i = 1; i < image->n_sections; i++)
                if (strcmp(fmt_elf_section_name(image, i), name) == 0)
                        return i;
        return 0;
}

size_t fmt_elf_section_of_type(const struct fmt_elf_image *image, uint32_t type)
{
        for (size_t i = 1; i < image->n_sections; i++)
                if (image->sections[i].sh_type == type)
                        return i;
        return 0;
}

uint64_t fmt_elf_extent(const struct fmt_elf_image *image)
{
        uint64_t end = sizeof(Elf64_Ehdr);
        for (size_t i = 0; i < image->n_sections; i++) {
                const Elf64_Shdr *section = &image->sections[i];
                if (section->sh_type != SHT_NOBITS && section->sh_type != SHT_NULL &&
                        section->sh_offset + section->sh_size > end)
                        end = section->sh_offset + section->sh_size;
        }
        for (size_t i = 0; i < image->n_segments; i++)
                if (image->segments[i].p_offset + image->segments[i].p_filesz > end)
                        end = image->segments[i].p_offset + image->segments[i].p_filesz;
        uint64_t tables[] = {image->header->e_phoff + image->n_segments * sizeof(Elf64_Phdr),
                image->header->e_shoff + image->n_sections * sizeof(Elf64_Shdr)};
        for (size_t i = 0; i < 2; i++)
                if (tables[i] > end)
                        end = tables[i];
        return end < image->size ? end : image->size;
}

/* ---- what the loader reads: through segments, as patchelf leaves them ---- */

static const char *at_address(const struct fmt_elf_image *image, uint64_t address, size_t *ret_room)
{
        for (size_t i = 0; i < image->n_segments; i++) {
                const Elf64_Phdr *segment = &image->segments[i];
                if (segment->p_type != PT_LOAD || address < segment->p_vaddr ||
                        address - segment->p_vaddr >= segment->p_filesz)
                        continue;
                *ret_room = segment->p_filesz - (address - segment->p_vaddr);
                return image->bytes + segment->p_offset + (address - segment->p_vaddr);
        }
        return NULL;
}

struct dynamic {
        const Elf64_Dyn *entries;
        size_t n;
        const char *strings;
        size_t strings_size;
};

static int find_dynamic(const struct fmt_elf_image *image, struct dynamic *ret)
{
        *ret = (struct dynamic){0};
        for (size_t i = 0; i < image->n_segments; i++) {
                const Elf64_Phdr *segment = &image->segments[i];
                if (segment->p_type != PT_DYNAMIC || segment->p_filesz < sizeof(Elf64_Dyn))
                        continue;
                if (segment->p_offset % 8)
                        return -EBADMSG;
                ret->entries = (const Elf64_Dyn *)(image->bytes + segment->p_offset);
                ret->n = segment->p_filesz / sizeof(Elf64_Dyn);
        }
        for (size_t i = 0; i < ret->n; i++) {
                if (ret->entries[i].d_tag == DT_NULL)
                        ret->n = i;
                else if (ret->entries[i].d_tag == DT_STRTAB)
                        ret->strings =
                                at_address(image, ret->entries[i].d_un.d_ptr, &ret->strings_size);
        }
        return 0;
}

static int dynamic_string(const struct dynamic *dynamic, uint64_t offset, const char **ret)
{
        if (!dynamic->strings || offset >= dynamic->strings_size ||
                !memchr(dynamic->strings + offset, 0, dynamic->strings_size - offset))
                return -EBADMSG;
        *ret = dynamic->strings + offset;
        return 0;
}

static int replace_string(char **slot, const char *text)
{
        char *copy = strdup(text);
        if (!copy)
                return -ENOMEM;
        free(*slot);
        *slot = copy;
        return 0;
}

static int read_dynamic(const struct fmt_elf_image *image, struct fmt_elf_facts *facts)
{
        struct dynamic dynamic;
        int r = find_dynamic(image, &dynamic);
        if (r < 0)
                return r;
        facts->has_dynamic = dynamic.entries != NULL;
        for (size_t i = 0; i < dynamic.n; i++) {
                const Elf64_Dyn *entry = &dynamic.entries[i];
                const char *text = NULL;
                switch (entry->d_tag) {
                case DT_NEEDED:
                case DT_SONAME:
                case DT_RPATH:
                case DT_RUNPATH:
                        r = dynamic_string(&dynamic, entry->d_un.d_val, &text);
                        break;
                case DT_FLAGS_1:
                        facts->is_pie = facts->is_pie || (entry->d_un.d_val & DF_1_PIE);
                        break;
                case DT_GNU_HASH:
                        facts->has_gnu_hash = true;
                        break;
                case DT_HASH:
                        facts->has_sysv_hash = true;
                        break;
                default:
                        break;
                }
                if (r == 0 && text && entry->d_tag == DT_NEEDED)
                        r = fmt_strings_append(&facts->needed, text);
                else if (r == 0 && text && entry->d_tag == DT_SONAME)
                        r = replace_string(&facts->soname, text);
                else if (r == 0 && text && !(facts->rpath && entry->d_tag == DT_RPATH)) {
                        facts->rpath_is_old = entry->d_tag == DT_RPATH;
                        r = replace_string(&facts->rpath, text);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool runs_at_start_or_end(const struct fmt_elf_image *image, size_t index)
{
        static const char *const names[] = {
                ".init_array", ".fini_array", ".preinit_array", ".ctors", ".dtors"};
        const char *name = fmt_elf_section_name(image, index);
        if (image->sections[index].sh_size == 0 || !(image->sections[index].sh_flags & SHF_ALLOC))
                return false;
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
                size_t length = strlen(names[i]);
                if (strncmp(name, names[i], length) == 0 &&
                        (name[length] == 0 || name[length] == '.'))
                        return true;
        }
        return false;
}

static int read_segments(const struct fmt_elf_image *image, struct fmt_elf_facts *facts)
{
        for (size_t i = 0; i < image->n_segments; i++) {
                const Elf64_Phdr *segment = &image->segments[i];
                if (segment->p_type == PT_GNU_STACK && (segment->p_flags & PF_X))
                        facts->executable_stack = true;
                if (segment->p_type != PT_INTERP || segment->p_filesz == 0)
                        continue;
                const char *text = image->bytes + segment->p_offset;
                if (!memchr(text, 0, segment->p_filesz))
                        return -EBADMSG;
                int r = replace_string(&facts->interpreter, text);
                if (r < 0)
                        return r;
        }
        return 0;
}

int fmt_elf_read(int fd, struct fmt_elf_facts *ret)
{
        *ret = (struct fmt_elf_facts){0};
        _cleanup_(fmt_elf_image_close) struct fmt_elf_image image;
        int r = fmt_elf_image_open(fd, &image);
        if (r < 0)
                return r;
        ret->needed = calloc(1, sizeof(char *));
        if (!ret->needed)
                return -ENOMEM;
        ret->type = image.header->e_type;
        ret->machine = image.header->e_machine;
        ret->size = fmt_elf_extent(&image);
        for (size_t i = 1; i < image.n_sections; i++)
                ret->has_constructors = ret->has_constructors || runs_at_start_or_end(&image, i);
        ret->has_record = fmt_elf_section_index(&image, FMT_RECORD_SECTION) != 0;
        ret->has_bitcode = fmt_elf_section_index(&image, FMT_ELF_BITCODE_SECTION) != 0;
        r = read_segments(&image, ret);
        if (r == 0)
                r = read_dynamic(&image, ret);
        if (r < 0) {
                fmt_elf_facts_done(ret);
                return r;
        }
        ret->is_pie = ret->type == ET_DYN && (ret->is_pie || ret->interpreter);
        return 0;
}

void fmt_elf_facts_done(struct fmt_elf_facts *facts)
{
        free(facts->interpreter);
        free(facts->soname);
        free(facts->rpath);
        fmt_strings_free(facts->needed);
        *facts = (struct fmt_elf_facts){0};
}

int fmt_elf_find_section(int fd, const char *name, uint64_t *ret_offset, uint64_t *ret_size)
{
        _cleanup_(fmt_elf_image_close) struct fmt_elf_image image;
        int r = fmt_elf_image_open(fd, &image);
        if (r < 0)
                return r;
        size_t index = fmt_elf_section_index(&image, name);
        if (index == 0 || image.sections[index].sh_type == SHT_NOBITS)
                return -ENOENT;
        *ret_offset = image.sections[index].sh_offset;
        *ret_size = image.sections[index].sh_size;
        return 0;
}
