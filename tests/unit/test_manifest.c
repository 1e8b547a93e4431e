/* SPDX-License-Identifier: Apache-2.0 */
/* Image manifests: order does not matter to the writer, every path is inside the image, and what
 * is no manifest is refused. */
#include "fmt_cleanup.h"
#include "fmt_manifest.h"
#include "unit_check.h"

#include <string.h>

static void add(struct fmt_manifest *manifest, const char *path, uint64_t size, bool baseline)
{
        struct fmt_program *program;

        REQUIRE(fmt_manifest_add(manifest, &program) == 0);
        program->path = strdup(path);
        program->size = size;
        program->baseline = baseline;
        REQUIRE(fmt_digest_of(path, strlen(path), &program->record) == 0);
        REQUIRE(fmt_digest_of(&size, sizeof size, &program->elf) == 0);
}

static void trust(struct fmt_manifest *manifest, uint8_t first)
{
        struct fmt_digest root = {.bytes = {first}};

        REQUIRE(fmt_manifest_trust(manifest, &root) == 0);
}

static struct fmt_manifest *make_manifest(bool backwards)
{
        static const char *const paths[] = {"usr/bin/a", "usr/bin/a-b", "usr/lib/lib.so.1",
                "opt/ä ö/prog", "...", "usr/bin/a/..b"};
        struct fmt_manifest *manifest;

        REQUIRE(fmt_manifest_new(&manifest) == 0);
        for (size_t i = 0; i < 6; i++) {
                size_t which = backwards ? 5 - i : i;
                add(manifest, paths[which], 65536 * (which + 1), which % 2);
        }
        trust(manifest, backwards ? 9 : 3);
        trust(manifest, backwards ? 3 : 9);
        trust(manifest, 3);
        return manifest;
}

static void check_round_trip(void)
{
        _cleanup_(fmt_manifest_freep) struct fmt_manifest *one = make_manifest(false);
        _cleanup_(fmt_manifest_freep) struct fmt_manifest *two = make_manifest(true);
        _cleanup_(fmt_manifest_freep) struct fmt_manifest *read = NULL;
        _cleanup_free_ char *a = NULL;
        _cleanup_free_ char *b = NULL;
        size_t a_size;
        size_t b_size;

        REQUIRE(fmt_manifest_encode(one, &a, &a_size) == 0);
        REQUIRE(fmt_manifest_encode(two, &b, &b_size) == 0);
        CHECK(a_size == b_size && memcmp(a, b, a_size) == 0);
        REQUIRE(fmt_manifest_decode(a, a_size, &read) == 0);
        CHECK(read->n_programs == 6 && read->n_trusted == 2);
        CHECK(read->trusted[0].bytes[0] == 3 && read->trusted[1].bytes[0] == 9);
        const struct fmt_program *program = fmt_manifest_find(read, "usr/bin/a-b");
        REQUIRE(program);
        CHECK(program->size == 2 * 65536 && program->baseline);
        CHECK(fmt_digest_equal(&program->record, &fmt_manifest_find(one, "usr/bin/a-b")->record));
        CHECK(fmt_digest_equal(&program->elf, &fmt_manifest_find(one, "usr/bin/a-b")->elf));
        CHECK(!fmt_manifest_find(read, "usr/bin/b"));
        CHECK(!fmt_manifest_find(read, "usr/bin/a")->baseline);
}

static void check_empty(void)
{
        _cleanup_(fmt_manifest_freep) struct fmt_manifest *manifest = NULL;
        _cleanup_free_ char *json = NULL;
        size_t size;

        REQUIRE(fmt_manifest_new(&manifest) == 0);
        REQUIRE(fmt_manifest_encode(manifest, &json, &size) == 0);
        CHECK(strcmp(json, "{\"format\":\"xaas-image\",\"programs\":[],\"version\":1}") == 0);
        CHECK(!fmt_manifest_find(manifest, "a"));
}

static void check_paths(void)
{
        static const char *const bad[] = {"", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a",
                "a/../b", "./a", "a/.", "a\nb", "a\x7f", "a\xc2\x9b"};

        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
                struct fmt_manifest *manifest;
                char *json;
                size_t size;
                CHECK(!fmt_manifest_path_is_sane(bad[i]));
                REQUIRE(fmt_manifest_new(&manifest) == 0);
                add(manifest, bad[i], 65536, true);
                CHECK(fmt_manifest_encode(manifest, &json, &size) == -EINVAL);
                fmt_manifest_free(manifest);
        }
        CHECK(fmt_manifest_path_is_sane("a/..b/...") && fmt_manifest_path_is_sane("a b/ü"));
}

static void check_bad_values(void)
{
        static const uint64_t sizes[] = {0, FMT_PROMISED_MAX + 1, UINT64_MAX};
        char *json;
        size_t size;

        for (size_t i = 0; i < 3; i++) {
                _cleanup_(fmt_manifest_freep) struct fmt_manifest *manifest = NULL;
                REQUIRE(fmt_manifest_new(&manifest) == 0);
                add(manifest, "a", sizes[i], true);
                CHECK(fmt_manifest_encode(manifest, &json, &size) == -EINVAL);
        }
        _cleanup_(fmt_manifest_freep) struct fmt_manifest *twice = NULL;
        REQUIRE(fmt_manifest_new(&twice) == 0);
        add(twice, "a", 65536, true);
        add(twice, "a", 65536, true);
        CHECK(fmt_manifest_encode(twice, &json, &size) == -EINVAL);
}

#define ZERO "\"0000000000000000000000000000000000000000000000000000000000000000\""
#define HEAD "{\"format\":\"xaas-image\",\"version\":1,\"programs\":["
#define START(path) "{\"path\":\"" path "\",\"record\":" ZERO ",\"elf\":" ZERO ",\"size\":65536"
#define PROGRAM(path) START(path) "}"

static void check_refusals(void)
{
        static const char *const bad[] = {
                "",
                "{}",
                "[]",
                "{\"format\":\"xaas-image\",\"version\":0,\"programs\":[]}",
                HEAD PROGRAM("b") "," PROGRAM("a") "]}",
                HEAD PROGRAM("a") "," PROGRAM("a") "]}",
                HEAD START("a") ",\"profile_time\":5}]}",
                HEAD START("a") ",\"profile\":" ZERO ",\"profile_time\":-1}]}",
                HEAD START("a") ",\"profile\":\"00\"}]}",
                HEAD START("a") ",\"profile\":7}]}",
                HEAD PROGRAM("a") "],\"trusted\":[7]}",
                HEAD PROGRAM("a") "],\"trusted\":{}}",
                HEAD PROGRAM("a") "],\"trusted\":[" ZERO "," ZERO "]}",
                HEAD PROGRAM("a") "],\"more\":[]}",
                HEAD "{\"path\":\"a\",\"record\":\"00\",\"elf\":" ZERO ",\"size\":65536}]}",
                HEAD "{\"path\":\"a\",\"record\":" ZERO ",\"elf\":" ZERO ",\"size\":\"1\"}]}",
                HEAD "{\"path\":\"a\",\"record\":" ZERO ",\"elf\":" ZERO "}]}",
                HEAD "{\"path\":\"a\\u0000b\",\"record\":" ZERO ",\"elf\":" ZERO ",\"size\":1}]}",
        };
        struct fmt_manifest *manifest;

        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
                CHECK(fmt_manifest_decode(bad[i], strlen(bad[i]), &manifest) == -EBADMSG);
        static const char newer[] = "{\"format\":\"xaas-image\",\"version\":2,\"x\":[]}";
        CHECK(fmt_manifest_decode(newer, strlen(newer), &manifest) == -EPROTONOSUPPORT);
        static const char good[] =
                HEAD START("a") ",\"profile\":" ZERO ",\"profile_time\":5}," PROGRAM("b") "]}";
        REQUIRE(fmt_manifest_decode(good, strlen(good), &manifest) == 0);
        CHECK(manifest->programs[0].has_profile && manifest->programs[0].profile_time == 5);
        CHECK(!manifest->programs[1].has_profile && manifest->programs[1].profile_time == 0);
        fmt_manifest_free(manifest);
}

static void check_damage(uint64_t *random)
{
        _cleanup_(fmt_manifest_freep) struct fmt_manifest *manifest = make_manifest(false);
        _cleanup_free_ char *json = NULL;
        size_t size;

        REQUIRE(fmt_manifest_encode(manifest, &json, &size) == 0);
        for (int i = 0; i < 3000; i++) {
                struct fmt_manifest *read;
                size_t length = i % 3 == 0 ? unit_random(random) % size : size;
                char *bad = malloc(length + 1);
                REQUIRE(bad);
                memcpy(bad, json, length);
                if (length > 0 && i % 3 != 0)
                        bad[unit_random(random) % length] = (char)unit_random(random);
                int r = fmt_manifest_decode(bad, length, &read);
                CHECK(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
                for (size_t j = 0; r == 0 && j < read->n_programs; j++)
                        CHECK(fmt_manifest_path_is_sane(read->programs[j].path));
                if (r == 0)
                        fmt_manifest_free(read);
                free(bad);
        }
}

static void check_promise(void)
{
        CHECK(fmt_promised_size(0) == 262144);
        CHECK(fmt_promised_size(1) == 262144 + 65536);
        CHECK(fmt_promised_size(32768) == 262144 + 65536);
        CHECK(fmt_promised_size(1 << 20) == (2 << 20) + 262144);
        CHECK(fmt_promised_size(UINT64_MAX) == 0);
}

int main(void)
{
        uint64_t random = unit_seed();

        check_round_trip();
        check_empty();
        check_paths();
        check_bad_values();
        check_refusals();
        check_damage(&random);
        check_promise();
        return unit_report();
}
