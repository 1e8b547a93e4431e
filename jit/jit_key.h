/* SPDX-License-Identifier: Apache-2.0 */
/* The name of a compiled program: a digest of everything that can change its bytes.
 *
 *     key    := SHA-256("xaasfs compiled program 1\n" field*)
 *     field  := name "\n" length:u64 value
 *     fields, in this order:
 *       variant    canonical JSON (fmt_record.h) of a record that holds the chosen variant alone,
 *                  without producer and without what stayed native; it names every input by digest
 *       size       promised size, u64
 *       target     jit_target_describe
 *       toolchain  identity of linker, LLVM and worker (jit_toolchain.h)
 *       policy     opt level and whatever else a person may choose, as text
 *       profile    only with one: "use " and the digest of the profile, or "count " and the folder
 *                  that counts go to
 *
 * Integers are little-endian. Only what is read and verified goes in; nothing that an image
 * merely claims does. All functions are thread-safe. */
#ifndef JIT_KEY_H
#define JIT_KEY_H

#include "fmt_record.h"

struct jit_key_ingredients {
        const struct fmt_variant *variant;
        uint64_t size;         /* bytes */
        const char *target;    /* jit_target_describe */
        const char *toolchain; /* struct jit_toolchain.identity */
        const char *policy;    /* "opt=3" */
        const char *profile;   /* NULL: without */
};

int jit_key_compute(const struct jit_key_ingredients *ingredients, struct fmt_digest *ret);

/* A key that exists beside KEY for results that also depend on WHAT (a word) with VALUE, such as
 * the scope that module results were taken from:
 * SHA-256("xaasfs derived key 1\n" key what "\n" value). */
int jit_key_derive(const struct fmt_digest *key, const char *what, const struct fmt_digest *value,
        struct fmt_digest *ret);

/* What notes about VARIANT are named by (cache_note.h): SHA-256(label about json), with its canonical
 * JSON. ABOUT may be NULL; else its NUL counts. */
int jit_key_of_note(const char *label, const char *about, const struct fmt_variant *variant,
        struct fmt_digest *ret);

/* The canonical JSON of a record that holds VARIANT alone: what the key covers and what the
 * worker is told. The caller frees *ret_json. */
int jit_key_variant_json(const struct fmt_variant *variant, char **ret_json, size_t *ret_size);

#endif
