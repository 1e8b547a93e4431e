/* SPDX-License-Identifier: Apache-2.0 */
/* Content addresses: SHA-256 (FIPS 180-4), by nettle: loading libcrypto, with all that it has besides,
 * takes longer than what a mount does with its result.
 *
 * What names a result, a module or an image is always one of these; integrity where nobody
 * attacks is XXH3-128's business, not this header's. All functions are thread-safe. */
#ifndef FMT_DIGEST_H
#define FMT_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FMT_DIGEST_SIZE 32
#define FMT_DIGEST_HEX_SIZE 65 /* 64 lower-case hexadecimal digits and the NUL */

struct fmt_digest {
        uint8_t bytes[FMT_DIGEST_SIZE];
};

/* Digest of SIZE bytes. 0; as those below, it may come to fail with another library. */
int fmt_digest_of(const void *data, size_t size, struct fmt_digest *ret);

/* Incremental form. new -> update… -> finish (which frees the state), or abandon. */
struct fmt_digest_state;
int fmt_digest_begin(struct fmt_digest_state **ret);
int fmt_digest_update(struct fmt_digest_state *state, const void *data, size_t size);
int fmt_digest_finish(struct fmt_digest_state *state, struct fmt_digest *ret);
void fmt_digest_abandon(struct fmt_digest_state *state);

void fmt_digest_to_hex(const struct fmt_digest *digest, char ret_hex[FMT_DIGEST_HEX_SIZE]);

/* 0, or -EINVAL unless HEX is exactly 64 lower-case hexadecimal digits. */
int fmt_digest_from_hex(const char *hex, struct fmt_digest *ret);

bool fmt_digest_equal(const struct fmt_digest *a, const struct fmt_digest *b);
int fmt_digest_compare(const struct fmt_digest *a, const struct fmt_digest *b);

#endif
