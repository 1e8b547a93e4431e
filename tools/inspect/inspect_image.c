/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "image_bundle.h"
#include "inspect_parts.h"

#include <string.h>

struct totals {
        json_t *uses;          /* digest of a module -> by how many programs it is used */
        json_int_t references; /* of programs to modules */
};

static int read_record(const struct image_bundle *image, const struct fmt_program *program,
        struct fmt_record **ret)
{
        _cleanup_free_ void *json = NULL;
        size_t size;

        int r = fmt_bundle_read(image->bundle, &program->record, &json, &size);
        if (r == 0)
                r = fmt_record_decode(json, size, ret);
        if (r < 0)
                fmt_error("cannot read the record of %s: %s; pack the image again", program->path,
                        strerror(-r));
        return r;
}

/* A module counts once for a program, however many of its variants use it. */
static json_int_t count_modules(const struct fmt_record *record, struct totals *totals)
{
        json_t *own = json_object();
        char hex[FMT_DIGEST_HEX_SIZE];
        const char *key;
        json_t *value;

        for (size_t v = 0; v < record->n_variants; v++)
                for (size_t i = 0; i < record->variants[v].n_inputs; i++) {
                        if (record->variants[v].inputs[i].kind != FMT_INPUT_MODULE)
                                continue;
                        fmt_digest_to_hex(&record->variants[v].inputs[i].digest, hex);
                        json_object_set_new(own, hex, json_true());
                }
        json_int_t count = (json_int_t)json_object_size(own);
        json_object_foreach (own, key, value) {
                json_int_t before = json_integer_value(json_object_get(totals->uses, key));
                json_object_set_new(totals->uses, key, json_integer(before + 1));
        }
        totals->references += count;
        json_decref(own);
        return count;
}

static json_t *describe_program(const struct fmt_program *program)
{
        char hex[FMT_DIGEST_HEX_SIZE];
        json_t *object = json_object();

        fmt_digest_to_hex(&program->record, hex);
        json_object_set_new(object, "path", json_string(program->path));
        json_object_set_new(object, "promised_size", json_integer((json_int_t)program->size));
        json_object_set_new(object, "baseline", json_boolean(program->baseline));
        json_object_set_new(object, "record", json_string(hex));
        if (program->has_profile) {
                fmt_digest_to_hex(&program->profile, hex);
                json_object_set_new(object, "profile", json_string(hex));
        }
        return object;
}

static int add_programs(const struct image_bundle *image, struct totals *totals, json_t *object)
{
        json_t *programs = json_array();

        json_object_set_new(object, "programs", programs);
        for (size_t i = 0; i < image->manifest->n_programs; i++) {
                const struct fmt_program *program = &image->manifest->programs[i];
                _cleanup_(fmt_record_freep) struct fmt_record *record = NULL;
                json_t *described = describe_program(program);
                json_t *native = json_array();
                json_array_append_new(programs, described);
                int r = read_record(image, program, &record);
                if (r < 0)
                        return r;
                json_object_set_new(
                        described, "variants", json_integer((json_int_t)record->n_variants));
                json_object_set_new(
                        described, "modules", json_integer(count_modules(record, totals)));
                json_object_set_new(described, "kept_native", native);
                for (char **part = record->kept_native; *part; part++)
                        json_array_append_new(native, json_string(*part));
        }
        return 0;
}

static void add_blobs(const struct fmt_bundle *bundle, json_t *object)
{
        static const char *const names[] = {NULL, "manifests", "modules", "native_objects", "stubs",
                "texts", "dictionary", "profiles"};
        json_t *kinds = json_object();

        json_object_set_new(object, "stored", kinds);
        for (int kind = FMT_BLOB_MANIFEST; kind <= FMT_BLOB_LAST; kind++) {
                json_int_t count = 0, raw = 0, stored = 0;
                for (size_t i = 0; i < fmt_bundle_count(bundle); i++) {
                        struct fmt_blob_info info;
                        fmt_bundle_info(bundle, i, &info);
                        if ((int)info.kind != kind)
                                continue;
                        count++;
                        raw += (json_int_t)info.raw_size;
                        stored += (json_int_t)info.stored_size;
                }
                json_object_set_new(kinds, names[kind],
                        json_pack("{s:I, s:I, s:I}", "count", count, "size", raw, "stored_size",
                                stored));
        }
}

static int describe_all(const struct image_bundle *image, json_t *object)
{
        struct totals totals = {.uses = json_object()};
        json_t *trusted = json_array();
        char hex[FMT_DIGEST_HEX_SIZE];
        struct fmt_digest root;

        fmt_bundle_root(image->bundle, &root);
        fmt_digest_to_hex(&root, hex);
        json_object_set_new(object, "root", json_string(hex));
        json_object_set_new(object, "trusted", trusted);
        for (size_t i = 0; i < image->manifest->n_trusted; i++) {
                fmt_digest_to_hex(&image->manifest->trusted[i], hex);
                json_array_append_new(trusted, json_string(hex));
        }
        add_blobs(image->bundle, object);
        int r = add_programs(image, &totals, object);
        json_object_set_new(
                object, "modules", json_integer((json_int_t)json_object_size(totals.uses)));
        json_object_set_new(object, "module_references", json_integer(totals.references));
        json_decref(totals.uses);
        return r;
}

static int describe_one(
        const struct image_bundle *image, const char *path, const char *wanted, json_t *object)
{
        _cleanup_(fmt_record_freep) struct fmt_record *record = NULL;
        const char *within = wanted + strspn(wanted, "/");
        const struct fmt_program *program =
                image->manifest ? fmt_manifest_find(image->manifest, within) : NULL;

        if (!program) {
                fmt_error("%s is no portable object of %s; `xaas inspect %s` lists those that are",
                        wanted, path, path);
                return -ENOENT;
        }
        json_object_set_new(object, "program", describe_program(program));
        int r = read_record(image, program, &record);
        return r < 0 ? r : inspect_record(record, image->bundle, NULL, object);
}

int inspect_image(const char *path, const char *program, json_t *object)
{
        struct image_bundle image;

        json_object_set_new(object, "kind", json_string("image"));
        int r = image_bundle_open(path, NULL, &image);
        if (r < 0)
                return r;
        if (program)
                r = describe_one(&image, path, program, object);
        else if (image.bundle)
                r = describe_all(&image, object);
        else
                json_object_set_new(object, "programs", json_array());
        image_bundle_done(&image);
        return r;
}
