/* SPDX-License-Identifier: Apache-2.0 */
/* Adding and taking sections that no segment maps.
 *
 * Nothing that a loader sees may move, so a rewrite keeps the file up to the last byte that a
 * segment or a kept section occupies and lays out anew what follows: new section content, the
 * table of section names, the section header table. What libelf's own layout would do to the
 * middle of the file never comes up. */
#include "fmt_elf.h"

#include "fmt_cleanup.h"
#include "fmt_elf_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int fmt_elf_write(int fd, const void *data, size_t size, uint64_t offset)
{
        const char *from = data;
        while (size > 0) {
                ssize_t n = pwrite(fd, from, size, (off_t)offset);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                from += n;
                offset += (uint64_t)n;
                size -= (size_t)n;
        }
        return 0;
}

/* The new file under construction: which sections stay, and what replaces or joins them. */
struct plan {
        const struct fmt_elf_image *image;
        size_t *map; /* old index -> new index; 0: dropped */
        Elf64_Shdr *sections;
        size_t n;
        size_t names;     /* new index of .shstrtab */
        char *name_table; /* grown copy of its content */
        size_t name_size;
        uint64_t end; /* bytes kept from the old file */
};

static void plan_done(struct plan *plan)
{
        free(plan->map);
        free(plan->sections);
        free(plan->name_table);
}

/* CONTENT_OF: old index whose bytes are given anew, so that its old ones need not stay. */
static uint64_t kept_end(const struct plan *plan, size_t content_of)
{
        const struct fmt_elf_image *image = plan->image;
        uint64_t end = sizeof(Elf64_Ehdr);
        if (image->n_segments)
                end = image->header->e_phoff + image->n_segments * sizeof(Elf64_Phdr);
        for (size_t i = 0; i < image->n_segments; i++)
                if (image->segments[i].p_offset + image->segments[i].p_filesz > end)
                        end = image->segments[i].p_offset + image->segments[i].p_filesz;
        for (size_t i = 1; i < image->n_sections; i++) {
                const Elf64_Shdr *section = &image->sections[i];
                if (plan->map[i] == 0 || i == image->names || i == content_of ||
                        section->sh_type == SHT_NOBITS || section->sh_type == SHT_NULL)
                        continue;
                if (section->sh_offset + section->sh_size > end)
                        end = section->sh_offset + section->sh_size;
        }
        return end;
}

static bool refers_to_section(const Elf64_Shdr *section)
{
        return (section->sh_flags & SHF_INFO_LINK) || section->sh_type == SHT_REL ||
               section->sh_type == SHT_RELA;
}

static int plan_sections(struct plan *plan, const struct fmt_elf_image *image, const bool *drop)
{
        *plan = (struct plan){.image = image};
        size_t n = image->n_sections;
        if (n == 0 || image->names == 0)
                return -EBADMSG;
        plan->map = calloc(n, sizeof(*plan->map));
        plan->sections = calloc(n + 1, sizeof(*plan->sections));
        const Elf64_Shdr *names = &image->sections[image->names];
        if (!plan->map || !plan->sections)
                return -ENOMEM;
        for (size_t i = 1, next = 1; i < n; i++)
                plan->map[i] = drop && drop[i] ? 0 : next++;
        plan->n = 1;
        plan->sections[0] = image->sections[0];
        for (size_t i = 1; i < n; i++) {
                if (plan->map[i] == 0)
                        continue;
                Elf64_Shdr *section = &plan->sections[plan->n++];
                *section = image->sections[i];
                if (section->sh_link < n)
                        section->sh_link = (Elf64_Word)plan->map[section->sh_link];
                if (refers_to_section(section) && section->sh_info < n)
                        section->sh_info = (Elf64_Word)plan->map[section->sh_info];
        }
        plan->names = plan->map[image->names];
        plan->name_size = names->sh_size;
        plan->name_table = malloc(names->sh_size + 1);
        if (!plan->name_table)
                return -ENOMEM;
        memcpy(plan->name_table, image->bytes + names->sh_offset, names->sh_size);
        return 0;
}

static int add_name(struct plan *plan, const char *name, uint32_t *ret)
{
        size_t size = strlen(name) + 1;
        char *grown = realloc(plan->name_table, plan->name_size + size);
        if (!grown)
                return -ENOMEM;
        plan->name_table = grown;
        *ret = (uint32_t)plan->name_size;
        memcpy(grown + plan->name_size, name, size);
        plan->name_size += size;
        return 0;
}

/* Section symbols of sections that went away become absolute and nameless; others follow their
 * section. */
static int write_symbols(const struct plan *plan, int out_fd)
{
        const struct fmt_elf_image *image = plan->image;
        for (size_t i = 1; i < image->n_sections; i++) {
                const Elf64_Shdr *section = &image->sections[i];
                if (section->sh_type != SHT_SYMTAB || plan->map[i] == 0)
                        continue;
                for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= section->sh_size;
                        at += sizeof(Elf64_Sym)) {
                        Elf64_Sym symbol;
                        memcpy(&symbol, image->bytes + section->sh_offset + at, sizeof(symbol));
                        if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= image->n_sections ||
                                plan->map[symbol.st_shndx] == symbol.st_shndx)
                                continue;
                        size_t index = plan->map[symbol.st_shndx];
                        symbol.st_shndx = index ? (Elf64_Section)index : SHN_ABS;
                        int r = fmt_elf_write(
                                out_fd, &symbol, sizeof(symbol), section->sh_offset + at);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* Writes what comes after the kept part: DATA (may be NULL) for section TARGET, names, headers. */
static int write_tail(struct plan *plan, size_t target, const void *data, size_t size, int out_fd)
{
        uint64_t at = plan->end;
        int r = 0;
        if (data) {
                at = (at + 7) & ~(uint64_t)7;
                plan->sections[target].sh_offset = at;
                plan->sections[target].sh_size = size;
                r = fmt_elf_write(out_fd, data, size, at);
                at += size;
        }
        plan->sections[plan->names].sh_offset = at;
        plan->sections[plan->names].sh_size = plan->name_size;
        if (r == 0)
                r = fmt_elf_write(out_fd, plan->name_table, plan->name_size, at);
        at = (at + plan->name_size + 7) & ~(uint64_t)7;
        Elf64_Ehdr header = *plan->image->header;
        header.e_shoff = at;
        header.e_shnum = (Elf64_Half)plan->n;
        header.e_shstrndx = (Elf64_Half)plan->names;
        if (plan->n >= SHN_LORESERVE) { /* the counts then live in section 0 */
                header.e_shnum = 0;
                header.e_shstrndx = SHN_XINDEX;
                plan->sections[0].sh_size = plan->n;
                plan->sections[0].sh_link = (Elf64_Word)plan->names;
        }
        if (r == 0)
                r = fmt_elf_write(out_fd, plan->sections, plan->n * sizeof(Elf64_Shdr), at);
        if (r == 0)
                r = fmt_elf_write(out_fd, &header, sizeof(header), 0);
        return r;
}

static int copy_kept(const struct plan *plan, int out_fd)
{
        if (ftruncate(out_fd, 0) < 0)
                return -errno;
        return fmt_elf_write(out_fd, plan->image->bytes, plan->end, 0);
}

int fmt_elf_with_section(int fd, const char *name, const void *data, size_t size, int out_fd)
{
        _cleanup_(fmt_elf_image_close) struct fmt_elf_image image;
        int r = fmt_elf_image_open(fd, &image);
        if (r < 0)
                return r;
        _cleanup_(plan_done) struct plan plan;
        r = plan_sections(&plan, &image, NULL);
        if (r < 0)
                return r;
        size_t old = fmt_elf_section_index(&image, name);
        size_t target = old;
        if (old == 0) {
                target = plan.n++;
                plan.sections[target] = (Elf64_Shdr){.sh_type = SHT_PROGBITS, .sh_addralign = 8};
                r = add_name(&plan, name, &plan.sections[target].sh_name);
        } else if (image.sections[old].sh_flags & SHF_ALLOC) {
                r = -EINVAL;
        }
        if (r < 0)
                return r;
        plan.sections[target].sh_addralign = 8;
        plan.end = kept_end(&plan, old);
        r = copy_kept(&plan, out_fd);
        return r < 0 ? r : write_tail(&plan, target, data, size, out_fd);
}

static int mark_dropped(const struct fmt_elf_image *image, const char *name, bool strip_debug,
        bool *drop, size_t *ret_dropped)
{
        *ret_dropped = 0;
        for (size_t i = 1; i < image->n_sections; i++) {
                const Elf64_Shdr *section = &image->sections[i];
                const char *of = fmt_elf_section_name(image, i);
                bool debug = strncmp(of, ".debug_", 7) == 0 || strncmp(of, ".zdebug_", 8) == 0;
                bool relocates = refers_to_section(section) && section->sh_info < i &&
                                 drop[section->sh_info];
                drop[i] = !(section->sh_flags & SHF_ALLOC) && i != image->names &&
                          (strcmp(of, name) == 0 || (strip_debug && debug) || relocates);
                *ret_dropped += drop[i];
                if (section->sh_type == SHT_SYMTAB_SHNDX || section->sh_type == SHT_GROUP)
                        return -EOPNOTSUPP;
        }
        return 0;
}

int fmt_elf_without_section(int fd, const char *name, bool strip_debug, int out_fd)
{
        _cleanup_(fmt_elf_image_close) struct fmt_elf_image image;
        int r = fmt_elf_image_open(fd, &image);
        if (r < 0)
                return r;
        if (image.header->e_type == ET_REL)
                return -EOPNOTSUPP;
        _cleanup_free_ bool *drop = calloc(image.n_sections + 1, sizeof(*drop));
        if (!drop)
                return -ENOMEM;
        size_t dropped = 0;
        r = mark_dropped(&image, name, strip_debug, drop, &dropped);
        if (r < 0)
                return r;
        _cleanup_(plan_done) struct plan plan = {.image = &image, .end = image.size};
        if (dropped == 0)
                return copy_kept(&plan, out_fd);
        r = plan_sections(&plan, &image, drop);
        if (r < 0)
                return r;
        plan.end = kept_end(&plan, 0);
        r = copy_kept(&plan, out_fd);
        if (r == 0)
                r = write_symbols(&plan, out_fd);
        return r < 0 ? r : write_tail(&plan, 0, NULL, 0, out_fd);
}
