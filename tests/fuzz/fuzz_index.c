/* SPDX-License-Identifier: Apache-2.0 */
/* The check of the flat index, which is all that stands between a subverted indexer and the mount.
 * The input is an index. Whatever passes the check is then used completely: with a sanitizer, no
 * accepted index can make a reader leave it. */
#include "fmt_cleanup.h"
#include "fmt_decompress.h"
#include "fmt_index.h"
#include "fuzz.h"
#include "fuzz_mutate.h"
#include "index_use.h"
#include "unit_check.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* What the blocks of the index are read from: text that is stored raw and one byte that no
 * compressor takes for a block. */
#define IMAGE_SIZE 20480
#define BLOCK_SIZE 4096

static int image_file(void)
{
        static int fd = -1;
        char block[BLOCK_SIZE];

        if (fd >= 0)
                return fd;
        fd = memfd_create("image", MFD_CLOEXEC);
        MUST(fd >= 0);
        memset(block, 'x', sizeof block);
        for (off_t at = 0; at < IMAGE_SIZE; at += BLOCK_SIZE)
                MUST(pwrite(fd, block, sizeof block, at) == (ssize_t)sizeof block);
        return fd;
}

bool fuzz_accepts(const uint8_t *data, size_t size)
{
        /* A copy of exactly that size: a sanitizer sees every byte read past it. */
        _cleanup_free_ uint8_t *copy = malloc(size ? size : 1);
        const char *why;

        MUST(copy);
        memcpy(copy, data, size);
        struct fmt_squashfs *image = index_open(copy, size, image_file(), IMAGE_SIZE, 1, &why);
        if (!image)
                return false;
        index_use_everything(image);
        fmt_squashfs_free(image);
        return true;
}

/* ---- an index with something of everything ---- */

/* One text, in which all names are found by searching. */
static const char text[] =
        "a\0bin\0dev\0file\0hard\0link\0nested\0tail\0../bin/a\0/bin\0user.mime\0"
        "text/plain\0trusted.x\0";

struct sample {
        struct fmt_index_header header;
        struct fmt_index_inode inodes[8];
        struct fmt_index_entry entries[8];
        struct fmt_index_block blocks[5];
        struct fmt_index_block fragments[2];
        struct fmt_index_xattr_set xattr_sets[2];
        struct fmt_index_xattr xattrs[3];
        char text[sizeof text - 1];
};

static uint32_t text_at(const char *string)
{
        for (size_t at = 0; at < sizeof text; at += strlen(text + at) + 1)
                if (strcmp(text + at, string) == 0)
                        return (uint32_t)at;
        MUST(!"a string of the sample");
        return 0;
}

static struct fmt_index_entry entry(const char *name, uint32_t inode)
{
        return (struct fmt_index_entry){
                .name = text_at(name), .name_size = (uint32_t)strlen(name), .inode = inode};
}

static struct fmt_index_inode inode(uint32_t mode, uint32_t parent, uint32_t first, uint32_t count)
{
        return (struct fmt_index_inode){.mode = mode,
                .parent = parent,
                .first = first,
                .count = count,
                .nlink = 1,
                .fragment = FMT_INDEX_NONE,
                .xattr_set = FMT_INDEX_NONE};
}

static struct fmt_index_xattr xattr(const char *name, const char *value)
{
        return (struct fmt_index_xattr){.name = text_at(name),
                .name_size = (uint32_t)strlen(name),
                .value = text_at(value),
                .value_size = (uint32_t)strlen(value)};
}

static void fill_inodes(struct fmt_index_inode *inodes)
{
        inodes[0] = inode(S_IFDIR | 0755, 1, 0, 4); /* bin dev file link */
        inodes[1] = inode(S_IFDIR | 0755, 1, 4, 3); /* a nested tail */
        inodes[2] = inode(S_IFCHR | 0600, 0, 0, 0);
        inodes[3] = inode(S_IFREG | 0644, 0, 0, 3);
        inodes[3].size = 3 * BLOCK_SIZE - 96;
        inodes[3].allocated = 2 * BLOCK_SIZE - 96;
        inodes[3].xattr_set = 0;
        inodes[4] = inode(S_IFLNK | 0777, 0, text_at("../bin/a"), 0);
        inodes[4].size = strlen("../bin/a");
        inodes[5] = inode(S_IFLNK | 0777, 0, text_at("/bin"), 0);
        inodes[5].size = strlen("/bin");
        inodes[6] = inode(S_IFDIR | 0700, 2, 7, 1); /* hard */
        inodes[6].xattr_set = 1;
        inodes[7] = inode(S_IFREG | 0644, 0, 3, 2);
        inodes[7].size = 2 * BLOCK_SIZE + 1000;
        inodes[7].fragment = 1;
        inodes[7].fragment_offset = 24;
}

uint8_t *fuzz_seed(unsigned number, size_t *ret_size)
{
        struct sample *sample = calloc(1, sizeof *sample);

        MUST(sample);
        if (number >= FMT_COMPRESSOR_ZSTD) {
                free(sample);
                return NULL;
        }
        *sample = (struct sample){
                .header = {.magic = FMT_INDEX_MAGIC,
                        .image_size = IMAGE_SIZE,
                        .text_size = sizeof sample->text,
                        .block_size = BLOCK_SIZE,
                        .compressor = number + 1,
                        .n_inodes = 8,
                        .n_entries = 8,
                        .n_blocks = 5,
                        .n_fragments = 2,
                        .n_xattr_sets = 2,
                        .n_xattrs = 3},
                .entries = {entry("bin", 2), entry("dev", 3), entry("file", 4), entry("link", 5),
                        entry("a", 6), entry("nested", 7), entry("tail", 8), entry("hard", 8)},
                .blocks = {{0, BLOCK_SIZE, 1}, {0, 0, 1}, {4096, 4000, 1}, {8192, BLOCK_SIZE, 1},
                        {12288, 100, 0}},
                .fragments = {{0, 1, 0}, {16384, 1024, 1}},
                .xattr_sets = {{0, 2}, {2, 1}},
                .xattrs = {xattr("user.mime", "text/plain"), xattr("trusted.x", "a"),
                        xattr("user.mime", "tail")},
        };
        fill_inodes(sample->inodes);
        memcpy(sample->text, text, sizeof sample->text);
        *ret_size = offsetof(struct sample, text) + sizeof sample->text;
        sample->header.total_size = *ret_size;
        return (uint8_t *)sample;
}

/* ---- mutations that keep the parts adding up ---- */

/* The parts in their order, by where the header counts them; text follows. */
static const struct part {
        size_t count_at;
        size_t each; /* bytes of a record */
} parts[] = {
        {offsetof(struct fmt_index_header, n_inodes), sizeof(struct fmt_index_inode)},
        {offsetof(struct fmt_index_header, n_entries), sizeof(struct fmt_index_entry)},
        {offsetof(struct fmt_index_header, n_blocks), sizeof(struct fmt_index_block)},
        {offsetof(struct fmt_index_header, n_fragments), sizeof(struct fmt_index_block)},
        {offsetof(struct fmt_index_header, n_xattr_sets), sizeof(struct fmt_index_xattr_set)},
        {offsetof(struct fmt_index_header, n_xattrs), sizeof(struct fmt_index_xattr)},
};
#define N_PARTS (sizeof parts / sizeof *parts)

static uint32_t get(const uint8_t *data, size_t at)
{
        uint32_t value;
        memcpy(&value, data + at, sizeof value);
        return value;
}

static void set(uint8_t *data, size_t at, uint32_t value)
{
        memcpy(data + at, &value, sizeof value);
}

/* Where part NUMBER begins (N_PARTS: the text); SIZE if that is behind the end. */
static size_t part_at(const uint8_t *data, size_t size, size_t number)
{
        uint64_t at = sizeof(struct fmt_index_header);

        for (size_t i = 0; i < number; i++)
                at += (uint64_t)get(data, parts[i].count_at) * parts[i].each;
        return at < size ? (size_t)at : size;
}

/* The header says what is there, as the first of all checks demands. */
static void repair_header(uint8_t *data, size_t size)
{
        struct fmt_index_header header;

        memcpy(&header, data, sizeof header);
        memcpy(header.magic, FMT_INDEX_MAGIC, sizeof header.magic);
        header.total_size = size;
        header.text_size = size - part_at(data, size, N_PARTS);
        if (header.image_size > IMAGE_SIZE)
                header.image_size = IMAGE_SIZE;
        memcpy(data, &header, sizeof header);
}

/* A field of a record gets a number near its own, or one that another field has. */
static void change_field(uint8_t *data, size_t size, uint64_t *random)
{
        const size_t number = unit_random(random) % (N_PARTS + 1);
        const size_t start = number == N_PARTS ? 0 : part_at(data, size, number);
        const size_t end = number == N_PARTS ? sizeof(struct fmt_index_header)
                                             : part_at(data, size, number + 1);

        if (end - start < 4)
                return;
        const size_t at = start + unit_random(random) % ((end - start) / 4) * 4;
        if (unit_random(random) % 2)
                set(data, at, fuzz_mutate_number(get(data, at), random));
        else
                set(data, at, get(data, unit_random(random) % (size / 4) * 4));
}

/* A record is there twice, or not at all. */
static size_t change_count(uint8_t *data, size_t size, size_t capacity, uint64_t *random)
{
        const struct part *part = &parts[unit_random(random) % N_PARTS];
        const size_t start = part_at(data, size, (size_t)(part - parts));
        const size_t n = (part_at(data, size, (size_t)(part - parts) + 1) - start) / part->each;
        const bool more = unit_random(random) % 3 != 0;

        if (n == 0 || (more && size + part->each > capacity))
                return size;
        const size_t at = start + unit_random(random) % n * part->each;
        set(data, part->count_at, get(data, part->count_at) + (more ? 1 : UINT32_MAX));
        if (more) {
                memmove(data + at + part->each, data + at, size - at);
                return size + part->each;
        }
        memmove(data + at, data + at + part->each, size - at - part->each);
        return size - part->each;
}

static void change_text(uint8_t *data, size_t size, uint64_t *random)
{
        const size_t start = part_at(data, size, N_PARTS);

        if (start < size)
                data[start + unit_random(random) % (size - start)] =
                        (uint8_t) "\0/.ab.\377"[unit_random(random) % 8];
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t capacity, uint64_t *random)
{
        if (size < sizeof(struct fmt_index_header))
                return fuzz_mutate_bytes(data, size, random);
        for (uint64_t n = 1 + unit_random(random) % 3; n > 0; n--) {
                switch (unit_random(random) % 8) {
                case 0:
                        change_text(data, size, random);
                        break;
                case 1:
                case 2:
                        size = change_count(data, size, capacity, random);
                        break;
                default:
                        change_field(data, size, random);
                }
        }
        if (unit_random(random) % 16)
                repair_header(data, size);
        return size;
}
