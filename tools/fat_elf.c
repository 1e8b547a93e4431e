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
