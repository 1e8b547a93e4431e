/* SPDX-License-Identifier: Apache-2.0 */
/* One image for each compressor, written by its own library. */
#include "fuzz_blocks_seed.h"

#include "fmt_decompress.h"
#include "fuzz.h"

#include <lz4.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define BLOCK_SIZE 4096
#define ROOM (UINT64_C(2) * BLOCK_SIZE)

static size_t to_gzip(const void *in, size_t size, void *out)
{
        uLongf used = ROOM;
        MUST(compress2(out, &used, in, size, 9) == Z_OK);
        return used;
}

static size_t to_lzma(const void *in, size_t size, void *out)
{
        lzma_stream stream = LZMA_STREAM_INIT;
        lzma_options_lzma options;
        MUST(!lzma_lzma_preset(&options, 6));
        options.dict_size = BLOCK_SIZE;
        MUST(lzma_alone_encoder(&stream, &options) == LZMA_OK);
        stream.next_in = in;
        stream.avail_in = size;
        stream.next_out = out;
        stream.avail_out = ROOM;
        MUST(lzma_code(&stream, LZMA_FINISH) == LZMA_STREAM_END);
        lzma_end(&stream);
        return stream.total_out;
}

static size_t to_lzo(const void *in, size_t size, void *out)
{
        static char work[LZO1X_1_MEM_COMPRESS];
        lzo_uint used = ROOM;
        MUST(lzo_init() == LZO_E_OK);
        MUST(lzo1x_1_compress(in, size, out, &used, work) == LZO_E_OK);
        return used;
}

static size_t to_xz(const void *in, size_t size, void *out)
{
        lzma_options_lzma options;
        const lzma_filter filters[] = {
                {.id = LZMA_FILTER_X86},
                {.id = LZMA_FILTER_LZMA2, .options = &options},
                {.id = LZMA_VLI_UNKNOWN},
        };
        size_t used = 0;
        MUST(!lzma_lzma_preset(&options, 6));
        options.dict_size = 8192;
        MUST(lzma_stream_buffer_encode((lzma_filter *)filters, LZMA_CHECK_CRC32, NULL, in, size,
                     out, &used, ROOM) == LZMA_OK);
        return used;
}

static size_t to_lz4(const void *in, size_t size, void *out)
{
        int used = LZ4_compress_default(in, out, (int)size, ROOM);
        MUST(used > 0);
        return (size_t)used;
}

static size_t to_zstd(const void *in, size_t size, void *out)
{
        size_t used = ZSTD_compress(out, ROOM, in, size, 15);
        MUST(!ZSTD_isError(used));
        return used;
}

static size_t compress_with(unsigned compressor, const void *in, size_t size, void *out)
{
        switch (compressor) {
        case FMT_COMPRESSOR_GZIP:
                return to_gzip(in, size, out);
        case FMT_COMPRESSOR_LZMA:
                return to_lzma(in, size, out);
        case FMT_COMPRESSOR_LZO:
                return to_lzo(in, size, out);
        case FMT_COMPRESSOR_XZ:
                return to_xz(in, size, out);
        case FMT_COMPRESSOR_LZ4:
                return to_lz4(in, size, out);
        default:
                return to_zstd(in, size, out);
        }
}

/* Text that compresses, but not to nothing. */
static void fill(char *block, size_t number)
{
        for (size_t at = 0; at < BLOCK_SIZE; at += 16)
                snprintf(block + at, 17, "%05zu of block %zu", at * at % 7919, number);
}

uint8_t *fuzz_seed(unsigned number, size_t *ret_size)
{
        struct plan plan = {.n_blocks = 5,
                .flags = PLAN_TAIL_IN_FRAGMENT,
                .tail = 1000,
                .fragment_offset = 96,
                .asks = {{0, 4 * BLOCK_SIZE + 1}, {4000, 200}, {3 * BLOCK_SIZE, 70000},
                        {BLOCK_SIZE, BLOCK_SIZE}, {5 * BLOCK_SIZE + 900, 100}, {17, 30001}}};
        char block[BLOCK_SIZE + 1];

        if (number >= 2 * FMT_COMPRESSOR_ZSTD)
                return NULL;
        plan.compressor = (uint8_t)(number % FMT_COMPRESSOR_ZSTD);
        if (number >= FMT_COMPRESSOR_ZSTD)
                plan.flags |= PLAN_READ_AHEAD;
        uint8_t *data = calloc(1, sizeof plan + (PLAN_BLOCKS + 1) * ROOM);
        MUST(data);
        size_t at = sizeof plan;
        for (size_t i = 0; i <= PLAN_BLOCKS; i++) {
                struct plan_block *to = &plan.blocks[i];
                to->position = (uint16_t)(at - sizeof plan);
                to->kind = i == 1 ? PLAN_RAW : i == 2 ? PLAN_HOLE : PLAN_COMPRESSED;
                fill(block, i);
                if (i == 1)
                        memcpy(data + at, block, to->stored = BLOCK_SIZE);
                else if (i != 2)
                        to->stored = (uint16_t)compress_with(
                                plan.compressor + 1U, block, BLOCK_SIZE, data + at);
                at += to->stored;
        }
        memcpy(data, &plan, sizeof plan);
        *ret_size = at;
        return data;
}
