/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_image_find.h"

#include "fmt_log.h"
#include "fmt_source.h"

#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/* ---- what people give us instead of a squashfs ---- */

static const struct magic {
        uint32_t at;
        const char *bytes;
        uint32_t size;
        const char *name;
} magics[] = {
        {0, "\037\213", 2, "gzip-compressed data (a tar archive or a docker layer?)"},
        {0, "\050\265\057\375", 4, "zstd-compressed data (a tar archive or an OCI layer?)"},
        {0, "\3757zXZ", 5, "xz-compressed data"},
        {0, "PK\003\004", 4, "a zip archive"},
        {0, "\177ELF", 4, "an ELF program (an AppImage? then give -o offset=BYTES)"},
        {0, "QFI\373", 4, "a qcow2 disk image"},
        {0, "#!", 2, "a script"},
        {0, "sqsh", 4, "a big-endian squashfs image of an old version"},
        {257, "ustar", 5, "a tar archive"},
        {1024, "\342\341\365\340", 4, "an erofs image"},
        {1080, "\123\357", 2, "an ext2/3/4 file system"},
        {0, "XFSB", 4, "an xfs file system"},
        {32769, "CD001", 5, "an ISO 9660 image"},
        {65600, "_BHRfS_M", 8, "a btrfs file system"},
};

static const char *name_of(const struct fmt_source *source, uint64_t offset)
{
        char seen[8];
        for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
                if (source->read(source->context, seen, magics[i].size, offset + magics[i].at) ==
                                0 &&
                        memcmp(seen, magics[i].bytes, magics[i].size) == 0)
                        return magics[i].name;
        return NULL;
}

/* ---- SIF ---- */

#define SIF_MAGIC "SIF_MAGIC"
#define SIF_MAGIC_AT 32
#define SIF_DESCRIPTORS_AT 96 /* i64 offset, i64 length, after four more i64 from byte 64 on */
#define SIF_DESCRIPTOR_SIZE 585
#define SIF_PARTITION 0x4004
#define SIF_PRIMARY 2 /* the partition type of the root file system */
#define SIF_MOST_DESCRIPTORS 4096

enum { SIF_SQUASHFS = 1, SIF_EXT3 = 2, SIF_ENCRYPTED_SQUASHFS = 4 };

/* Byte offsets inside a descriptor. */
enum {
        SIF_TYPE = 0,
        SIF_USED = 4,
        SIF_OFFSET = 17,
        SIF_SIZE = 25,
        SIF_FSTYPE = 201,
        SIF_PARTTYPE = 205
};

static uint32_t get32(const char *bytes)
{
        uint32_t value;
        memcpy(&value, bytes, sizeof value);
        return le32toh(value);
}

static uint64_t get64(const char *bytes)
{
        uint64_t value;
        memcpy(&value, bytes, sizeof value);
        return le64toh(value);
}

static bool is_primary(const char *descriptor)
{
        return get32(descriptor + SIF_TYPE) == SIF_PARTITION && descriptor[SIF_USED] != 0 &&
               get32(descriptor + SIF_PARTTYPE) == SIF_PRIMARY;
}

static int refuse(const char *path, const char *what, const char *cure)
{
        fmt_error("cannot read %s: it is %s; %s", path, what, cure);
        return -EMEDIUMTYPE;
}

static int use_partition(const char *path, const char *descriptor, uint64_t size, uint64_t *ret)
{
        const uint64_t at = get64(descriptor + SIF_OFFSET);
        switch (get32(descriptor + SIF_FSTYPE)) {
        case SIF_SQUASHFS:
                break;
        case SIF_EXT3:
                return refuse(path, "a SIF file whose root is an ext3 file system",
                        "build it again with a squashfs root");
        case SIF_ENCRYPTED_SQUASHFS:
                return refuse(path, "an encrypted SIF file", "decrypt it with apptainer first");
        default:
                return refuse(path, "a SIF file whose root is not squashfs",
                        "build it again with a squashfs root");
        }
        if (at >= size || get64(descriptor + SIF_SIZE) > size - at) {
                fmt_error(
                        "%s: this SIF file is damaged: its root lies behind its end; get it again",
                        path);
                return -EBADMSG;
        }
        *ret = at;
        return 0;
}

static int find_in_sif(const char *path, const struct fmt_source *source, uint64_t *ret)
{
        char place[16], descriptor[SIF_DESCRIPTOR_SIZE];
        int error = source->read(source->context, place, sizeof place, SIF_DESCRIPTORS_AT);
        const uint64_t at = get64(place), length = get64(place + 8);
        if (error == 0 && at > source->size)
                error = -EIO;
        for (uint64_t i = 0;
                error == 0 && i < SIF_MOST_DESCRIPTORS && (i + 1) * SIF_DESCRIPTOR_SIZE <= length;
                i++) {
                error = source->read(source->context, descriptor, sizeof descriptor,
                        at + i * SIF_DESCRIPTOR_SIZE);
                if (error == 0 && is_primary(descriptor))
                        return use_partition(path, descriptor, source->size, ret);
        }
        if (error < 0) {
                fmt_error("%s: this SIF file is damaged: its descriptors cannot be read; get it "
                          "again",
                        path);
                return -EBADMSG;
        }
        return refuse(path, "a SIF file without a root file system",
                "list what it holds with `apptainer sif list`");
}

int fmt_image_find(const char *path, int fd, uint64_t file_size, uint64_t offset, uint64_t *ret)
{
        struct fmt_source_fd whole = {.fd = fd, .size = file_size};
        const struct fmt_source source = fmt_source_of_fd(&whole);
        char magic[sizeof SIF_MAGIC - 1];
        *ret = offset;
        if (source.read(source.context, magic, 4, offset) == 0 && memcmp(magic, "hsqs", 4) == 0)
                return 0;
        if (offset == 0 && source.read(source.context, magic, sizeof magic, SIF_MAGIC_AT) == 0 &&
                memcmp(magic, SIF_MAGIC, sizeof magic) == 0)
                return find_in_sif(path, &source, ret);
        if (file_size == 0)
                return refuse(path, "empty", "get the image again");
        if (offset >= file_size) {
                fmt_error("cannot read %s: nothing is at byte %" PRIu64 ", it has %" PRIu64
                          " bytes; give the path of a squashfs image",
                        path, offset, file_size);
                return -EMEDIUMTYPE;
        }
        const char *name = name_of(&source, offset);
        return refuse(path, name != NULL ? name : "not a squashfs image",
                "give one made by `xaas pack` or mksquashfs, or say where it starts with -o "
                "offset=BYTES");
}
