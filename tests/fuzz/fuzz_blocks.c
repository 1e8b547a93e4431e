/* SPDX-License-Identifier: Apache-2.0 */
/* The block path: from the bytes of an image to those of a file. The input is a plan, and behind it
 * the image. The plan is made into an index that is valid but may say anything about where blocks
 * lie and how large they are, and into reads of the one file in it. Each read must give what the
 * blocks hold by themselves, or EIO exactly where one of them is damaged or too short. */
#include "fmt_cleanup.h"
#include "fmt_decompress.h"
#include "fmt_squashfs_image.h"
#include "fuzz.h"
#include "fuzz_blocks_seed.h"
#include "fuzz_mutate.h"
#include "index_use.h"
#include "unit_check.h"

#include <string.h>
#include <sys/mman.h>

#define FRAGMENT PLAN_BLOCKS
#define FILE_INODE 2
#define MOST_BLOCK_SIZE (1 << 20)

/* What an indexer would have written about the plan's image. */
struct sample {
        struct fmt_index_header header;
        struct fmt_index_inode inodes[2];
        struct fmt_index_entry entry;
        struct fmt_index_block blocks[PLAN_BLOCKS + 1]; /* the last one is the fragment */
        char text[8];
};

/* What each of the blocks holds by itself. */
struct expected {
        char data[MOST_BLOCK_SIZE];
        size_t size;
        bool damaged;
};

struct trial {
        struct plan plan;
        const uint8_t *image; /* what is behind the plan */
        size_t image_size;
        struct sample sample;
        struct expected expected[PLAN_BLOCKS + 1];
        bool certain; /* no two blocks are one to the cache, which knows them by their position */
};

static int image_file(const uint8_t *data, size_t size)
{
        static int fd = -1;

        if (fd < 0)
                fd = memfd_create("image", MFD_CLOEXEC);
        MUST(fd >= 0 && ftruncate(fd, 0) == 0);
        MUST(pwrite(fd, data, size, 0) == (ssize_t)size);
        return fd;
}

/* ---- the index ---- */

static void place_blocks(struct trial *trial, uint32_t block_size)
{
        for (size_t i = 0; i <= FRAGMENT; i++) {
                const struct plan_block *from = &trial->plan.blocks[i];
                struct fmt_index_block *to = &trial->sample.blocks[i];
                to->position = from->position % (trial->image_size + 1);
                to->stored = from->stored;
                if (to->stored > trial->image_size - to->position)
                        to->stored = (uint32_t)(trial->image_size - to->position);
                if (to->stored > block_size)
                        to->stored = block_size;
                to->raw = from->kind % 4 == PLAN_RAW;
                if (from->kind % 4 == PLAN_HOLE && i != FRAGMENT)
                        to->stored = 0;
        }
        trial->certain = true;
        for (size_t i = 0; i <= FRAGMENT; i++)
                for (size_t j = 0; j < i; j++)
                        if (trial->sample.blocks[i].position == trial->sample.blocks[j].position)
                                trial->certain = false;
}

static void make_index(struct trial *trial)
{
        /* Mostly small, for speed. */
        static const uint32_t block_sizes[] = {4096, 4096, 4096, 8192, 4096, 4096, 65536, 1 << 20};
        const struct plan *plan = &trial->plan;
        const uint32_t block_size = block_sizes[plan->block_size % 8];
        const uint32_t n = plan->n_blocks % (PLAN_BLOCKS + 1);
        const uint32_t tail = plan->tail % block_size;
        struct fmt_index_inode *file = &trial->sample.inodes[FILE_INODE - 1];

        trial->sample = (struct sample){
                .header = {.magic = FMT_INDEX_MAGIC,
                        .total_size = sizeof trial->sample,
                        .image_size = trial->image_size,
                        .text_size = sizeof trial->sample.text,
                        .block_size = block_size,
                        .compressor = plan->compressor % FMT_COMPRESSOR_ZSTD + 1,
                        .n_inodes = 2,
                        .n_entries = 1,
                        .n_blocks = PLAN_BLOCKS,
                        .n_fragments = 1},
                .inodes[0] = {.mode = S_IFDIR | 0755, .parent = 1, .count = 1},
                .inodes[1] = {.mode = S_IFREG | 0644, .count = n},
                .entry = {.name_size = 4, .inode = FILE_INODE},
                .text = "file",
        };
        trial->sample.inodes[0].xattr_set = FMT_INDEX_NONE;
        file->xattr_set = FMT_INDEX_NONE;
        file->fragment = FMT_INDEX_NONE;
        file->size = (uint64_t)n * block_size;
        if (tail > 0 && (n == 0 || plan->flags & PLAN_TAIL_IN_FRAGMENT)) {
                file->fragment = 0;
                file->fragment_offset = plan->fragment_offset % (block_size - tail + 1);
                file->size += tail;
        } else if (tail > 0) {
                file->size -= block_size - tail;
        }
        place_blocks(trial, block_size);
}

/* ---- what must come out ---- */

/* Decompresses twice, over different bytes: nothing of what was in the buffer before may count as
 * data. */
static void decompress(const struct trial *trial, size_t number, struct expected *ret)
{
        const struct fmt_index_header *header = &trial->sample.header;
        const struct fmt_index_block *block = &trial->sample.blocks[number];
        const uint8_t *stored = trial->image + block->position;
        static char again[MOST_BLOCK_SIZE];
        size_t size;

        memset(ret->data, 0x55, header->block_size);
        memset(again, 0xaa, header->block_size);
        int r = fmt_decompress(header->compressor, stored, block->stored, ret->data,
                header->block_size, &ret->size);
        MUST(r == 0 || r == -EBADMSG);
        MUST(fmt_decompress(header->compressor, stored, block->stored, again, header->block_size,
                     &size) == r);
        ret->damaged = r < 0;
        if (r < 0)
                return;
        MUST(size == ret->size && size <= header->block_size);
        MUST(memcmp(ret->data, again, size) == 0);
}

static void expect(struct trial *trial)
{
        const uint32_t block_size = trial->sample.header.block_size;

        for (size_t i = 0; i <= FRAGMENT; i++) {
                const struct fmt_index_block *block = &trial->sample.blocks[i];
                struct expected *expected = &trial->expected[i];
                expected->damaged = false;
                if (block->stored == 0 && i != FRAGMENT) {
                        expected->size = block_size;
                        memset(expected->data, 0, block_size);
                } else if (block->raw) {
                        expected->size = block->stored;
                        memcpy(expected->data, trial->image + block->position, block->stored);
                } else {
                        decompress(trial, i, expected);
                }
        }
}

/* True if bytes [OFFSET, OFFSET + SIZE) of the file can be had; then they are in RET. */
static bool expected_range(const struct trial *trial, uint64_t offset, size_t size, char *ret)
{
        const struct fmt_index_inode *file = &trial->sample.inodes[FILE_INODE - 1];
        const uint32_t block_size = trial->sample.header.block_size;

        while (size > 0) {
                const uint64_t number = offset / block_size;
                const bool in_fragment = number >= file->count;
                const struct expected *block = &trial->expected[in_fragment ? FRAGMENT : number];
                uint64_t skip = offset % block_size;
                const size_t now = size < block_size - skip ? size : (size_t)(block_size - skip);
                if (in_fragment)
                        skip += file->fragment_offset;
                if (block->damaged || skip + now > block->size)
                        return false;
                memcpy(ret, block->data + skip, now);
                ret += now;
                offset += now;
                size -= now;
        }
        return true;
}

static bool ask(const struct trial *trial, struct fmt_squashfs *image, const struct plan_ask *ask)
{
        static char seen[FMT_VIEW_MAX];
        static char wanted[FMT_VIEW_MAX];
        const uint64_t file_size = trial->sample.inodes[FILE_INODE - 1].size;
        const uint64_t offset = ask->offset % (file_size + 1);
        size_t size = ask->size;

        /* Of all sizes, large ones are those where one view holds many blocks. */
        if (size % 4 == 0)
                size *= 16;
        size = size < sizeof seen ? size : sizeof seen;
        ssize_t n = index_read(image, FILE_INODE, seen, size, offset);
        if (!trial->certain)
                return n >= 0;
        size = size < file_size - offset ? size : (size_t)(file_size - offset);
        const bool there = expected_range(trial, offset, size, wanted);
        MUST((n >= 0) == there);
        MUST(n < 0 || memcmp(seen, wanted, (size_t)n) == 0);
        return n >= 0;
}

bool fuzz_accepts(const uint8_t *data, size_t size)
{
        static struct trial trials; /* fresh memory would take most of the time */
        struct trial *trial = &trials;
        const char *why;
        bool fine = true;

        if (size < sizeof trial->plan)
                return false;
        memcpy(&trial->plan, data, sizeof trial->plan);
        trial->image = data + sizeof trial->plan;
        trial->image_size = size - sizeof trial->plan;
        make_index(trial);
        expect(trial);
        /* The smallest cache, or one that is large enough for reading ahead; which takes a while to
         * make for small blocks. */
        const uint64_t cache_size =
                trial->plan.flags & PLAN_READ_AHEAD && trial->sample.header.block_size > 8192
                        ? UINT64_C(64) << 20
                        : 1;
        int fd = image_file(trial->image, trial->image_size);
        struct fmt_squashfs *image = index_open(
                &trial->sample, sizeof trial->sample, fd, trial->image_size, cache_size, &why);
        MUST(image);
        for (size_t i = 0; i < PLAN_ASKS; i++)
                fine = ask(trial, image, &trial->plan.asks[i]) && fine;
        /* The file is written over while it is mounted: what is gone is EIO, and nothing else. */
        if (trial->plan.flags & PLAN_CUT_LATER) {
                MUST(ftruncate(fd, (off_t)trial->image_size / 2) == 0);
                trial->certain = false;
                for (size_t i = 0; i < PLAN_ASKS; i++)
                        fine = ask(trial, image, &trial->plan.asks[i]) && fine;
        }
        fmt_squashfs_free(image);
        return fine;
}

/* ---- mutations ---- */

size_t fuzz_mutate(uint8_t *data, size_t size, size_t capacity, uint64_t *random)
{
        struct plan plan;

        (void)capacity;
        if (size <= sizeof plan || unit_random(random) % 4 == 0)
                return fuzz_mutate_bytes(data, size, random);
        memcpy(&plan, data, sizeof plan);
        struct plan_block *block = &plan.blocks[unit_random(random) % (PLAN_BLOCKS + 1)];
        struct plan_ask *ask = &plan.asks[unit_random(random) % PLAN_ASKS];
        switch (unit_random(random) % 8) {
        case 0:
                block->position = (uint16_t)fuzz_mutate_number(block->position, random);
                break;
        case 1:
                block->stored = (uint16_t)fuzz_mutate_number(block->stored, random);
                break;
        case 2:
                *block = plan.blocks[unit_random(random) % (PLAN_BLOCKS + 1)];
                break;
        case 3:
                ask->offset = fuzz_mutate_number(ask->offset, random);
                break;
        case 4:
                ask->size = fuzz_mutate_number(ask->size, random);
                break;
        case 5:
                plan.tail = (uint16_t)fuzz_mutate_number(plan.tail, random);
                break;
        default: {
                /* A byte of what is compressed: most of them keep some of it decompressing. */
                const size_t at = sizeof plan + unit_random(random) % (size - sizeof plan);
                data[at] = (uint8_t)fuzz_mutate_number(data[at], random);
                return size;
        }
        }
        memcpy(data, &plan, sizeof plan);
        return size;
}
