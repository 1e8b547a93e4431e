/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles, program records and image manifests. The input is a bundle, or JSON. */
#include "fmt_bundle_layout.h"
#include "fmt_cleanup.h"
#include "fmt_manifest.h"
#include "fmt_record.h"
#include "fuzz.h"
#include "fuzz_mutate.h"

#include <sys/mman.h>

static bool is_refusal(int r)
{
        return r == -EBADMSG || r == -EPROTONOSUPPORT;
}

/* What was taken must come out as bytes that are taken again and give the same bytes. */
static bool feed_record(const void *json, size_t size)
{
        _cleanup_(fmt_record_freep) struct fmt_record *record = NULL;
        _cleanup_(fmt_record_freep) struct fmt_record *again = NULL;
        _cleanup_free_ char *first = NULL;
        _cleanup_free_ char *second = NULL;
        size_t first_size;
        size_t second_size;

        int r = fmt_record_decode(json, size, &record);
        MUST(r == 0 || is_refusal(r));
        if (r < 0)
                return false;
        MUST(fmt_record_encode(record, &first, &first_size) == 0);
        MUST(fmt_record_decode(first, first_size, &again) == 0);
        MUST(fmt_record_encode(again, &second, &second_size) == 0);
        MUST(first_size == second_size && memcmp(first, second, first_size) == 0);
        return true;
}

static bool feed_manifest(const void *json, size_t size)
{
        _cleanup_(fmt_manifest_freep) struct fmt_manifest *manifest = NULL;
        _cleanup_free_ char *again = NULL;
        size_t again_size;

        int r = fmt_manifest_decode(json, size, &manifest);
        MUST(r == 0 || is_refusal(r));
        if (r < 0)
                return false;
        for (size_t i = 0; i < manifest->n_programs; i++) {
                const struct fmt_program *program = &manifest->programs[i];
                MUST(fmt_manifest_path_is_sane(program->path));
                MUST(program->size > 0 && program->size <= FMT_PROMISED_MAX);
                MUST(fmt_manifest_find(manifest, program->path) == program);
        }
        MUST(fmt_manifest_encode(manifest, &again, &again_size) == 0);
        return true;
}

static bool feed_blob(const struct fmt_bundle *bundle, size_t index)
{
        _cleanup_free_ char *data = NULL;
        struct fmt_blob_info info;
        struct fmt_blob_info found;
        struct fmt_digest digest;
        size_t size;

        fmt_bundle_info(bundle, index, &info);
        MUST(fmt_bundle_find(bundle, &info.digest, &found) == 0);
        int r = fmt_bundle_read(bundle, &info.digest, (void **)&data, &size);
        MUST(r == 0 || is_refusal(r) || r == -ENOMEM);
        if (r < 0)
                return false;
        MUST(size == info.raw_size && data[size] == '\0');
        MUST(fmt_digest_of(data, size, &digest) == 0);
        MUST(fmt_digest_equal(&digest, &info.digest));
        if (info.kind == FMT_BLOB_MANIFEST)
                return feed_record(data, size) || feed_manifest(data, size);
        return true;
}

static bool feed_bundle(const void *data, size_t size)
{
        struct fmt_source_memory memory = {.data = data, .size = size};
        struct fmt_bundle *bundle;
        bool valid = true;

        int r = fmt_bundle_open(fmt_source_of_memory(&memory), &bundle);
        MUST(r == 0 || is_refusal(r) || r == -ENOMEM);
        if (r < 0)
                return false;
        for (size_t i = 0; i < fmt_bundle_count(bundle); i++)
                valid = feed_blob(bundle, i) && valid;
        fmt_bundle_free(bundle);
        return valid;
}

/* Someone who wishes us ill computes the check, too: without this, mutation would never get
 * past it. */
static void correct_check(uint8_t *data, size_t size)
{
        uint64_t check[2];

        if (size < HEADER_SIZE || memcmp(data, BUNDLE_MAGIC, strlen(BUNDLE_MAGIC)) != 0)
                return;
        uint64_t table = bundle_get_u64(data + HEADER_TABLE_OFFSET);
        if (table > size || bundle_check_value(data, data + table, size - table, check) < 0)
                return;
        bundle_put_u64(data + HEADER_XXH3_LOW, check[0]);
        bundle_put_u64(data + HEADER_XXH3_HIGH, check[1]);
}

bool fuzz_accepts(const uint8_t *data, size_t size)
{
        /* A copy of exactly that size: a sanitizer sees every byte read past it. */
        _cleanup_free_ uint8_t *copy = calloc(size ? size : 1, 1);

        MUST(copy);
        if (size > 0)
                memcpy(copy, data, size);
        if (feed_bundle(copy, size))
                return true;
        correct_check(copy, size);
        if (feed_bundle(copy, size))
                return true;
        return feed_record(copy, size) || feed_manifest(copy, size);
}

/* ---- a valid bundle, with a dictionary, of every kind of blob ---- */

static void add_record(struct fmt_bundle_writer *writer, struct fmt_digest *ret)
{
        _cleanup_(fmt_record_freep) struct fmt_record *record = NULL;
        _cleanup_free_ char *json = NULL;
        struct fmt_variant *variant;
        struct fmt_input *input;
        size_t size;

        MUST(fmt_record_new(&record) == 0);
        MUST(fmt_record_add_variant(record, "default", &variant) == 0);
        MUST(fmt_strings_append(&variant->recipe.needed, "libc.so.6") == 0);
        MUST(fmt_variant_add_input(variant, &input) == 0);
        input->name = strdup("a.o");
        input->module.required = strdup("+avx2,-fma4");
        MUST(fmt_record_encode(record, &json, &size) == 0);
        MUST(fmt_bundle_add(writer, FMT_BLOB_MANIFEST, json, size, ret) == 0);
}

static void add_manifest(
        struct fmt_bundle_writer *writer, const struct fmt_digest *record, struct fmt_digest *ret)
{
        _cleanup_(fmt_manifest_freep) struct fmt_manifest *manifest = NULL;
        _cleanup_free_ char *json = NULL;
        struct fmt_program *program;
        size_t size;

        MUST(fmt_manifest_new(&manifest) == 0 && fmt_manifest_add(manifest, &program) == 0);
        *program = (struct fmt_program){
                .path = strdup("usr/bin/a"), .record = *record, .elf = *record, .size = 327680};
        MUST(fmt_manifest_trust(manifest, record) == 0);
        MUST(fmt_manifest_encode(manifest, &json, &size) == 0);
        MUST(fmt_bundle_add(writer, FMT_BLOB_MANIFEST, json, size, ret) == 0);
}

uint8_t *fuzz_seed(unsigned number, size_t *ret_size)
{
        if (number > 0)
                return NULL;
        _cleanup_close_ int fd = memfd_create("seed", MFD_CLOEXEC);
        struct fmt_bundle_writer *writer;
        struct fmt_digest record;
        struct fmt_digest root;
        char module[600];
        uint64_t size;

        MUST(fd >= 0 && fmt_bundle_writer_new(1, &writer) == 0);
        add_record(writer, &record);
        add_manifest(writer, &record, &root);
        for (int i = 0; i < 40; i++) {
                int length = snprintf(module, sizeof module,
                        "%d the same words in each module, so that a dictionary pays: "
                        "getelementptr "
                        "inbounds, fmuladd, target-features, noundef, dereferenceable, %d, align "
                        "16, "
                        "prefer-vector-width, tail call, dso_local, local_unnamed_addr %d",
                        i, i * i, i * 7);
                MUST(fmt_bundle_add(writer, FMT_BLOB_MODULE, module, (size_t)length, NULL) == 0);
        }
        MUST(fmt_bundle_add(writer, FMT_BLOB_TEXT, "", 0, NULL) == 0);
        fmt_bundle_want_dictionary(writer, 512);
        MUST(fmt_bundle_write(writer, &root, 1, fd, &size) == 0);
        fmt_bundle_writer_free(writer);
        uint8_t *data = malloc(size);
        MUST(data && pread(fd, data, size, 0) == (ssize_t)size);
        *ret_size = size;
        return data;
}

size_t fuzz_mutate(uint8_t *data, size_t size, size_t capacity, uint64_t *random)
{
        (void)capacity;
        return fuzz_mutate_bytes(data, size, random);
}
