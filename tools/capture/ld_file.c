/* SPDX-License-Identifier: Apache-2.0 */
#include "ld_file.h"

#include "capture_programs.h"
#include "fmt_cleanup.h"

#include <ar.h>
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define THIN_MAGIC "!<thin>\n"

static int map_file(const char *path, const void **ret_data, size_t *ret_size)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -ENOEXEC;
        *ret_size = (size_t)st.st_size;
        *ret_data = "";
        if (st.st_size == 0)
                return 0;
        void *data = mmap(NULL, *ret_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
                return -errno;
        *ret_data = data;
        return 0;
}

static bool is_text(const char *data, size_t size)
{
        for (size_t i = 0; i < size && i < 4096; i++)
                if (!isprint((unsigned char)data[i]) && !isspace((unsigned char)data[i]) &&
                        (unsigned char)data[i] < 0x80)
                        return false;
        return true;
}

enum ld_file_kind ld_file_kind_of(const void *data, size_t size)
{
        Elf64_Ehdr header;
        if (size >= SARMAG &&
                (memcmp(data, ARMAG, SARMAG) == 0 || memcmp(data, THIN_MAGIC, SARMAG) == 0))
                return LD_ARCHIVE;
        if (size < SELFMAG || memcmp(data, ELFMAG, SELFMAG) != 0)
                return is_text(data, size) ? LD_SCRIPT : LD_FOREIGN;
        if (size < sizeof(header))
                return LD_FOREIGN;
        memcpy(&header, data, sizeof(header));
        if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_machine != EM_X86_64)
                return LD_FOREIGN;
        if (header.e_type == ET_REL)
                return LD_OBJECT;
        return header.e_type == ET_DYN ? LD_LIBRARY : LD_FOREIGN;
}

/* ---- archives: ar(5), System V / GNU variant ---- */

static uint64_t number(const char *field, size_t width)
{
        uint64_t value = 0;
        for (size_t i = 0; i < width && isdigit((unsigned char)field[i]); i++)
                value = value * 10 + (uint64_t)(field[i] - '0');
        return value;
}

struct archive {
        struct ld_file *file;
        bool thin;
        const char *names; /* content of the "//" member */
        size_t names_size;
        const unsigned char *index; /* content of the "/" member */
        size_t index_size;
};

/* The full name of a member: "name/", or "/OFFSET" into the table of long names. */
static int member_name(const struct archive *archive, const struct ar_hdr *header, char **ret)
{
        const char *from = header->ar_name;
        size_t room = sizeof(header->ar_name), length = 0;
        if (from[0] == '/' && isdigit((unsigned char)from[1])) {
                uint64_t at = number(from + 1, room - 1);
                if (!archive->names || at >= archive->names_size)
                        return -EBADMSG;
                from = archive->names + at;
                room = archive->names_size - at;
                while (length < room && from[length] != '\n')
                        length++;
                if (length > 0 && from[length - 1] == '/')
                        length--;
        } else {
                while (length < room && from[length] != '/')
                        length++;
                if (length == room)
                        while (length > 0 && from[length - 1] == ' ')
                                length--;
        }
        *ret = strndup(from, length);
        return *ret ? 0 : -ENOMEM;
}

static int add_member(
        struct archive *archive, const struct ar_hdr *header, uint64_t at, uint64_t size)
{
        struct ld_file *file = archive->file;
        struct ld_member *grown =
                realloc(file->members, (file->n_members + 1) * sizeof(*file->members));
        if (!grown)
                return -ENOMEM;
        file->members = grown;
        struct ld_member *member = &grown[file->n_members];
        _cleanup_free_ char *name = NULL;
        int r = member_name(archive, header, &name);
        if (r < 0)
                return r;
        *member = (struct ld_member){.offset = at, .size = size};
        if (!archive->thin) {
                member->data = (const char *)file->data + at + sizeof(*header);
        } else if (name[0] == '/') {
                member->path = strdup(name);
        } else {
                size_t folder = (size_t)(capture_base_name(file->path) - file->path);
                if (asprintf(&member->path, "%.*s%s", (int)folder, file->path, name) < 0)
                        member->path = NULL;
        }
        member->name = strdup(capture_base_name(name));
        if (!member->name || (archive->thin && !member->path)) {
                free(member->name);
                free(member->path);
                return -ENOMEM;
        }
        file->n_members++;
        return 0;
}

/* The symbol index: big-endian count, member offsets, names. */
static int read_index(const struct archive *archive)
{
        struct ld_file *file = archive->file;
        const unsigned char *p = archive->index;
        if (!p || archive->index_size < 4)
                return 0;
        size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (n > (archive->index_size - 4) / 4)
                return -EBADMSG;
        const char *name = (const char *)p + 4 + n * 4;
        const char *end = (const char *)p + archive->index_size;
        file->symbols = calloc(n + 1, sizeof(*file->symbols));
        if (!file->symbols)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const unsigned char *o = p + 4 + i * 4;
                uint64_t offset =
                        (uint64_t)o[0] << 24 | (uint64_t)o[1] << 16 | (uint64_t)o[2] << 8 | o[3];
                const char *stop = name < end ? memchr(name, 0, (size_t)(end - name)) : NULL;
                if (!stop)
                        return -EBADMSG;
                for (size_t low = 0, high = file->n_members; low < high;) {
                        size_t middle = (low + high) / 2;
                        if (file->members[middle].offset == offset) {
                                file->symbols[file->n_symbols++] = (struct ld_symbol){name, middle};
                                break;
                        }
                        if (file->members[middle].offset < offset)
                                low = middle + 1;
                        else
                                high = middle;
                }
                name = stop + 1;
        }
        return 0;
}

static int read_archive(struct ld_file *file)
{
        const char *bytes = file->data;
        struct archive archive = {.file = file, .thin = memcmp(bytes, THIN_MAGIC, SARMAG) == 0};
        for (uint64_t at = SARMAG; at + sizeof(struct ar_hdr) <= file->size;) {
                const struct ar_hdr *header = (const struct ar_hdr *)(bytes + at);
                const char *content = bytes + at + sizeof(*header);
                uint64_t size = number(header->ar_size, sizeof(header->ar_size));
                bool table = memcmp(header->ar_name, "// ", 3) == 0;
                bool index = memcmp(header->ar_name, "/ ", 2) == 0 ||
                             memcmp(header->ar_name, "/SYM64/ ", 8) == 0;
                bool inside = !archive.thin || table || index;
                if (inside && size > file->size - at - sizeof(*header))
                        return -EBADMSG;
                if (table) {
                        archive.names = content;
                        archive.names_size = size;
                } else if (memcmp(header->ar_name, "/ ", 2) == 0) {
                        archive.index = (const unsigned char *)content;
                        archive.index_size = size;
                } else if (!index) {
                        int r = add_member(&archive, header, at, size);
                        if (r < 0)
                                return r;
                }
                at += sizeof(*header) + (inside ? size + (size & 1) : 0);
        }
        return read_index(&archive);
}

int ld_file_open(const char *path, struct ld_file **ret)
{
        struct ld_file *file = calloc(1, sizeof(*file));
        if (!file)
                return -ENOMEM;
        file->path = strdup(path);
        int r = file->path ? map_file(path, &file->data, &file->size) : -ENOMEM;
        if (r == 0) {
                file->kind = ld_file_kind_of(file->data, file->size);
                if (file->kind == LD_ARCHIVE)
                        r = read_archive(file);
        }
        if (r < 0) {
                ld_file_free(file);
                return r;
        }
        *ret = file;
        return 0;
}

void ld_file_free(struct ld_file *file)
{
        if (!file)
                return;
        for (size_t i = 0; i < file->n_members; i++) {
                if (file->members[i].path && file->members[i].data && file->members[i].size)
                        munmap((void *)(uintptr_t)file->members[i].data, file->members[i].size);
                free(file->members[i].name);
                free(file->members[i].path);
        }
        if (file->size > 0)
                munmap((void *)(uintptr_t)file->data, file->size);
        free(file->members);
        free(file->symbols);
        free(file->path);
        free(file);
}

int ld_file_member(struct ld_file *file, size_t index, const struct ld_member **ret)
{
        struct ld_member *member = &file->members[index];
        if (!member->data) {
                int r = map_file(member->path, &member->data, &member->size);
                if (r < 0)
                        return r;
        }
        *ret = member;
        return 0;
}

bool ld_member_is(const struct ld_member *member, const char *name)
{
        if (strcmp(capture_base_name(name), member->name) != 0)
                return false;
        if (!member->path || !strchr(name, '/'))
                return true;
        size_t length = strlen(name), whole = strlen(member->path);
        return whole >= length && strcmp(member->path + whole - length, name) == 0;
}

bool ld_file_defines(const struct ld_file *file, size_t index, const char *symbol)
{
        for (size_t i = 0; i < file->n_symbols; i++)
                if (file->symbols[i].member == index && strcmp(file->symbols[i].name, symbol) == 0)
                        return true;
        return false;
}
