/* SPDX-License-Identifier: Apache-2.0 */
/* A key changes with everything that can change a result, and with nothing else. */
#include "fmt_cleanup.h"
#include "jit_key.h"
#include "unit_check.h"

#include <string.h>

static struct fmt_record *make_record(void)
{
        struct fmt_record *record;
        struct fmt_variant *variant;
        struct fmt_input *input;
        struct fmt_stub *stub;
        struct fmt_option *option;
        REQUIRE(fmt_record_new(&record) == 0);
        REQUIRE(fmt_record_add_variant(record, "default", &variant) == 0);
        variant->recipe.kind = FMT_OUTPUT_PIE;
        variant->recipe.interpreter = strdup("/lib64/ld-linux-x86-64.so.2");
        for (int i = 0; i < 2; i++) {
                REQUIRE(fmt_variant_add_input(variant, &input) == 0);
                input->name = strdup(i ? "b.c" : "a.c");
                input->size = 10;
                memset(&input->digest, 1 + i, sizeof input->digest);
        }
        REQUIRE(fmt_variant_add_stub(variant, &stub) == 0);
        stub->soname = strdup("libc.so.6");
        stub->needed = true;
        REQUIRE(fmt_variant_add_option(variant, &option) == 0);
        option->text = strdup("--gc-sections");
        REQUIRE(fmt_strings_append(&variant->recipe.needed, "libc.so.6") == 0);
        REQUIRE(fmt_strings_append(&variant->exports, "main") == 0);
        return record;
}

static struct jit_key_ingredients ingredients_of(const struct fmt_record *record)
{
        return (struct jit_key_ingredients){.variant = &record->variants[0],
                .size = 65536,
                .target = "+avx2",
                .toolchain = "lld 1; libLLVM 2",
                .policy = "opt=3"};
}

static bool equals(const struct jit_key_ingredients *a, const struct jit_key_ingredients *b)
{
        struct fmt_digest x, y;
        REQUIRE(jit_key_compute(a, &x) == 0);
        REQUIRE(jit_key_compute(b, &y) == 0);
        return fmt_digest_equal(&x, &y);
}

static void set_text(char **text, const char *value)
{
        free(*text);
        *text = strdup(value);
}

/* Each changes one thing in a variant. */
static void change_input(struct fmt_variant *variant)
{
        variant->inputs[1].digest.bytes[31] ^= 1;
}
static void change_order(struct fmt_variant *variant)
{
        struct fmt_input first = variant->inputs[0];
        variant->inputs[0] = variant->inputs[1];
        variant->inputs[1] = first;
}
static void change_laziness(struct fmt_variant *variant)
{
        variant->inputs[0].lazy = true;
}
static void change_facts(struct fmt_variant *variant)
{
        variant->inputs[0].module.has_extras = true;
}
static void change_stub(struct fmt_variant *variant)
{
        variant->stubs[0].digest.bytes[0] ^= 1;
}
static void change_option(struct fmt_variant *variant)
{
        set_text(&variant->recipe.options[0].text, "--no-gc-sections");
}
static void change_interpreter(struct fmt_variant *variant)
{
        set_text(&variant->recipe.interpreter, "/lib/ld.so");
}
static void change_needed(struct fmt_variant *variant)
{
        set_text(&variant->recipe.needed[0], "libm.so.6");
}
static void change_rpath(struct fmt_variant *variant)
{
        set_text(&variant->recipe.rpath, "$ORIGIN");
}
static void change_interposition(struct fmt_variant *variant)
{
        variant->recipe.interposable = true;
}
static void change_exports(struct fmt_variant *variant)
{
        set_text(&variant->exports[0], "other");
}

static void test_variant(void)
{
        static void (*const changes[])(struct fmt_variant *) = {change_input, change_order,
                change_laziness, change_facts, change_stub, change_option, change_interpreter,
                change_needed, change_rpath, change_interposition, change_exports};
        _cleanup_(fmt_record_freep) struct fmt_record *base = make_record();
        for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
                _cleanup_(fmt_record_freep) struct fmt_record *changed = make_record();
                struct jit_key_ingredients a = ingredients_of(base), b = ingredients_of(changed);
                REQUIRE(equals(&a, &b));
                changes[i](&changed->variants[0]);
                if (equals(&a, &b)) {
                        fprintf(stderr, "change %zu does not change the key\n", i);
                        exit(1);
                }
        }
}

static void test_surroundings(void)
{
        _cleanup_(fmt_record_freep) struct fmt_record *record = make_record();
        struct jit_key_ingredients base = ingredients_of(record), changed = base;
        changed.size++;
        REQUIRE(!equals(&base, &changed));
        changed = base;
        changed.target = "+avx2,+fma";
        REQUIRE(!equals(&base, &changed));
        changed = base;
        changed.toolchain = "lld 1; libLLVM 3";
        REQUIRE(!equals(&base, &changed));
        changed = base;
        changed.policy = "opt=2";
        REQUIRE(!equals(&base, &changed));
        /* A byte that moves from one field to the next is a change. */
        changed = base;
        changed.target = "+avx2l";
        changed.toolchain = "ld 1; libLLVM 2";
        REQUIRE(!equals(&base, &changed));
}

static void test_irrelevant(void)
{
        _cleanup_(fmt_record_freep) struct fmt_record *base = make_record();
        _cleanup_(fmt_record_freep) struct fmt_record *changed = make_record();
        struct fmt_variant *other;
        set_text(&changed->producer, "clang 19.1.8");
        REQUIRE(fmt_strings_append(&changed->kept_native, "x.s: assembly") == 0);
        REQUIRE(fmt_record_add_variant(changed, "mpi", &other) == 0);
        struct jit_key_ingredients a = ingredients_of(base), b = ingredients_of(changed);
        REQUIRE(equals(&a, &b));
}

static void test_derived(void)
{
        struct fmt_digest key = {{1}}, scope = {{2}}, a, b, c;
        REQUIRE(jit_key_derive(&key, "scope", &scope, &a) == 0);
        REQUIRE(jit_key_derive(&key, "simple", &scope, &b) == 0);
        REQUIRE(!fmt_digest_equal(&a, &b) && !fmt_digest_equal(&a, &key));
        scope.bytes[5] = 1;
        REQUIRE(jit_key_derive(&key, "scope", &scope, &c) == 0);
        REQUIRE(!fmt_digest_equal(&a, &c));
}

int main(void)
{
        test_variant();
        test_surroundings();
        test_irrelevant();
        test_derived();
        return 0;
}
