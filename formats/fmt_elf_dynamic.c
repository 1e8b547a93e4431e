/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_elf_dynamic.h"

#include "fmt_cleanup.h"
#include "fmt_strings.h"

#include <elf.h>
#include <string.h>

/* No real file comes near these; a damaged one must not make us read gigabytes. */
#define MOST_SEGMENTS 128
#define LARGEST_DYNAMIC (1U << 20)
#define LARGEST_STRINGS (64U << 20)
#define LARGEST_INTERPRETER 4096

struct reader {
        struct fmt_source source;
        Elf64_Phdr segments[MOST_SEGMENTS];
        size_t n_segments;
};

void fmt_elf_dynamic_done(struct fmt_elf_dynamic *dynamic)
{
        free(dynamic->interpreter);
        fmt_strings_free(dynamic->needed);
        free(dynamic->rpath);
        *dynamic = (struct fmt_elf_dynamic){0};
}

static int read_at(const struct reader *reader, void *to, uint64_t size, uint64_t offset)
{
        if (offset > reader->source.size || size > reader->source.size - offset)
                return -EBADMSG;
        return reader->source.read(reader->source.context, to, size, offset);
}

static int read_segments(struct reader *reader)
{
        Elf64_Ehdr header;
        int r;

        if (reader->source.size < sizeof(header))
                return -ENOEXEC;
        r = read_at(reader, &header, sizeof(header), 0);
        if (r < 0)
                return r;
        if (memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
                header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64)
                return -ENOEXEC;
        if (header.e_phnum == 0)
                return 0;
        if (header.e_phentsize != sizeof(Elf64_Phdr) || header.e_phnum > MOST_SEGMENTS)
                return -EBADMSG;
        reader->n_segments = header.e_phnum;
        return read_at(
                reader, reader->segments, header.e_phnum * sizeof(Elf64_Phdr), header.e_phoff);
}

static const Elf64_Phdr *find_segment(const struct reader *reader, uint32_t type)
{
        for (size_t i = 0; i < reader->n_segments; i++)
                if (reader->segments[i].p_type == type)
                        return &reader->segments[i];
        return NULL;
}

/* Where the loader would have mapped ADDRESS from, and how much of the file follows there. */
static int file_offset(
        const struct reader *reader, uint64_t address, uint64_t *ret_offset, uint64_t *ret_rest)
{
        for (size_t i = 0; i < reader->n_segments; i++) {
                const Elf64_Phdr *segment = &reader->segments[i];
                uint64_t into = address - segment->p_vaddr;
                if (segment->p_type != PT_LOAD || address < segment->p_vaddr ||
                        into >= segment->p_filesz)
                        continue;
                if (segment->p_offset > reader->source.size ||
                        into > reader->source.size - segment->p_offset)
                        return -EBADMSG;
                *ret_offset = segment->p_offset + into;
                *ret_rest = segment->p_filesz - into;
                return 0;
        }
        return -EBADMSG;
}

static int read_interpreter(const struct reader *reader, char **ret)
{
        const Elf64_Phdr *segment = find_segment(reader, PT_INTERP);
        _cleanup_free_ char *text = NULL;
        int r;

        if (!segment)
                return 0;
        if (segment->p_filesz == 0 || segment->p_filesz > LARGEST_INTERPRETER)
                return -EBADMSG;
        text = calloc(1, segment->p_filesz + 1);
        if (!text)
                return -ENOMEM;
        r = read_at(reader, text, segment->p_filesz, segment->p_offset);
        if (r < 0)
                return r;
        *ret = steal_pointer(&text);
        return 0;
}

struct table {
        Elf64_Dyn *entries;
        size_t count;
        char *strings; /* a NUL follows */
        uint64_t strings_size;
};

static void table_done(struct table *table)
{
        free(table->entries);
        free(table->strings);
}

static bool table_value(const struct table *table, Elf64_Sxword tag, uint64_t *ret)
{
        for (size_t i = 0; i < table->count; i++)
                if (table->entries[i].d_tag == tag) {
                        *ret = table->entries[i].d_un.d_val;
                        return true;
                }
        return false;
}

static int read_table(const struct reader *reader, struct table *ret)
{
        const Elf64_Phdr *segment = find_segment(reader, PT_DYNAMIC);
        uint64_t address, size, offset, rest;
        int r;

        if (!segment)
                return 0;
        if (segment->p_filesz > LARGEST_DYNAMIC)
                return -EBADMSG;
        ret->entries = calloc(1, segment->p_filesz + 1);
        if (!ret->entries)
                return -ENOMEM;
        r = read_at(reader, ret->entries, segment->p_filesz, segment->p_offset);
        if (r < 0)
                return r;
        while (ret->count < segment->p_filesz / sizeof(Elf64_Dyn) &&
                ret->entries[ret->count].d_tag != DT_NULL)
                ret->count++;
        if (!table_value(ret, DT_STRTAB, &address) || !table_value(ret, DT_STRSZ, &size))
                return ret->count ? -EBADMSG : 0;
        r = file_offset(reader, address, &offset, &rest);
        if (r < 0)
                return r;
        if (size > rest || size > LARGEST_STRINGS)
                return -EBADMSG;
        ret->strings = calloc(1, size + 1);
        if (!ret->strings)
                return -ENOMEM;
        ret->strings_size = size;
        return read_at(reader, ret->strings, size, offset);
}

/* NULL for what lies outside the string table. */
static const char *string_at(const struct table *table, uint64_t at)
{
        return at < table->strings_size ? table->strings + at : NULL;
}

static int take_strings(const struct table *table, struct fmt_elf_dynamic *ret)
{
        const char *text;
        uint64_t at;
        int r = 0;

        for (size_t i = 0; r == 0 && i < table->count; i++) {
                if (table->entries[i].d_tag != DT_NEEDED)
                        continue;
                text = string_at(table, table->entries[i].d_un.d_val);
                r = text ? fmt_strings_append(&ret->needed, text) : -EBADMSG;
        }
        if (r < 0)
                return r;
        /* With both, the loader ignores DT_RPATH. */
        if (!table_value(table, DT_RUNPATH, &at)) {
                if (!table_value(table, DT_RPATH, &at))
                        return 0;
                ret->rpath_is_old = true;
        }
        text = string_at(table, at);
        if (!text)
                return -EBADMSG;
        ret->rpath = strdup(text);
        return ret->rpath ? 0 : -ENOMEM;
}

int fmt_elf_dynamic_read(struct fmt_source source, struct fmt_elf_dynamic *ret)
{
        _cleanup_(fmt_elf_dynamic_done) struct fmt_elf_dynamic dynamic = {0};
        _cleanup_(table_done) struct table table = {0};
        struct reader reader = {.source = source};
        int r = read_segments(&reader);

        if (r == 0)
                r = read_interpreter(&reader, &dynamic.interpreter);
        if (r == 0)
                r = read_table(&reader, &table);
        if (r == 0)
                r = take_strings(&table, &dynamic);
        if (r < 0)
                return r;
        *ret = dynamic;
        dynamic = (struct fmt_elf_dynamic){0};
        return 0;
}
