/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_decompress.h"

#include <errno.h>
#include <lz4.h>
#include <lzma.h>
#include <lzo/lzo1x.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

/* Blocks have at most 1 MiB, so no dictionary is larger than xz's own smallest preset needs;
 * a block that asks for more memory than this is not one of mksquashfs's. */
#define XZ_MEMORY_LIMIT (UINT64_C(32) << 20)

static const char *const names[] = {
        [FMT_COMPRESSOR_GZIP] = "gzip",
        [FMT_COMPRESSOR_LZMA] = "lzma",
        [FMT_COMPRESSOR_LZO] = "lzo",
        [FMT_COMPRESSOR_XZ] = "xz",
        [FMT_COMPRESSOR_LZ4] = "lz4",
        [FMT_COMPRESSOR_ZSTD] = "zstd",
};

bool fmt_compressor_known(unsigned compressor)
{
        return compressor >= FMT_COMPRESSOR_GZIP && compressor <= FMT_COMPRESSOR_ZSTD;
}

const char *fmt_compressor_name(unsigned compressor)
{
        return fmt_compressor_known(compressor) ? names[compressor] : "unknown";
}

static int from_gzip(const void *in, size_t in_size, void *out, size_t capacity, size_t *ret_size)
{
        z_stream stream = {
                .next_in = (void *)(uintptr_t)in,
                .avail_in = (uInt)in_size,
                .next_out = out,
                .avail_out = (uInt)capacity,
        };
        if (inflateInit(&stream) != Z_OK)
                return -ENOMEM;
        int result = inflate(&stream, Z_FINISH);
        *ret_size = stream.total_out;
        inflateEnd(&stream);
        return result == Z_STREAM_END ? 0 : result == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

static int from_xz(const void *in, size_t in_size, void *out, size_t capacity, size_t *ret_size)
{
        uint64_t memory_limit = XZ_MEMORY_LIMIT;
        size_t in_at = 0, out_at = 0;
        lzma_ret result = lzma_stream_buffer_decode(
                &memory_limit, 0, NULL, in, &in_at, in_size, out, &out_at, capacity);
        *ret_size = out_at;
        return result == LZMA_OK ? 0 : result == LZMA_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

static int from_lzma(const void *in, size_t in_size, void *out, size_t capacity, size_t *ret_size)
{
        lzma_stream stream = LZMA_STREAM_INIT;
        if (lzma_alone_decoder(&stream, XZ_MEMORY_LIMIT) != LZMA_OK)
                return -ENOMEM;
        stream.next_in = in;
        stream.avail_in = in_size;
        stream.next_out = out;
        stream.avail_out = capacity;
        lzma_ret result = lzma_code(&stream, LZMA_FINISH);
        *ret_size = stream.total_out;
        lzma_end(&stream);
        return result == LZMA_STREAM_END ? 0 : result == LZMA_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

static int from_lzo(const void *in, size_t in_size, void *out, size_t capacity, size_t *ret_size)
{
        lzo_uint size = capacity;
        int result = lzo1x_decompress_safe(in, in_size, out, &size, NULL);
        *ret_size = size;
        return result == LZO_E_OK ? 0 : -EBADMSG;
}

static int from_lz4(const void *in, size_t in_size, void *out, size_t capacity, size_t *ret_size)
{
        int size = LZ4_decompress_safe(in, out, (int)in_size, (int)capacity);
        if (size < 0)
                return -EBADMSG;
        *ret_size = (size_t)size;
        return 0;
}

static pthread_key_t zstd_key;

static void free_zstd_context(void *context)
{
        ZSTD_freeDCtx(context);
}

static void make_zstd_key(void)
{
        if (pthread_key_create(&zstd_key, free_zstd_context) != 0)
                zstd_key = (pthread_key_t)-1;
}

/* Making a context costs more than decompressing a small block with it. */
static ZSTD_DCtx *zstd_context(void)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, make_zstd_key);
        ZSTD_DCtx *context = pthread_getspecific(zstd_key);
        if (context == NULL) {
                context = ZSTD_createDCtx();
                if (context != NULL && pthread_setspecific(zstd_key, context) != 0) {
                        ZSTD_freeDCtx(context);
                        context = NULL;
                }
        }
        return context;
}

static int from_zstd(const void *in, size_t in_size, void *out, size_t capacity, size_t *ret_size)
{
        ZSTD_DCtx *context = zstd_context();
        if (context == NULL)
                return -ENOMEM;
        size_t size = ZSTD_decompressDCtx(context, out, capacity, in, in_size);
        if (ZSTD_isError(size))
                return -EBADMSG;
        *ret_size = size;
        return 0;
}

int fmt_decompress(unsigned compressor, const void *in, size_t in_size, void *out, size_t capacity,
        size_t *ret_size)
{
        if (in_size > INT32_MAX || capacity > INT32_MAX)
                return -EBADMSG;
        switch (compressor) {
        case FMT_COMPRESSOR_GZIP:
                return from_gzip(in, in_size, out, capacity, ret_size);
        case FMT_COMPRESSOR_LZMA:
                return from_lzma(in, in_size, out, capacity, ret_size);
        case FMT_COMPRESSOR_LZO:
                return from_lzo(in, in_size, out, capacity, ret_size);
        case FMT_COMPRESSOR_XZ:
                return from_xz(in, in_size, out, capacity, ret_size);
        case FMT_COMPRESSOR_LZ4:
                return from_lz4(in, in_size, out, capacity, ret_size);
        case FMT_COMPRESSOR_ZSTD:
                return from_zstd(in, in_size, out, capacity, ret_size);
        default:
                return -EBADMSG;
        }
}
