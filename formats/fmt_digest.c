/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_digest.h"

#include <errno.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>

struct fmt_digest_state {
        struct sha256_ctx context;
};

int fmt_digest_of(const void *data, size_t size, struct fmt_digest *ret)
{
        struct sha256_ctx context;

        sha256_init(&context);
        sha256_update(&context, size, data);
        sha256_digest(&context, FMT_DIGEST_SIZE, ret->bytes);
        return 0;
}

int fmt_digest_begin(struct fmt_digest_state **ret)
{
        struct fmt_digest_state *state = malloc(sizeof(*state));

        if (!state)
                return -ENOMEM;
        sha256_init(&state->context);
        *ret = state;
        return 0;
}

int fmt_digest_update(struct fmt_digest_state *state, const void *data, size_t size)
{
        sha256_update(&state->context, size, data);
        return 0;
}

int fmt_digest_finish(struct fmt_digest_state *state, struct fmt_digest *ret)
{
        sha256_digest(&state->context, FMT_DIGEST_SIZE, ret->bytes);
        fmt_digest_abandon(state);
        return 0;
}

void fmt_digest_abandon(struct fmt_digest_state *state)
{
        free(state);
}

void fmt_digest_to_hex(const struct fmt_digest *digest, char ret_hex[FMT_DIGEST_HEX_SIZE])
{
        static const char digits[] = "0123456789abcdef";

        for (size_t i = 0; i < FMT_DIGEST_SIZE; i++) {
                ret_hex[2 * i] = digits[digest->bytes[i] >> 4];
                ret_hex[2 * i + 1] = digits[digest->bytes[i] & 15];
        }
        ret_hex[2 * FMT_DIGEST_SIZE] = '\0';
}

static int nibble(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        return -1;
}

int fmt_digest_from_hex(const char *hex, struct fmt_digest *ret)
{
        struct fmt_digest digest;

        for (size_t i = 0; i < FMT_DIGEST_SIZE; i++) {
                int high = nibble(hex[2 * i]);
                int low = high < 0 ? -1 : nibble(hex[2 * i + 1]);
                if (low < 0)
                        return -EINVAL;
                digest.bytes[i] = (uint8_t)(high << 4 | low);
        }
        if (hex[2 * FMT_DIGEST_SIZE] != '\0')
                return -EINVAL;
        *ret = digest;
        return 0;
}

bool fmt_digest_equal(const struct fmt_digest *a, const struct fmt_digest *b)
{
        return fmt_digest_compare(a, b) == 0;
}

int fmt_digest_compare(const struct fmt_digest *a, const struct fmt_digest *b)
{
        return memcmp(a->bytes, b->bytes, FMT_DIGEST_SIZE);
}
