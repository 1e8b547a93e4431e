/* SPDX-License-Identifier: Apache-2.0 */
/* Decompression of one squashfs block into a buffer whose size the caller sets.
 *
 * A thin layer over zlib, liblzma, lzo2, lz4 and zstd. Thread-safe; zstd's context is kept per
 * thread. The numbers are those of the squashfs superblock. */
#ifndef FMT_DECOMPRESS_H
#define FMT_DECOMPRESS_H

#include <stdbool.h>
#include <stddef.h>

enum fmt_compressor {
        FMT_COMPRESSOR_GZIP = 1,
        FMT_COMPRESSOR_LZMA = 2,
        FMT_COMPRESSOR_LZO = 3,
        FMT_COMPRESSOR_XZ = 4,
        FMT_COMPRESSOR_LZ4 = 5,
        FMT_COMPRESSOR_ZSTD = 6,
};

bool fmt_compressor_known(unsigned compressor);
/* "gzip", …; "unknown" for any other number. */
const char *fmt_compressor_name(unsigned compressor);

/* Writes at most CAPACITY bytes to OUT. 0 and the size in *ret_size; -EBADMSG if the input is
 * not a whole block that fits; -ENOMEM. */
int fmt_decompress(unsigned compressor, const void *in, size_t in_size, void *out, size_t capacity,
        size_t *ret_size);

#endif
