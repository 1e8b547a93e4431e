/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_bundle_layout.h"
#include "fmt_cleanup.h"

#include <xxhash.h>
#include <zstd.h>

struct fmt_bundle {
        struct fmt_source source;
        uint8_t *table; /* as stored, checked: entries are decoded when asked for */
        uint32_t count;
        uint64_t table_offset;
        struct fmt_digest root;
        ZSTD_DDict *dictionary;
        uint32_t dictionary_index; /* count where there is none */
};

int bundle_check_value(
        const uint8_t *header, const uint8_t *table, size_t table_size, uint64_t ret_check[2])
{
        XXH3_state_t *state = XXH3_createState();

        if (!state)
                return -ENOMEM;
        XXH3_128bits_reset(state);
        XXH3_128bits_update(state, header, HEADER_XXH3_LOW);
        XXH3_128bits_update(state, table, table_size);
        XXH128_hash_t hash = XXH3_128bits_digest(state);
        XXH3_freeState(state);
        ret_check[0] = hash.low64;
        ret_check[1] = hash.high64;
        return 0;
}

static const uint8_t *entry_at(const struct fmt_bundle *bundle, size_t index)
{
        return bundle->table + index * ENTRY_SIZE;
}

static void entry_info(const uint8_t *entry, struct fmt_blob_info *ret)
{
        memcpy(ret->digest.bytes, entry + ENTRY_DIGEST, FMT_DIGEST_SIZE);
        ret->kind = entry[ENTRY_KIND];
        ret->raw_size = bundle_get_u64(entry + ENTRY_RAW_SIZE);
        ret->stored_size = bundle_get_u64(entry + ENTRY_STORED_SIZE);
}

/* The table is sorted, so that a digest is found by bisection. */
static bool find_index(
        const struct fmt_bundle *bundle, const struct fmt_digest *digest, uint32_t *ret)
{
        uint32_t low = 0;
        uint32_t high = bundle->count;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;
                int order = memcmp(
                        digest->bytes, entry_at(bundle, middle) + ENTRY_DIGEST, FMT_DIGEST_SIZE);
                if (order == 0) {
                        *ret = middle;
                        return true;
                }
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return false;
}

static int check_header(struct fmt_bundle *bundle, const uint8_t *header)
{
        uint64_t size = bundle->source.size;

        if (memcmp(header, BUNDLE_MAGIC, strlen(BUNDLE_MAGIC)) != 0)
                return -EBADMSG;
        uint32_t version = bundle_get_u32(header + HEADER_VERSION);
        if (version > BUNDLE_VERSION)
                return -EPROTONOSUPPORT;
        if (version != BUNDLE_VERSION || bundle_get_u32(header + HEADER_FLAGS) != 0)
                return -EBADMSG;
        bundle->count = bundle_get_u32(header + HEADER_COUNT);
        bundle->table_offset = bundle_get_u64(header + HEADER_TABLE_OFFSET);
        if (bundle->count == 0 || bundle->count > BUNDLE_MAX_COUNT ||
                bundle_get_u64(header + HEADER_TOTAL_SIZE) != size ||
                bundle->table_offset < HEADER_SIZE || bundle->table_offset > size ||
                size - bundle->table_offset != (uint64_t)bundle->count * ENTRY_SIZE)
                return -EBADMSG;
        uint32_t dictionary = bundle_get_u32(header + HEADER_DICTIONARY);
        if (dictionary > bundle->count)
                return -EBADMSG;
        bundle->dictionary_index = dictionary ? dictionary - 1 : bundle->count;
        memcpy(bundle->root.bytes, header + HEADER_ROOT, FMT_DIGEST_SIZE);
        return 0;
}

static bool entry_is_sane(const struct fmt_bundle *bundle, uint32_t index)
{
        static const uint8_t zero[ENTRY_SIZE - ENTRY_ZERO];
        const uint8_t *entry = entry_at(bundle, index);
        uint64_t offset = bundle_get_u64(entry + ENTRY_OFFSET);
        struct fmt_blob_info info;

        entry_info(entry, &info);
        if (info.kind < FMT_BLOB_MANIFEST || info.kind > FMT_BLOB_LAST)
                return false;
        if ((info.kind == FMT_BLOB_DICTIONARY) != (index == bundle->dictionary_index))
                return false;
        if (offset < HEADER_SIZE || offset > bundle->table_offset ||
                info.stored_size > bundle->table_offset - offset ||
                info.raw_size > bundle_max_raw(info.kind) ||
                info.stored_size > ZSTD_compressBound(info.raw_size))
                return false;
        if (memcmp(entry + ENTRY_ZERO, zero, sizeof zero) != 0)
                return false;
        return index == 0 || memcmp(entry_at(bundle, index - 1) + ENTRY_DIGEST,
                                     entry + ENTRY_DIGEST, FMT_DIGEST_SIZE) < 0;
}

static int check_table(const struct fmt_bundle *bundle, const uint8_t *header)
{
        uint64_t check[2];
        struct fmt_blob_info root;

        int r = bundle_check_value(
                header, bundle->table, (size_t)bundle->count * ENTRY_SIZE, check);
        if (r < 0)
                return r;
        if (check[0] != bundle_get_u64(header + HEADER_XXH3_LOW) ||
                check[1] != bundle_get_u64(header + HEADER_XXH3_HIGH))
                return -EBADMSG;
        for (uint32_t i = 0; i < bundle->count; i++)
                if (!entry_is_sane(bundle, i))
                        return -EBADMSG;
        if (fmt_bundle_find(bundle, &bundle->root, &root) < 0 || root.kind != FMT_BLOB_MANIFEST)
                return -EBADMSG;
        return 0;
}

/* One frame, which must say how much it holds, and must hold that. */
static int decompress(const struct fmt_bundle *bundle, const void *stored, size_t stored_size,
        void *raw, size_t raw_size)
{
        if (ZSTD_findFrameCompressedSize(stored, stored_size) != stored_size ||
                ZSTD_getFrameContentSize(stored, stored_size) != raw_size)
                return -EBADMSG;
        ZSTD_DCtx *context = ZSTD_createDCtx();
        if (!context)
                return -ENOMEM;
        size_t got = ZSTD_decompress_usingDDict(
                context, raw, raw_size, stored, stored_size, bundle->dictionary);
        ZSTD_freeDCtx(context);
        return got == raw_size ? 0 : -EBADMSG;
}

static int read_entry(
        const struct fmt_bundle *bundle, uint32_t index, void **ret_data, size_t *ret_size)
{
        const uint8_t *entry = entry_at(bundle, index);
        struct fmt_blob_info info;
        struct fmt_digest digest;

        entry_info(entry, &info);
        _cleanup_free_ void *stored = malloc(info.stored_size + 1);
        if (!stored)
                return -ENOMEM;
        int r = bundle->source.read(bundle->source.context, stored, info.stored_size,
                bundle_get_u64(entry + ENTRY_OFFSET));
        if (r < 0)
                return r;
        /* The frame is asked for its size before memory is reserved for what the table claims. */
        if (ZSTD_getFrameContentSize(stored, info.stored_size) != info.raw_size)
                return -EBADMSG;
        _cleanup_free_ char *raw = malloc(info.raw_size + 1);
        if (!raw)
                return -ENOMEM;
        r = decompress(bundle, stored, info.stored_size, raw, info.raw_size);
        if (r < 0)
                return r;
        r = fmt_digest_of(raw, info.raw_size, &digest);
        if (r < 0)
                return r;
        if (!fmt_digest_equal(&digest, &info.digest))
                return -EBADMSG;
        raw[info.raw_size] = '\0';
        *ret_data = steal_pointer(&raw);
        *ret_size = info.raw_size;
        return 0;
}

static int load_dictionary(struct fmt_bundle *bundle)
{
        _cleanup_free_ void *data = NULL;
        size_t size;

        if (bundle->dictionary_index == bundle->count)
                return 0;
        int r = read_entry(bundle, bundle->dictionary_index, &data, &size);
        if (r < 0)
                return r;
        bundle->dictionary = ZSTD_createDDict(data, size);
        return bundle->dictionary ? 0 : -EBADMSG;
}

static int open_checked(struct fmt_bundle *bundle)
{
        uint8_t header[HEADER_SIZE];

        if (bundle->source.size < HEADER_SIZE)
                return -EBADMSG;
        int r = bundle->source.read(bundle->source.context, header, sizeof header, 0);
        if (r < 0)
                return r;
        r = check_header(bundle, header);
        if (r < 0)
                return r;
        size_t table_size = (size_t)bundle->count * ENTRY_SIZE;
        bundle->table = malloc(table_size);
        if (!bundle->table)
                return -ENOMEM;
        r = bundle->source.read(
                bundle->source.context, bundle->table, table_size, bundle->table_offset);
        if (r < 0)
                return r;
        r = check_table(bundle, header);
        if (r < 0)
                return r;
        return load_dictionary(bundle);
}

int fmt_bundle_open(struct fmt_source source, struct fmt_bundle **ret)
{
        struct fmt_bundle *bundle = calloc(1, sizeof *bundle);

        if (!bundle)
                return -ENOMEM;
        bundle->source = source;
        int r = open_checked(bundle);
        if (r < 0) {
                fmt_bundle_free(bundle);
                return r;
        }
        *ret = bundle;
        return 0;
}

void fmt_bundle_free(struct fmt_bundle *bundle)
{
        if (!bundle)
                return;
        ZSTD_freeDDict(bundle->dictionary);
        free(bundle->table);
        free(bundle);
}

size_t fmt_bundle_count(const struct fmt_bundle *bundle)
{
        return bundle->count;
}

void fmt_bundle_info(const struct fmt_bundle *bundle, size_t index, struct fmt_blob_info *ret)
{
        entry_info(entry_at(bundle, index), ret);
}

void fmt_bundle_root(const struct fmt_bundle *bundle, struct fmt_digest *ret)
{
        *ret = bundle->root;
}

int fmt_bundle_find(
        const struct fmt_bundle *bundle, const struct fmt_digest *digest, struct fmt_blob_info *ret)
{
        uint32_t index;

        if (!find_index(bundle, digest, &index))
                return -ENOENT;
        entry_info(entry_at(bundle, index), ret);
        return 0;
}

int fmt_bundle_read(const struct fmt_bundle *bundle, const struct fmt_digest *digest,
        void **ret_data, size_t *ret_size)
{
        uint32_t index;

        if (!find_index(bundle, digest, &index))
                return -ENOENT;
        return read_entry(bundle, index, ret_data, ret_size);
}
