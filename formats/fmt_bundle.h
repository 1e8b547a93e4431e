/* SPDX-License-Identifier: Apache-2.0 */
/* The bundle: a set of byte strings ("blobs"), each stored once under its SHA-256, with one of
 * them marked as the root. It carries bitcode modules, native objects, library stubs, linker
 * scripts and the manifests that refer to them by digest.
 *
 * It is used in two places:
 *   - the section .xaas.record of a fat ELF: the root blob is the program record (fmt_record.h);
 *   - the file /.xaas/bundle of an image: the root blob is the image manifest (fmt_manifest.h),
 *     which names program records, which name modules. The root's digest therefore covers
 *     everything that can be compiled out of the image.
 *
 *     bundle  := header frame* table
 *     header  := "XAASBNDL" version:u32 flags:u32 count:u32 dictionary:u32
 *                table_offset:u64 total_size:u64 root[32] xxh3_low:u64 xxh3_high:u64
 *     frame   := one zstd frame (independent of all others but for the dictionary)
 *     table   := entry[count], sorted by digest, ascending, no two equal
 *     entry   := digest[32] offset:u64 stored_size:u64 raw_size:u64 kind:u8 zero[7]
 *
 * All integers are little-endian; offsets count from the header's first byte. The header has 88
 * bytes, an entry 64, and the table ends where the bundle ends. XXH3-128 (seed 0) is taken over
 * the 72 bytes of the header before it, followed by the table. `dictionary` is 0, or 1 + the
 * table index of the blob that holds the zstd dictionary every other frame was compressed with
 * (the dictionary's own frame uses none). Each frame states its content size.
 *
 * Limits: version 1; flags 0; count 1 to 2^20; raw_size <= 2^31 (manifests: 64 MiB, dictionary:
 * 16 MiB, profiles: 256 MiB). A reader checks header, XXH3, table order and bounds when it opens, and the SHA-256
 * of every blob when it reads it: a blob is what its name says or it is not returned.
 *
 * A writer puts frames in the order of (kind, digest): manifests lie together, right behind the
 * header, and the same blobs give the same bytes. */
#ifndef FMT_BUNDLE_H
#define FMT_BUNDLE_H

#include "fmt_digest.h"
#include "fmt_source.h"

#include <stdbool.h>

enum fmt_blob_kind {
        FMT_BLOB_MANIFEST = 1,   /* JSON: a program record or an image manifest */
        FMT_BLOB_MODULE = 2,     /* LLVM bitcode with a ThinLTO summary */
        FMT_BLOB_NATIVE = 3,     /* relocatable ELF object */
        FMT_BLOB_STUB = 4,       /* shared library reduced to what a linker reads */
        FMT_BLOB_TEXT = 5,       /* version script, dynamic list, export list */
        FMT_BLOB_DICTIONARY = 6, /* zstd dictionary */
        FMT_BLOB_PROFILE = 7,    /* how often a program's code ran, in LLVM's indexed form */
        FMT_BLOB_LAST = FMT_BLOB_PROFILE,
};

/* ---- writing ---- */

struct fmt_bundle_writer;

/* LEVEL is zstd's, 1 to 22. */
int fmt_bundle_writer_new(int level, struct fmt_bundle_writer **ret);
void fmt_bundle_writer_free(struct fmt_bundle_writer *writer);

/* Takes a copy of DATA; adding the same bytes again is free. ret_digest may be NULL. */
int fmt_bundle_add(struct fmt_bundle_writer *writer, enum fmt_blob_kind kind, const void *data,
        size_t size, struct fmt_digest *ret_digest);

/* Asks for a dictionary of at most SIZE bytes, trained over the modules when the bundle is
 * written (left out where training gives nothing). */
void fmt_bundle_want_dictionary(struct fmt_bundle_writer *writer, size_t size);

/* Compresses with up to THREADS threads and writes everything to FD at its current position.
 * The same blobs, level and root give the same bytes, in whatever order they were added.
 * ret_size may be NULL. 0 or a negative errno. */
int fmt_bundle_write(struct fmt_bundle_writer *writer, const struct fmt_digest *root,
        unsigned threads, int fd, uint64_t *ret_size);

/* ---- reading ---- */

struct fmt_bundle;

struct fmt_blob_info {
        struct fmt_digest digest;
        enum fmt_blob_kind kind;
        uint64_t raw_size;    /* bytes */
        uint64_t stored_size; /* bytes, compressed */
};

/* Opens a bundle. SOURCE's context must outlive it. -EBADMSG for damage, -EPROTONOSUPPORT for a
 * newer version. */
int fmt_bundle_open(struct fmt_source source, struct fmt_bundle **ret);
void fmt_bundle_free(struct fmt_bundle *bundle);

size_t fmt_bundle_count(const struct fmt_bundle *bundle);
void fmt_bundle_info(const struct fmt_bundle *bundle, size_t index, struct fmt_blob_info *ret);
void fmt_bundle_root(const struct fmt_bundle *bundle, struct fmt_digest *ret);

/* 0 and the blob's facts, or -ENOENT. Thread-safe, as is fmt_bundle_read. */
int fmt_bundle_find(const struct fmt_bundle *bundle, const struct fmt_digest *digest,
        struct fmt_blob_info *ret);

/* Reads, decompresses and verifies one blob. The caller frees *ret_data (a NUL follows the
 * data). -ENOENT, -EBADMSG where the bytes are not what the digest says, -EIO, -ENOMEM. */
int fmt_bundle_read(const struct fmt_bundle *bundle, const struct fmt_digest *digest,
        void **ret_data, size_t *ret_size);

#endif
