/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_archive.h"

#include "fmt_cleanup.h"

#include <ar.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>

/* A name of this many bytes or more goes into the table: the header's field must also hold the
 * closing '/'. */
#define LONG_NAME 16

struct jit_archive_writer {
        int fd;
        char (*names)[LONG_NAME + 1]; /* the header's field: "short/" or "/offset" */
        size_t n, next;
};

static int write_all(int fd, struct iovec *parts, int n)
{
        while (n > 0) {
                ssize_t done = writev(fd, parts, n);
                if (done < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                for (; n > 0 && (size_t)done >= parts->iov_len; n--)
                        done -= (ssize_t)parts++->iov_len;
                if (n > 0) {
                        parts->iov_base = (char *)parts->iov_base + done;
                        parts->iov_len -= (size_t)done;
                }
        }
        return 0;
}

/* Header, data and the padding to an even offset. */
static int write_member(int fd, const char *name, const void *data, size_t size)
{
        struct ar_hdr header;
        char text[sizeof header + 1];
        if (size > 9999999999u)
                return -EFBIG;
        snprintf(text, sizeof text, "%-16s%-12s%-6s%-6s%-8s%-10zu" ARFMAG, name, "0", "0", "0",
                "644", size);
        memcpy(&header, text, sizeof header);
        struct iovec parts[] = {
                {&header, sizeof header}, {(void *)data, size}, {(void *)"\n", size % 2}};
        return write_all(fd, parts, 3);
}

static bool fits_header(const char *name)
{
        return strlen(name) < LONG_NAME && *name;
}

static char *spell(const char *name)
{
        char *spelt = strdup(name);
        for (char *c = spelt; c && *c; c++)
                *c = *c == '/' ? JIT_ARCHIVE_SLASH : *c == '\n' ? '?' : *c;
        return spelt;
}

/* Builds the table of long names and each member's header field. */
static int lay_out_names(
        struct jit_archive_writer *writer, const char *const *names, char **ret_table)
{
        _cleanup_free_ char *table = NULL;
        size_t size = 0;
        _cleanup_fclose_ FILE *stream = open_memstream(&table, &size);
        if (!stream)
                return -ENOMEM;
        long offset = 0;
        for (size_t i = 0; i < writer->n; i++) {
                _cleanup_free_ char *name = spell(names[i]);
                if (!name)
                        return -ENOMEM;
                if (fits_header(name)) {
                        snprintf(writer->names[i], sizeof writer->names[i], "%s/", name);
                        continue;
                }
                snprintf(writer->names[i], sizeof writer->names[i], "/%ld", offset);
                fprintf(stream, "%s/\n", name);
                offset = ftell(stream);
        }
        int failed = fclose(steal_pointer(&stream));
        if (failed)
                return -ENOMEM;
        *ret_table = steal_pointer(&table);
        return 0;
}

int jit_archive_begin(int fd, const char *const *names, size_t n, struct jit_archive_writer **ret)
{
        _cleanup_(jit_archive_abandonp) struct jit_archive_writer *writer =
                calloc(1, sizeof *writer);
        if (!writer)
                return -ENOMEM;
        writer->fd = fd;
        writer->n = n;
        writer->names = calloc(n + 1, sizeof *writer->names);
        if (!writer->names)
                return -ENOMEM;
        _cleanup_free_ char *table = NULL;
        int r = lay_out_names(writer, names, &table);
        if (r < 0)
                return r;
        struct iovec magic = {(void *)ARMAG, SARMAG};
        r = write_all(fd, &magic, 1);
        if (r == 0 && *table)
                r = write_member(fd, "//", table, strlen(table));
        if (r < 0)
                return r;
        *ret = steal_pointer(&writer);
        return 0;
}

int jit_archive_append(struct jit_archive_writer *writer, const void *data, size_t size)
{
        if (writer->next == writer->n)
                return -EINVAL;
        return write_member(writer->fd, writer->names[writer->next++], data, size);
}

int jit_archive_end(struct jit_archive_writer *writer)
{
        int r = writer->next == writer->n ? 0 : -EINVAL;
        jit_archive_abandon(writer);
        return r;
}

void jit_archive_abandon(struct jit_archive_writer *writer)
{
        if (writer)
                free(writer->names);
        free(writer);
}

void jit_archive_abandonp(struct jit_archive_writer **writer)
{
        jit_archive_abandon(*writer);
}

/* A decimal field of an ar header: digits, then blanks. */
static bool parse_field(const char *field, size_t width, size_t *ret)
{
        size_t value = 0, i = 0;
        for (; i < width && field[i] >= '0' && field[i] <= '9'; i++)
                value = value * 10 + (size_t)(field[i] - '0');
        bool digits = i > 0;
        while (i < width && field[i] == ' ')
                i++;
        *ret = value;
        return digits && i == width;
}

/* One header and its data at OFFSET; moves OFFSET behind it. */
static int read_member(const char *archive, size_t size, size_t *offset,
        const struct ar_hdr **ret_header, struct jit_archive_member *ret)
{
        if (size - *offset < sizeof(struct ar_hdr))
                return -EBADMSG;
        const struct ar_hdr *header = (const void *)(archive + *offset);
        size_t start = *offset + sizeof *header, length;
        if (memcmp(header->ar_fmag, ARFMAG, 2) != 0 ||
                !parse_field(header->ar_size, sizeof header->ar_size, &length) ||
                length > size - start)
                return -EBADMSG;
        ret->data = archive + start;
        ret->size = length;
        *offset = start + length + length % 2;
        if (*offset > size)
                *offset = size;
        *ret_header = header;
        return 0;
}

/* Finds the name that ENTRY of the "//" table, which is the first member if there is one, holds. */
static int read_long_name(
        const char *archive, size_t size, size_t entry, struct jit_archive_member *member)
{
        const struct ar_hdr *header;
        struct jit_archive_member table;
        size_t offset = SARMAG;
        if (read_member(archive, size, &offset, &header, &table) < 0 ||
                memcmp(header->ar_name, "// ", 3) != 0 || entry >= table.size)
                return -EBADMSG;
        const char *name = (const char *)table.data + entry;
        const char *end = memmem(name, table.size - entry, "/\n", 2);
        if (!end)
                return -EBADMSG;
        member->name = name;
        member->name_size = (size_t)(end - name);
        return 0;
}

int jit_archive_next(
        const void *archive, size_t size, size_t *cursor, struct jit_archive_member *ret)
{
        if (*cursor == 0) {
                if (size < SARMAG || memcmp(archive, ARMAG, SARMAG) != 0)
                        return -EBADMSG;
                *cursor = SARMAG;
        }
        const struct ar_hdr *header = NULL;
        do {
                if (*cursor == size)
                        return 0;
                int r = read_member(archive, size, cursor, &header, ret);
                if (r < 0)
                        return r;
        } while (memcmp(header->ar_name, "// ", 3) == 0);
        size_t entry;
        if (header->ar_name[0] == '/') {
                if (!parse_field(header->ar_name + 1, sizeof header->ar_name - 1, &entry))
                        return -EBADMSG;
                int r = read_long_name(archive, size, entry, ret);
                return r < 0 ? r : 1;
        }
        const char *end = memchr(header->ar_name, '/', sizeof header->ar_name);
        if (!end)
                return -EBADMSG;
        ret->name = header->ar_name;
        ret->name_size = (size_t)(end - header->ar_name);
        return 1;
}

void jit_archive_restore_slashes(char *text)
{
        for (; *text; text++)
                if (*text == JIT_ARCHIVE_SLASH)
                        *text = '/';
}
