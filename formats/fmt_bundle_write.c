/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_bundle_layout.h"
#include "fmt_bundle_train.h"
#include "fmt_cleanup.h"
#include "fmt_whole.h"

#include <pthread.h>
#include <search.h>
#include <stdatomic.h>
#include <zstd.h>
#include <zstd_errors.h>

struct blob {
        struct fmt_digest digest;
        enum fmt_blob_kind kind;
        void *raw;
        size_t raw_size;
        void *stored;
        size_t stored_size;
        uint64_t offset;
};

struct fmt_bundle_writer {
        int level;
        size_t dictionary_size; /* wanted; 0: none */
        void *tree;             /* tsearch: finds a blob by digest */
        struct blob **blobs;
        size_t count;
        size_t allocated;
        struct blob *dictionary; /* one of blobs, once it has been trained */
};

int fmt_bundle_writer_new(int level, struct fmt_bundle_writer **ret)
{
        if (level < 1 || level > ZSTD_maxCLevel())
                return -EINVAL;
        struct fmt_bundle_writer *writer = calloc(1, sizeof *writer);
        if (!writer)
                return -ENOMEM;
        writer->level = level;
        *ret = writer;
        return 0;
}

static void keep(void *node)
{
        (void)node; /* the tree only points at what `blobs` owns */
}

void fmt_bundle_writer_free(struct fmt_bundle_writer *writer)
{
        if (!writer)
                return;
        tdestroy(writer->tree, keep);
        for (size_t i = 0; i < writer->count; i++) {
                free(writer->blobs[i]->raw);
                free(writer->blobs[i]->stored);
                free(writer->blobs[i]);
        }
        free(writer->blobs);
        free(writer);
}

static int by_digest(const void *a, const void *b)
{
        return fmt_digest_compare(
                &((const struct blob *)a)->digest, &((const struct blob *)b)->digest);
}

static int make_room(struct fmt_bundle_writer *writer)
{
        if (writer->count < writer->allocated)
                return 0;
        if (writer->count >= BUNDLE_MAX_COUNT)
                return -EFBIG;
        size_t wanted = writer->allocated ? writer->allocated * 2 : 64;
        struct blob **grown = realloc(writer->blobs, wanted * sizeof(struct blob *));
        if (!grown)
                return -ENOMEM;
        writer->blobs = grown;
        writer->allocated = wanted;
        return 0;
}

static int insert(struct fmt_bundle_writer *writer, struct blob *blob, const void *data)
{
        int r = make_room(writer);

        if (r < 0)
                return r;
        blob->raw = malloc(blob->raw_size + 1);
        if (!blob->raw)
                return -ENOMEM;
        if (blob->raw_size > 0)
                memcpy(blob->raw, data, blob->raw_size);
        if (!tsearch(blob, &writer->tree, by_digest))
                return -ENOMEM;
        writer->blobs[writer->count++] = blob;
        return 0;
}

int fmt_bundle_add(struct fmt_bundle_writer *writer, enum fmt_blob_kind kind, const void *data,
        size_t size, struct fmt_digest *ret_digest)
{
        struct blob wanted = {.kind = kind, .raw_size = size};

        if (kind < FMT_BLOB_MANIFEST || kind > FMT_BLOB_LAST)
                return -EINVAL;
        if (size > bundle_max_raw(kind))
                return -EFBIG;
        int r = fmt_digest_of(data, size, &wanted.digest);
        if (r < 0)
                return r;
        struct blob **found = tfind(&wanted, &writer->tree, by_digest);
        if (found) {
                /* The kind must not depend on who came first. */
                if (kind < (*found)->kind)
                        (*found)->kind = kind;
        } else {
                struct blob *blob = malloc(sizeof *blob);
                if (!blob)
                        return -ENOMEM;
                *blob = wanted;
                r = insert(writer, blob, data);
                if (r < 0) {
                        free(blob->raw);
                        free(blob);
                        return r;
                }
        }
        if (ret_digest)
                *ret_digest = wanted.digest;
        return 0;
}

void fmt_bundle_want_dictionary(struct fmt_bundle_writer *writer, size_t size)
{
        writer->dictionary_size = size < BUNDLE_MAX_DICTIONARY ? size : BUNDLE_MAX_DICTIONARY;
}

static int compare_blobs(const void *a, const void *b)
{
        return by_digest(*(struct blob *const *)a, *(struct blob *const *)b);
}

static void sort_by_digest(struct fmt_bundle_writer *writer)
{
        qsort(writer->blobs, writer->count, sizeof(struct blob *), compare_blobs);
}

/* Blobs are sorted: the samples, and so the dictionary, do not depend on the order of adding. */
static int train_dictionary(struct fmt_bundle_writer *writer)
{
        _cleanup_free_ void *dictionary = NULL;
        size_t size;
        struct fmt_digest digest;
        size_t n = 0;

        if (writer->dictionary_size == 0 || writer->dictionary)
                return 0;
        _cleanup_free_ struct fmt_train_sample *samples =
                malloc((writer->count + 1) * sizeof *samples);
        if (!samples)
                return -ENOMEM;
        for (size_t i = 0; i < writer->count; i++)
                if (writer->blobs[i]->kind == FMT_BLOB_MODULE)
                        samples[n++] = (struct fmt_train_sample){
                                .data = writer->blobs[i]->raw, .size = writer->blobs[i]->raw_size};
        int r = fmt_bundle_train(samples, n, writer->dictionary_size, &dictionary, &size);
        if (r < 0)
                return r == -ENODATA ? 0 : r;
        r = fmt_bundle_add(writer, FMT_BLOB_DICTIONARY, dictionary, size, &digest);
        if (r < 0)
                return r;
        for (size_t i = 0; i < writer->count; i++)
                if (writer->blobs[i]->kind == FMT_BLOB_DICTIONARY)
                        writer->dictionary = writer->blobs[i];
        sort_by_digest(writer);
        return 0;
}

/* ---- compression, by several threads that each take the next blob ---- */

struct compression {
        struct fmt_bundle_writer *writer;
        ZSTD_CDict *dictionary; /* digested once, shared by all */
        atomic_size_t next;
        atomic_int error;
};

static int compress_blob(ZSTD_CCtx *context, const ZSTD_CDict *dictionary, struct blob *blob)
{
        size_t bound = ZSTD_compressBound(blob->raw_size);

        free(blob->stored);
        blob->stored = malloc(bound);
        if (!blob->stored || ZSTD_isError(ZSTD_CCtx_refCDict(context, dictionary)))
                return -ENOMEM;
        size_t size = ZSTD_compress2(context, blob->stored, bound, blob->raw, blob->raw_size);
        if (ZSTD_isError(size))
                return ZSTD_getErrorCode(size) == ZSTD_error_memory_allocation ? -ENOMEM : -EIO;
        blob->stored_size = size;
        void *fitted = realloc(blob->stored, size);
        if (fitted)
                blob->stored = fitted;
        return 0;
}

static void *compress_some(void *argument)
{
        struct compression *all = argument;
        struct fmt_bundle_writer *writer = all->writer;
        ZSTD_CCtx *context = ZSTD_createCCtx();
        int r = context ? 0 : -ENOMEM;

        if (r == 0 && ZSTD_isError(ZSTD_CCtx_setParameter(
                              context, ZSTD_c_compressionLevel, writer->level)))
                r = -EINVAL;
        while (r == 0 && atomic_load(&all->error) == 0) {
                size_t i = atomic_fetch_add(&all->next, 1);
                if (i >= writer->count)
                        break;
                struct blob *blob = writer->blobs[i];
                r = compress_blob(
                        context, blob == writer->dictionary ? NULL : all->dictionary, blob);
        }
        if (r < 0)
                atomic_store(&all->error, r);
        ZSTD_freeCCtx(context);
        return NULL;
}

static int compress_all(struct fmt_bundle_writer *writer, unsigned threads)
{
        struct compression all = {.writer = writer};
        unsigned started = 0;

        if (writer->dictionary) {
                all.dictionary = ZSTD_createCDict(
                        writer->dictionary->raw, writer->dictionary->raw_size, writer->level);
                if (!all.dictionary)
                        return -ENOMEM;
        }
        if (threads > writer->count)
                threads = (unsigned)writer->count;
        _cleanup_free_ pthread_t *ids = calloc(threads + 1, sizeof *ids);
        if (!ids)
                atomic_store(&all.error, -ENOMEM);
        /* This thread works too; where no other can be started it works alone. */
        while (ids && started + 1 < threads &&
                pthread_create(&ids[started], NULL, compress_some, &all) == 0)
                started++;
        compress_some(&all);
        while (started > 0)
                pthread_join(ids[--started], NULL);
        ZSTD_freeCDict(all.dictionary);
        return atomic_load(&all.error);
}

/* ---- output ---- */

/* Gives every frame its place: by kind, then by digest. Returns where the frames end. */
static uint64_t place_frames(struct fmt_bundle_writer *writer)
{
        uint64_t offset = HEADER_SIZE;

        for (int kind = FMT_BLOB_MANIFEST; kind <= FMT_BLOB_LAST; kind++)
                for (size_t i = 0; i < writer->count; i++)
                        if ((int)writer->blobs[i]->kind == kind) {
                                writer->blobs[i]->offset = offset;
                                offset += writer->blobs[i]->stored_size;
                        }
        return offset;
}

static int write_frames(const struct fmt_bundle_writer *writer, int fd)
{
        for (int kind = FMT_BLOB_MANIFEST; kind <= FMT_BLOB_LAST; kind++)
                for (size_t i = 0; i < writer->count; i++) {
                        const struct blob *blob = writer->blobs[i];
                        if ((int)blob->kind != kind)
                                continue;
                        int r = fmt_write_whole(fd, blob->stored, blob->stored_size);
                        if (r < 0)
                                return r;
                }
        return 0;
}

static void fill_table(const struct fmt_bundle_writer *writer, uint8_t *table)
{
        for (size_t i = 0; i < writer->count; i++) {
                const struct blob *blob = writer->blobs[i];
                uint8_t *entry = table + i * ENTRY_SIZE;
                memcpy(entry + ENTRY_DIGEST, blob->digest.bytes, FMT_DIGEST_SIZE);
                bundle_put_u64(entry + ENTRY_OFFSET, blob->offset);
                bundle_put_u64(entry + ENTRY_STORED_SIZE, blob->stored_size);
                bundle_put_u64(entry + ENTRY_RAW_SIZE, blob->raw_size);
                entry[ENTRY_KIND] = (uint8_t)blob->kind;
        }
}

static int fill_header(const struct fmt_bundle_writer *writer, const struct fmt_digest *root,
        uint64_t table_offset, const uint8_t *table, uint8_t *header)
{
        size_t table_size = writer->count * ENTRY_SIZE;
        uint32_t dictionary = 0;
        uint64_t check[2];

        for (size_t i = 0; i < writer->count; i++)
                if (writer->blobs[i] == writer->dictionary)
                        dictionary = (uint32_t)i + 1;
        memset(header, 0, HEADER_SIZE);
        memcpy(header, BUNDLE_MAGIC, strlen(BUNDLE_MAGIC));
        bundle_put_u32(header + HEADER_VERSION, BUNDLE_VERSION);
        bundle_put_u32(header + HEADER_COUNT, (uint32_t)writer->count);
        bundle_put_u32(header + HEADER_DICTIONARY, dictionary);
        bundle_put_u64(header + HEADER_TABLE_OFFSET, table_offset);
        bundle_put_u64(header + HEADER_TOTAL_SIZE, table_offset + table_size);
        memcpy(header + HEADER_ROOT, root->bytes, FMT_DIGEST_SIZE);
        int r = bundle_check_value(header, table, table_size, check);
        if (r < 0)
                return r;
        bundle_put_u64(header + HEADER_XXH3_LOW, check[0]);
        bundle_put_u64(header + HEADER_XXH3_HIGH, check[1]);
        return 0;
}

static int write_compressed(
        struct fmt_bundle_writer *writer, const struct fmt_digest *root, int fd, uint64_t *ret_size)
{
        uint8_t header[HEADER_SIZE];
        size_t table_size = writer->count * ENTRY_SIZE;
        uint64_t table_offset = place_frames(writer);

        _cleanup_free_ uint8_t *table = calloc(writer->count, ENTRY_SIZE);
        if (!table)
                return -ENOMEM;
        fill_table(writer, table);
        int r = fill_header(writer, root, table_offset, table, header);
        if (r < 0)
                return r;
        if ((r = fmt_write_whole(fd, header, sizeof header)) < 0 ||
                (r = write_frames(writer, fd)) < 0 ||
                (r = fmt_write_whole(fd, table, table_size)) < 0)
                return r;
        if (ret_size)
                *ret_size = table_offset + table_size;
        return 0;
}

int fmt_bundle_write(struct fmt_bundle_writer *writer, const struct fmt_digest *root,
        unsigned threads, int fd, uint64_t *ret_size)
{
        struct blob wanted = {.digest = *root};
        struct blob **found = tfind(&wanted, &writer->tree, by_digest);

        if (!found || (*found)->kind != FMT_BLOB_MANIFEST)
                return -EINVAL;
        sort_by_digest(writer);
        int r = train_dictionary(writer);
        if (r < 0)
                return r;
        r = compress_all(writer, threads);
        if (r < 0)
                return r;
        return write_compressed(writer, root, fd, ret_size);
}
