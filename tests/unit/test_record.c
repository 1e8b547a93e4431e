/* SPDX-License-Identifier: Apache-2.0 */
/* Program records: every field survives, the bytes are canonical, and what is no record is
 * refused. */
#include "fmt_cleanup.h"
#include "fmt_record.h"
#include "unit_check.h"

#include <string.h>

static char *copy(const char *text)
{
        char *result = strdup(text);

        REQUIRE(result);
        return result;
}

static struct fmt_digest digest_of(const char *text)
{
        struct fmt_digest digest;

        REQUIRE(fmt_digest_of(text, strlen(text), &digest) == 0);
        return digest;
}

static void fill_inputs(struct fmt_variant *variant)
{
        struct fmt_input *input;

        for (int i = 0; i < 5; i++) {
                REQUIRE(fmt_variant_add_input(variant, &input) == 0);
                input->kind = i == 3 ? FMT_INPUT_NATIVE : FMT_INPUT_MODULE;
                input->digest = digest_of(i == 3 ? "native" : "module");
                input->size = 1000 + (unsigned)i;
                input->name = copy("libfoo.a(bär \"x\" \\.o)");
                input->lazy = i == 1;
                input->has_constructors = i == 3;
                input->module.raw = i == 0;
                input->module.has_extras = input->module.captured_only = i == 2;
                input->module.required = i == 2 ? copy("+avx2,+fma") : NULL;
                input->module.extras = i == 4 ? copy("+sse4.1,-avx512f") : NULL;
        }
}

static void fill_variant(struct fmt_variant *variant, enum fmt_output_kind kind)
{
        struct fmt_option *option;
        struct fmt_stub *stub;

        variant->required = copy("+avx512f");
        variant->recipe.kind = kind;
        variant->recipe.linker = FMT_LINKER_LLD;
        variant->recipe.interpreter = copy("/lib64/ld-linux-x86-64.so.2");
        variant->recipe.soname = copy("libx.so.1");
        REQUIRE(fmt_strings_append(&variant->recipe.needed, "libm.so.6") == 0);
        REQUIRE(fmt_strings_append(&variant->recipe.needed, "libc.so.6") == 0);
        variant->recipe.rpath = copy("$ORIGIN/../lib");
        variant->recipe.rpath_is_old = variant->recipe.interposable = true;
        REQUIRE(fmt_variant_add_option(variant, &option) == 0);
        option->text = copy("--gc-sections");
        REQUIRE(fmt_variant_add_option(variant, &option) == 0);
        option->text = copy("--version-script=");
        option->has_file = true;
        option->file = digest_of("V1 { };");
        fill_inputs(variant);
        REQUIRE(fmt_variant_add_stub(variant, &stub) == 0);
        *stub = (struct fmt_stub){.soname = copy("libc.so.6"),
                .digest = digest_of("stub"),
                .size = 77,
                .needed = true};
        REQUIRE(fmt_variant_add_stub(variant, &stub) == 0);
        *stub = (struct fmt_stub){.soname = copy("libgcc_s.so.1"), .size = 0};
        REQUIRE(fmt_strings_append(&variant->exports, "f@@V1") == 0);
}

static struct fmt_record *make_record(void)
{
        struct fmt_record *record;
        struct fmt_variant *variant;

        REQUIRE(fmt_record_new(&record) == 0);
        record->producer = copy("clang 19.1.7");
        REQUIRE(fmt_strings_append(&record->kept_native, "a.s: assembly has no bitcode") == 0);
        REQUIRE(fmt_record_add_variant(record, "default", &variant) == 0);
        fill_variant(variant, FMT_OUTPUT_SHARED);
        REQUIRE(fmt_record_add_variant(record, "mpi+avx512", &variant) == 0);
        fill_variant(variant, FMT_OUTPUT_STATIC_PIE);
        REQUIRE(fmt_record_add_variant(record, "bare", &variant) == 0);
        return record;
}

static void compare_inputs(const struct fmt_input *a, const struct fmt_input *b)
{
        CHECK(a->kind == b->kind && fmt_digest_equal(&a->digest, &b->digest));
        CHECK(a->size == b->size && strcmp(a->name, b->name) == 0 && a->lazy == b->lazy);
        CHECK(a->has_constructors == b->has_constructors && a->module.raw == b->module.raw);
        CHECK(a->module.has_extras == b->module.has_extras);
        CHECK(a->module.captured_only == b->module.captured_only);
        CHECK(!a->module.required == !b->module.required);
        CHECK(!a->module.required || strcmp(a->module.required, b->module.required) == 0);
        CHECK(!a->module.extras == !b->module.extras);
        CHECK(!a->module.extras || strcmp(a->module.extras, b->module.extras) == 0);
}

static void compare_variants(const struct fmt_variant *a, const struct fmt_variant *b)
{
        CHECK(strcmp(a->name, b->name) == 0 && strcmp(a->required, b->required) == 0);
        CHECK(a->recipe.kind == b->recipe.kind && a->recipe.linker == b->recipe.linker);
        CHECK(strcmp(a->recipe.interpreter, b->recipe.interpreter) == 0);
        CHECK(strcmp(a->recipe.soname, b->recipe.soname) == 0);
        CHECK(strcmp(a->recipe.rpath, b->recipe.rpath) == 0);
        CHECK(b->recipe.rpath_is_old && b->recipe.interposable);
        CHECK(fmt_strings_count(b->recipe.needed) == 2);
        CHECK(strcmp(b->recipe.needed[0], "libm.so.6") == 0);
        REQUIRE(b->recipe.n_options == 2 && b->n_inputs == a->n_inputs && b->n_stubs == 2);
        CHECK(!b->recipe.options[0].has_file && b->recipe.options[1].has_file);
        CHECK(fmt_digest_equal(&a->recipe.options[1].file, &b->recipe.options[1].file));
        for (size_t i = 0; i < a->n_inputs; i++)
                compare_inputs(&a->inputs[i], &b->inputs[i]);
        CHECK(b->stubs[0].needed && b->stubs[0].size == 77 && !b->stubs[1].needed);
        CHECK(strcmp(b->stubs[1].soname, "libgcc_s.so.1") == 0);
        CHECK(fmt_strings_count(b->exports) == 1 && strcmp(b->exports[0], "f@@V1") == 0);
}

static void check_round_trip(const char *json, size_t size)
{
        _cleanup_(fmt_record_freep) struct fmt_record *record = make_record();
        _cleanup_(fmt_record_freep) struct fmt_record *again = NULL;
        _cleanup_free_ char *second = NULL;
        size_t second_size;

        REQUIRE(fmt_record_decode(json, size, &again) == 0);
        CHECK(again->version == FMT_RECORD_VERSION && strcmp(again->machine, "x86_64") == 0);
        CHECK(strcmp(again->producer, "clang 19.1.7") == 0);
        CHECK(fmt_strings_count(again->kept_native) == 1);
        REQUIRE(again->n_variants == 3);
        compare_variants(&record->variants[0], &again->variants[0]);
        compare_variants(&record->variants[1], &again->variants[1]);
        CHECK(again->variants[2].n_inputs == 0 && again->variants[2].recipe.needed[0] == NULL);
        REQUIRE(fmt_record_encode_again(again, &second, &second_size) == 0);
        CHECK(second_size == size && memcmp(json, second, size) == 0);
}

/* A program that capture gave up on has a record that says why. */
static void check_native_only(void)
{
        _cleanup_(fmt_record_freep) struct fmt_record *record = NULL;
        _cleanup_(fmt_record_freep) struct fmt_record *again = NULL;
        _cleanup_free_ char *json = NULL;
        size_t size;

        REQUIRE(fmt_record_new(&record) == 0);
        REQUIRE(fmt_strings_append(&record->kept_native, "-T x.ld: cannot be repeated") == 0);
        REQUIRE(fmt_record_encode(record, &json, &size) == 0);
        REQUIRE(fmt_record_decode(json, size, &again) == 0);
        CHECK(again->n_variants == 0 && fmt_strings_count(again->kept_native) == 1);
}

/* The very bytes: what a digest names must not change from one release to the next. */
static void check_canonical(void)
{
        static const char wanted[] =
                "{\"format\":\"xaas-record\",\"machine\":\"x86_64\",\"variants\":[{\"name\":"
                "\"default\",\"recipe\":{\"kind\":\"pie\",\"linker\":\"bfd\",\"needed\":["
                "\"libc.so.6\"]}}],\"version\":1}";
        _cleanup_(fmt_record_freep) struct fmt_record *record = NULL;
        _cleanup_free_ char *json = NULL;
        struct fmt_variant *variant;
        size_t size;

        REQUIRE(fmt_record_new(&record) == 0);
        CHECK(fmt_record_encode(record, &json, &size) == -EINVAL); /* no variant and no reason */
        check_native_only();
        REQUIRE(fmt_record_add_variant(record, "default", &variant) == 0);
        variant->recipe.kind = FMT_OUTPUT_PIE;
        REQUIRE(fmt_strings_append(&variant->recipe.needed, "libc.so.6") == 0);
        REQUIRE(fmt_record_encode(record, &json, &size) == 0);
        CHECK(strcmp(json, wanted) == 0);
        variant->recipe.soname = copy("evil\033[2J");
        char *none = NULL;
        CHECK(fmt_record_encode(record, &none, &size) == -EINVAL && !none);
        variant->recipe.soname[0] = (char)0xff; /* no UTF-8 */
        CHECK(fmt_record_encode(record, &none, &size) == -EINVAL && !none);
}

static int decode(const char *json)
{
        struct fmt_record *record = NULL;

        int r = fmt_record_decode(json, strlen(json), &record);
        fmt_record_free(r == 0 ? record : NULL);
        return r;
}

#define HEAD "{\"format\":\"xaas-record\",\"version\":1,\"machine\":\"x86_64\","
#define RECIPE "\"recipe\":{\"kind\":\"pie\",\"linker\":\"bfd\"}"
#define ZERO "0000000000000000000000000000000000000000000000000000000000000000"

static void check_refusals(void)
{
        static const char *const bad[] = {
                "",
                "{}",
                "[]",
                "null",
                "7",
                "\"x\"",
                HEAD "\"variants\":[]}",
                HEAD "\"variants\":{}}",
                HEAD "\"variants\":[7]}",
                HEAD "\"variants\":[{\"name\":\"a\"," RECIPE "},{\"name\":\"a\"," RECIPE "}]}",
                HEAD "\"variants\":[{\"name\":\"\"," RECIPE "}]}",
                HEAD "\"variants\":[{\"name\":\"../a\"," RECIPE "}]}",
                HEAD "\"variants\":[{\"name\":\"a\"," RECIPE ",\"more\":1}]}",
                HEAD "\"variants\":[{\"name\":\"a\"," RECIPE ",\"inputs\":7}]}",
                HEAD "\"variants\":[{\"name\":\"a\"," RECIPE ",\"inputs\":[{}]}]}",
                HEAD "\"variants\":[{\"name\":\"a\"," RECIPE ",\"exports\":[1]}]}",
                HEAD "\"variants\":[{\"name\":\"a\"," RECIPE ",\"required\":\"avx\"}]}",
                HEAD "\"variants\":[{\"name\":\"a\"," RECIPE ",\"required\":\"+avx,\"}]}",
                HEAD "\"variants\":[{\"name\":\"a\"," RECIPE ",\"required\":\"+a b\"}]}",
                HEAD "\"variants\":[{\"name\":\"a\"," RECIPE ",\"required\":\"\"}]}",
                HEAD
                "\"variants\":[{\"name\":\"a\",\"recipe\":{\"kind\":\"x\",\"linker\":\"bfd\"}}]}",
                HEAD "\"variants\":[{\"name\":\"a\"," RECIPE "}],\"variants\":[]}",
                HEAD "\"variants\":[{\"name\":\"a\\u0000\"," RECIPE "}]}",
                HEAD "\"variants\":[{\"name\":\"a\"," RECIPE "}],\"producer\":\"\\u001b[2J\"}",
                HEAD "\"variants\":[{\"name\":\"a\"," RECIPE "}],\"producer\":\"\\u009b2J\"}",
                HEAD "\"variants\":[{\"name\":\"a\"," RECIPE ",\"inputs\":[{\"kind\":\"module\","
                     "\"digest\":\"00\",\"size\":1,\"name\":\"x\"}]}]}",
                HEAD "\"variants\":[{\"name\":\"a\"," RECIPE ",\"inputs\":[{\"kind\":\"module\","
                     "\"digest\":\"" ZERO "\",\"size\":-1,\"name\":\"x\"}]}]}",
                HEAD "\"variants\":[{\"name\":\"a\"," RECIPE ",\"inputs\":[{\"kind\":\"native\","
                     "\"digest\":\"" ZERO "\",\"size\":1,\"name\":\"x\",\"raw\":true}]}]}",
                "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
                "{\"format\":\"xaas-image\",\"version\":9}",
        };

        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                int r = decode(bad[i]);
                if (r != -EBADMSG)
                        fprintf(stderr, "taken (%d): %s\n", r, bad[i]);
                CHECK(r == -EBADMSG);
        }
        CHECK(decode(HEAD "\"variants\":[{\"name\":\"a\"," RECIPE "}]}") == 0);
        CHECK(decode("{\"format\":\"xaas-record\",\"version\":2,\"new\":1}") == -EPROTONOSUPPORT);
}

static void check_damage(const char *json, size_t size, uint64_t *random)
{
        for (int i = 0; i < 3000; i++) {
                struct fmt_record *record = NULL;
                size_t length = i % 3 == 0 ? unit_random(random) % size : size;
                char *bad = malloc(length + 1);
                REQUIRE(bad);
                memcpy(bad, json, length);
                if (length > 0 && i % 3 != 0)
                        bad[unit_random(random) % length] = (char)unit_random(random);
                int r = fmt_record_decode(bad, length, &record);
                CHECK(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
                if (r == 0) {
                        /* Whatever is taken can be written again. */
                        char *again;
                        size_t again_size;
                        CHECK(fmt_record_encode(record, &again, &again_size) == 0);
                        free(again);
                        fmt_record_free(record);
                }
                free(bad);
        }
}

int main(void)
{
        uint64_t random = unit_seed();
        _cleanup_(fmt_record_freep) struct fmt_record *record = make_record();
        _cleanup_free_ char *json = NULL;
        size_t size;

        REQUIRE(fmt_record_encode(record, &json, &size) == 0);
        check_round_trip(json, size);
        check_canonical();
        check_refusals();
        check_damage(json, size, &random);
        return unit_report();
}
