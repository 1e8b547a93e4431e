/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: bench-decompress IMAGE
 *
 * Reads and decompresses every compressed block of IMAGE once, in the order of the image, on one
 * thread and into one buffer: what nobody who serves all of the image can do without. Prints
 * "USER_NANOSECONDS SYSTEM_NANOSECONDS BLOCKS BYTES", the bytes after decompression.
 */
#include "fmt_decompress.h"
#include "fmt_squashfs_image.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t nanoseconds(const struct timeval *time)
{
        return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_usec * 1000u;
}

static int by_position(const void *a, const void *b)
{
        const struct fmt_index_block *x = a, *y = b;
        return (x->position > y->position) - (x->position < y->position);
}

/* The compressed blocks and fragments, each once; files that are equal may share blocks. */
static struct fmt_index_block *compressed_blocks(const struct fmt_index *index, size_t *ret_count)
{
        const uint32_t n_blocks = index->header->n_blocks, n_fragments = index->header->n_fragments;
        struct fmt_index_block *all = calloc((size_t)n_blocks + n_fragments + 1, sizeof *all);
        size_t count = 0, unique = 0;
        if (all == NULL)
                return NULL;
        for (uint32_t i = 0; i < n_blocks; i++)
                if (index->blocks[i].stored > 0 && !index->blocks[i].raw)
                        all[count++] = index->blocks[i];
        for (uint32_t i = 0; i < n_fragments; i++)
                if (!index->fragments[i].raw)
                        all[count++] = index->fragments[i];
        qsort(all, count, sizeof *all, by_position);
        for (size_t i = 0; i < count; i++)
                if (unique == 0 || all[i].position != all[unique - 1].position)
                        all[unique++] = all[i];
        *ret_count = unique;
        return all;
}

static int decompress_all(const struct fmt_squashfs *image, const struct fmt_index_block *blocks,
        size_t count, uint64_t *ret_bytes)
{
        const struct fmt_index_header *header = image->index.header;
        char *stored = malloc(header->block_size), *out = malloc(header->block_size);
        int error = stored == NULL || out == NULL ? -1 : 0;
        *ret_bytes = 0;
        for (size_t i = 0; i < count && error == 0; i++) {
                size_t size = 0;
                ssize_t got = pread(image->fd, stored, blocks[i].stored,
                        (off_t)(image->offset + blocks[i].position));
                if (got != (ssize_t)blocks[i].stored)
                        error = -1;
                else
                        error = fmt_decompress(header->compressor, stored, blocks[i].stored, out,
                                header->block_size, &size);
                *ret_bytes += size;
        }
        free(stored);
        free(out);
        return error;
}

int main(int argc, char **argv)
{
        struct fmt_squashfs *image;
        struct rusage before, after;
        uint64_t bytes;
        size_t count = 0;
        if (argc != 2) {
                fprintf(stderr, "usage: bench-decompress IMAGE\n");
                return 2;
        }
        if (fmt_squashfs_open(argv[1], &(struct fmt_squashfs_options){0}, &image) < 0)
                return 1;
        struct fmt_index_block *blocks = compressed_blocks(&image->index, &count);
        getrusage(RUSAGE_SELF, &before);
        if (blocks == NULL || decompress_all(image, blocks, count, &bytes) < 0) {
                fprintf(stderr, "bench-decompress: %s: a block cannot be read and decompressed\n",
                        argv[1]);
                return 1;
        }
        getrusage(RUSAGE_SELF, &after);
        printf("%" PRIu64 " %" PRIu64 " %zu %" PRIu64 "\n",
                nanoseconds(&after.ru_utime) - nanoseconds(&before.ru_utime),
                nanoseconds(&after.ru_stime) - nanoseconds(&before.ru_stime), count, bytes);
        free(blocks);
        fmt_squashfs_free(image);
        return 0;
}
