/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "inspect_parts.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <sys/mman.h>

#define MAX_MEMBER (INT64_C(1) << 31) /* bytes */

static void free_archive(struct archive **archive)
{
        archive_read_free(*archive);
}

/* A member as a file of its own, for the ELF reader. */
static int unpack(struct archive *ar, struct archive_entry *entry, int *ret_fd)
{
        _cleanup_close_ int fd = memfd_create("member", MFD_CLOEXEC);

        if (fd < 0)
                return -errno;
        if (archive_entry_size(entry) > MAX_MEMBER)
                return -EFBIG;
        if (archive_read_data_into_fd(ar, fd) != ARCHIVE_OK)
                return -EBADMSG;
        *ret_fd = steal_fd(&fd);
        return 0;
}

static int add_member(struct archive *ar, struct archive_entry *entry,
        struct inspect_modules *modules, json_t *members)
{
        const char *name = archive_entry_pathname(entry);
        _cleanup_close_ int fd = -1;
        char magic[4];
        json_t *member;

        if (!name || !*name || name[0] == '/')
                return 0; /* symbol table and long names */
        int r = unpack(ar, entry, &fd);
        if (r < 0)
                return r;
        member = json_object();
        json_array_append_new(members, member);
        json_object_set_new(member, "name", json_string(name));
        if (pread(fd, magic, sizeof magic, 0) == sizeof magic && !memcmp(magic, "\177ELF", 4))
                return inspect_elf(fd, name, modules, member);
        if (!memcmp(magic, "BC\xc0\xde", 4))
                return inspect_bitcode(fd, modules, member);
        json_object_set_new(member, "kind", json_string("other"));
        return 0;
}

int inspect_archive(int fd, const char *path, struct inspect_modules *modules, json_t *object)
{
        _cleanup_(free_archive) struct archive *ar = archive_read_new();
        struct archive_entry *entry;
        json_t *members = json_array();
        int status;

        json_object_set_new(object, "kind", json_string("archive"));
        json_object_set_new(object, "members", members);
        if (!ar || archive_read_support_format_ar(ar) != ARCHIVE_OK ||
                archive_read_open_fd(ar, fd, 65536) != ARCHIVE_OK)
                return -ENOMEM;
        while ((status = archive_read_next_header(ar, &entry)) == ARCHIVE_OK) {
                int r = add_member(ar, entry, modules, members);
                if (r < 0)
                        return r;
        }
        if (status == ARCHIVE_EOF)
                return 0;
        fmt_error("cannot read the archive %s: %s; make it again (thin archives hold nothing "
                  "themselves)",
                path, archive_error_string(ar));
        return -EBADMSG;
}
