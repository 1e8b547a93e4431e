/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

/* libcrypto's context itself: there is nothing to add to it. */
struct fmt_digest_state;

static EVP_MD_CTX *context_of(struct fmt_digest_state *state)
{
        return (EVP_MD_CTX *)state;
}

int fmt_digest_of(const void *data, size_t size, struct fmt_digest *ret)
{
        unsigned written = 0;

        if (EVP_Digest(size ? data : "", size, ret->bytes, &written, EVP_sha256(), NULL) != 1 ||
                written != FMT_DIGEST_SIZE)
                return -EIO;
        return 0;
}

int fmt_digest_begin(struct fmt_digest_state **ret)
{
        EVP_MD_CTX *context = EVP_MD_CTX_new();

        if (!context)
                return -ENOMEM;
        if (EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
                EVP_MD_CTX_free(context);
                return -EIO;
        }
        *ret = (struct fmt_digest_state *)context;
        return 0;
}

int fmt_digest_update(struct fmt_digest_state *state, const void *data, size_t size)
{
        if (size == 0)
                return 0;
        return EVP_DigestUpdate(context_of(state), data, size) == 1 ? 0 : -EIO;
}

int fmt_digest_finish(struct fmt_digest_state *state, struct fmt_digest *ret)
{
        unsigned written = 0;
        int done = EVP_DigestFinal_ex(context_of(state), ret->bytes, &written);

        fmt_digest_abandon(state);
        return done == 1 && written == FMT_DIGEST_SIZE ? 0 : -EIO;
}

void fmt_digest_abandon(struct fmt_digest_state *state)
{
        EVP_MD_CTX_free(context_of(state));
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
