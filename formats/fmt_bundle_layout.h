/* SPDX-License-Identifier: Apache-2.0 */
/* Where the numbers of a bundle lie: shared by its writer and its reader only. The grammar is in
 * fmt_bundle.h. */
#ifndef FMT_BUNDLE_LAYOUT_H
#define FMT_BUNDLE_LAYOUT_H

#include "fmt_bundle.h"

#include <endian.h>
#include <string.h>

#define BUNDLE_MAGIC "XAASBNDL"
#define BUNDLE_VERSION 1
#define BUNDLE_MAX_COUNT (UINT32_C(1) << 20)
#define BUNDLE_MAX_RAW (UINT64_C(1) << 31)
#define BUNDLE_MAX_MANIFEST (UINT64_C(64) << 20)
#define BUNDLE_MAX_DICTIONARY (UINT64_C(16) << 20)
#define BUNDLE_MAX_PROFILE (UINT64_C(256) << 20)

enum {
        HEADER_VERSION = 8,
        HEADER_FLAGS = 12,
        HEADER_COUNT = 16,
        HEADER_DICTIONARY = 20,
        HEADER_TABLE_OFFSET = 24,
        HEADER_TOTAL_SIZE = 32,
        HEADER_ROOT = 40,
        HEADER_XXH3_LOW = 72, /* the check covers what lies before it */
        HEADER_XXH3_HIGH = 80,
        HEADER_SIZE = 88,

        ENTRY_DIGEST = 0,
        ENTRY_OFFSET = 32,
        ENTRY_STORED_SIZE = 40,
        ENTRY_RAW_SIZE = 48,
        ENTRY_KIND = 56,
        ENTRY_ZERO = 57,
        ENTRY_SIZE = 64,
};

static inline uint32_t bundle_get_u32(const uint8_t *at)
{
        uint32_t value;
        memcpy(&value, at, sizeof value);
        return le32toh(value);
}

static inline uint64_t bundle_get_u64(const uint8_t *at)
{
        uint64_t value;
        memcpy(&value, at, sizeof value);
        return le64toh(value);
}

static inline void bundle_put_u32(uint8_t *at, uint32_t value)
{
        value = htole32(value);
        memcpy(at, &value, sizeof value);
}

static inline void bundle_put_u64(uint8_t *at, uint64_t value)
{
        value = htole64(value);
        memcpy(at, &value, sizeof value);
}

static inline uint64_t bundle_max_raw(enum fmt_blob_kind kind)
{
        switch (kind) {
        case FMT_BLOB_MANIFEST:
                return BUNDLE_MAX_MANIFEST;
        case FMT_BLOB_DICTIONARY:
                return BUNDLE_MAX_DICTIONARY;
        case FMT_BLOB_PROFILE:
                return BUNDLE_MAX_PROFILE;
        default:
                return BUNDLE_MAX_RAW;
        }
}

/* XXH3-128 over the checked part of HEADER and the TABLE: [0] low, [1] high. 0 or -ENOMEM. */
int bundle_check_value(
        const uint8_t *header, const uint8_t *table, size_t table_size, uint64_t ret_check[2]);

#endif
