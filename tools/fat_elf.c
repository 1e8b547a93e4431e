/* SPDX-License-Identifier: Apache-2.0 */
#include "fat_elf.h"
#include "fmt_cleanup.h"
#include "fmt_elf.h"

#include <sys/mman.h>

static int open_parts(struct fat_elf *fat)
{
        _cleanup_free_ void *json = NULL;
        struct fmt_digest root;

        int r = fmt_bundle_open(fmt_source_of_fd(&fat->part), &fat->bundle);
        if (r < 0)
                return r;
        fmt_bundle_root(fat->bundle, &root);
        r = fmt_bundle_read(fat->bundle, &root, &json, &fat->record_size);
        if (r < 0)
                return r;
        return fmt_record_decode(json, fat->record_size, &fat->record);
}

int fat_elf_open(int fd, struct fat_elf *ret)
{
        *ret = (struct fat_elf){.part.fd = fd};
        int r = fmt_elf_find_section(fd, FMT_RECORD_SECTION, &ret->part.offset, &ret->part.size);
        if (r == 0)
                r = open_parts(ret);
        if (r < 0)
                fat_elf_done(ret);
        return r;
}

void fat_elf_done(struct fat_elf *fat)
{
        fmt_record_free(fat->record);
        fmt_bundle_free(fat->bundle);
        *fat = (struct fat_elf){0};
}

int fat_elf_strip(int fd, bool keep_debug, int *ret_fd)
{
        _cleanup_close_ int packed = memfd_create("elf", MFD_CLOEXEC);

        if (packed < 0)
                return -errno;
        int r = fmt_elf_without_section(fd, FMT_RECORD_SECTION, !keep_debug, packed);
        if (r < 0)
                return r;
        *ret_fd = steal_fd(&packed);
        return 0;
}

/* The bundle that holds nothing but RECORD. */
static int write_record(const struct fmt_record *record, int fd, uint64_t *ret_size)
{
        _cleanup_free_ char *json = NULL;
        struct fmt_bundle_writer *writer;
        struct fmt_digest root;
        size_t size;

        int r = fmt_record_encode(record, &json, &size);
        if (r < 0)
                return r;
        r = fmt_bundle_writer_new(3, &writer);
        if (r < 0)
                return r;
        r = fmt_bundle_add(writer, FMT_BLOB_MANIFEST, json, size, &root);
        if (r == 0)
                r = fmt_bundle_write(writer, &root, 1, fd, ret_size);
        fmt_bundle_writer_free(writer);
        return r;
}

static int add_section(int fd, int bundle, uint64_t size, int *ret_fd)
{
        _cleanup_close_ int out = memfd_create("elf", MFD_CLOEXEC);
        struct fmt_source_fd part = {.fd = bundle, .size = size};
        struct fmt_source source = fmt_source_of_fd(&part);
        _cleanup_free_ char *data = malloc(size);

        if (out < 0)
                return -errno;
        if (!data)
                return -ENOMEM;
        int r = source.read(source.context, data, size, 0);
        if (r == 0)
                r = fmt_elf_with_section(fd, FMT_RECORD_SECTION, data, size, out);
        if (r < 0)
                return r;
        *ret_fd = steal_fd(&out);
        return 0;
}

int fat_elf_explain(int fd, const char *reason, int *ret_fd)
{
        _cleanup_(fmt_record_freep) struct fmt_record *record = NULL;
        _cleanup_close_ int bundle = memfd_create("record", MFD_CLOEXEC);
        uint64_t size;

        if (bundle < 0)
                return -errno;
        int r = fmt_record_new(&record);
        if (r == 0)
                r = fmt_strings_append(&record->kept_native, reason);
        if (r == 0)
                r = write_record(record, bundle, &size);
        return r < 0 ? r : add_section(fd, bundle, size, ret_fd);
}

int fat_elf_digest(int fd, struct fmt_digest *ret)
{
        struct fmt_digest_state *state;
        char buffer[65536];
        off_t at = 0;

        int r = fmt_digest_begin(&state);
        if (r < 0)
                return r;
        for (;;) {
                ssize_t got = pread(fd, buffer, sizeof buffer, at);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got == 0)
                        return fmt_digest_finish(state, ret);
                r = got < 0 ? -errno : fmt_digest_update(state, buffer, (size_t)got);
                if (r < 0) {
                        fmt_digest_abandon(state);
                        return r;
                }
                at += got;
        }
}
