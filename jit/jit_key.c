/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_key.h"

#include "fmt_cleanup.h"

#include <endian.h>
#include <string.h>

static const char key_label[] = "xaasfs compiled program 1\n";
static const char derived_label[] = "xaasfs derived key 1\n";

static int add_field(
        struct fmt_digest_state *state, const char *name, const void *value, size_t size)
{
        uint64_t length = htole64(size);
        int r = fmt_digest_update(state, name, strlen(name));
        if (r == 0)
                r = fmt_digest_update(state, "\n", 1);
        if (r == 0)
                r = fmt_digest_update(state, &length, sizeof length);
        if (r == 0)
                r = fmt_digest_update(state, value, size);
        return r;
}

static int add_text(struct fmt_digest_state *state, const char *name, const char *text)
{
        return add_field(state, name, text, strlen(text));
}

int jit_key_variant_json(const struct fmt_variant *variant, char **ret_json, size_t *ret_size)
{
        /* The encoder only reads, so the variant's parts may be shared with its owner. */
        struct fmt_variant alone = *variant;
        char nothing[] = "", machine[] = "x86_64";
        char *none[] = {NULL};
        struct fmt_record record = {
                .version = FMT_RECORD_VERSION,
                .producer = nothing,
                .machine = machine,
                .variants = &alone,
                .n_variants = 1,
                .kept_native = none,
        };
        return fmt_record_encode_again(&record, ret_json, ret_size);
}

static int add_ingredients(
        struct fmt_digest_state *state, const struct jit_key_ingredients *ingredients)
{
        _cleanup_free_ char *json = NULL;
        size_t json_size;
        int r = jit_key_variant_json(ingredients->variant, &json, &json_size);
        if (r < 0)
                return r;
        uint64_t size = htole64(ingredients->size);
        r = fmt_digest_update(state, key_label, strlen(key_label));
        if (r == 0)
                r = add_field(state, "variant", json, json_size);
        if (r == 0)
                r = add_field(state, "size", &size, sizeof size);
        if (r == 0)
                r = add_text(state, "target", ingredients->target);
        if (r == 0)
                r = add_text(state, "toolchain", ingredients->toolchain);
        if (r == 0)
                r = add_text(state, "policy", ingredients->policy);
        if (r == 0 && ingredients->profile)
                r = add_text(state, "profile", ingredients->profile);
        return r;
}

int jit_key_compute(const struct jit_key_ingredients *ingredients, struct fmt_digest *ret)
{
        struct fmt_digest_state *state;
        int r = fmt_digest_begin(&state);
        if (r < 0)
                return r;
        r = add_ingredients(state, ingredients);
        if (r < 0) {
                fmt_digest_abandon(state);
                return r;
        }
        return fmt_digest_finish(state, ret);
}

int jit_key_derive(const struct fmt_digest *key, const char *what, const struct fmt_digest *value,
        struct fmt_digest *ret)
{
        struct fmt_digest_state *state;
        int r = fmt_digest_begin(&state);
        if (r < 0)
                return r;
        r = fmt_digest_update(state, derived_label, strlen(derived_label));
        if (r == 0)
                r = fmt_digest_update(state, key->bytes, sizeof key->bytes);
        if (r == 0)
                r = fmt_digest_update(state, what, strlen(what));
        if (r == 0)
                r = fmt_digest_update(state, "\n", 1);
        if (r == 0)
                r = fmt_digest_update(state, value->bytes, sizeof value->bytes);
        if (r < 0) {
                fmt_digest_abandon(state);
                return r;
        }
        return fmt_digest_finish(state, ret);
}

int jit_key_of_note(const char *label, const char *about, const struct fmt_variant *variant,
        struct fmt_digest *ret)
{
        _cleanup_free_ char *json = NULL;
        struct fmt_digest_state *state;
        size_t size;
        int r = jit_key_variant_json(variant, &json, &size);
        if (r == 0)
                r = fmt_digest_begin(&state);
        if (r < 0)
                return r;
        r = fmt_digest_update(state, label, strlen(label));
        if (r == 0 && about)
                r = fmt_digest_update(state, about, strlen(about) + 1);
        if (r == 0)
                r = fmt_digest_update(state, json, size);
        if (r < 0) {
                fmt_digest_abandon(state);
                return r;
        }
        return fmt_digest_finish(state, ret);
}
