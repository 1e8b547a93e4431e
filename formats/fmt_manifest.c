/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_manifest.h"
#include "fmt_cleanup.h"
#include "fmt_json.h"
#include "fmt_log.h"

#include <limits.h>
#include <string.h>

#define MANIFEST_FORMAT "xaas-image"
#define MAX_TRUSTED 1024

#define PROMISE_SLACK (UINT64_C(256) << 10)
#define PROMISE_UNIT (UINT64_C(64) << 10)

uint64_t fmt_promised_size(uint64_t elf_size)
{
        if (elf_size > FMT_PROMISED_MAX / 4)
                return 0;
        return (2 * elf_size + PROMISE_SLACK + PROMISE_UNIT - 1) / PROMISE_UNIT * PROMISE_UNIT;
}

int fmt_manifest_new(struct fmt_manifest **ret)
{
        struct fmt_manifest *manifest = calloc(1, sizeof *manifest);

        if (!manifest)
                return -ENOMEM;
        manifest->version = FMT_IMAGE_VERSION;
        *ret = manifest;
        return 0;
}

void fmt_manifest_free(struct fmt_manifest *manifest)
{
        if (!manifest)
                return;
        for (size_t i = 0; i < manifest->n_programs; i++)
                free(manifest->programs[i].path);
        free(manifest->programs);
        free(manifest->trusted);
        free(manifest);
}

/* Both arrays grow when their count is a power of two. */
static size_t room_after(size_t count)
{
        return count ? count * 2 : 1;
}

int fmt_manifest_add(struct fmt_manifest *manifest, struct fmt_program **ret)
{
        size_t count = manifest->n_programs;

        if ((count & (count - 1)) == 0) {
                struct fmt_program *grown =
                        reallocarray(manifest->programs, room_after(count), sizeof *grown);
                if (!grown)
                        return -ENOMEM;
                manifest->programs = grown;
        }
        *ret = &manifest->programs[manifest->n_programs++];
        memset(*ret, 0, sizeof **ret);
        return 0;
}

int fmt_manifest_trust(struct fmt_manifest *manifest, const struct fmt_digest *root)
{
        size_t count = manifest->n_trusted;

        if ((count & (count - 1)) == 0) {
                struct fmt_digest *grown =
                        reallocarray(manifest->trusted, room_after(count), sizeof *grown);
                if (!grown)
                        return -ENOMEM;
                manifest->trusted = grown;
        }
        manifest->trusted[manifest->n_trusted++] = *root;
        return 0;
}

bool fmt_manifest_path_is_sane(const char *path)
{
        if (strlen(path) >= PATH_MAX || !fmt_json_string_is_clean(path))
                return false;
        for (;;) {
                size_t length = strcspn(path, "/");
                if (length == 0 || length > NAME_MAX || (length == 1 && path[0] == '.') ||
                        (length == 2 && path[0] == '.' && path[1] == '.'))
                        return false;
                path += length;
                if (*path++ == '\0')
                        return true;
        }
}

/* ---- decoding ---- */

static int refuse(const char *what, const char *value)
{
        fmt_debug("image manifest: %s \"%s\" is not valid", what, value);
        return -EBADMSG;
}

static int decode_program(json_t *value, struct fmt_manifest *manifest)
{
        const char *path, *record, *elf, *profile = NULL;
        json_int_t size, profile_time = 0;
        int baseline = 0;
        json_error_t error;
        struct fmt_program *program;

        if (json_unpack_ex(value, &error, JSON_STRICT, "{s:s, s:s, s:s, s:I, s?b, s?s, s?I}",
                    "path", &path, "record", &record, "elf", &elf, "size", &size, "baseline",
                    &baseline, "profile", &profile, "profile_time", &profile_time) < 0)
                return refuse("program", error.text);
        if (!fmt_manifest_path_is_sane(path))
                return refuse("path", path);
        if (manifest->n_programs > 0 &&
                strcmp(manifest->programs[manifest->n_programs - 1].path, path) >= 0)
                return refuse("order of path", path);
        if (size <= 0 || (uint64_t)size > FMT_PROMISED_MAX)
                return refuse("size of program", path);
        if (profile_time < 0 || (!profile && profile_time > 0))
                return refuse("profile of program", path);
        int r = fmt_manifest_add(manifest, &program);
        if (r < 0)
                return r;
        program->size = (uint64_t)size;
        program->baseline = baseline;
        program->has_profile = profile != NULL;
        program->profile_time = (uint64_t)profile_time;
        if (fmt_digest_from_hex(record, &program->record) < 0 ||
                fmt_digest_from_hex(elf, &program->elf) < 0 ||
                (profile != NULL && fmt_digest_from_hex(profile, &program->profile) < 0))
                r = refuse("digest of program", path);
        int copied = fmt_json_copy(path, &program->path);
        if (copied < 0) {
                manifest->n_programs--;
                return copied;
        }
        return r;
}

static int decode_trusted(const json_t *array, struct fmt_manifest *manifest)
{
        json_t *item;
        size_t index;
        struct fmt_digest root;

        if (array && (!json_is_array(array) || json_array_size(array) > MAX_TRUSTED))
                return refuse("trusted", "list");
        json_array_foreach (array, index, item) {
                if (!json_is_string(item) ||
                        fmt_digest_from_hex(json_string_value(item), &root) < 0)
                        return refuse("trusted", "root");
                if (index > 0 && fmt_digest_compare(&manifest->trusted[index - 1], &root) >= 0)
                        return refuse("trusted", "order");
                int r = fmt_manifest_trust(manifest, &root);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int decode_manifest(json_t *value, struct fmt_manifest *manifest)
{
        const char *format;
        json_int_t version;
        json_t *programs, *trusted = NULL, *item;
        size_t index;
        json_error_t error;

        /* A newer version may have keys that this one does not know. */
        if (json_unpack(value, "{s:s, s:I}", "format", &format, "version", &version) == 0 &&
                strcmp(format, MANIFEST_FORMAT) == 0 && version > FMT_IMAGE_VERSION)
                return -EPROTONOSUPPORT;
        if (json_unpack_ex(value, &error, JSON_STRICT, "{s:s, s:I, s:o, s?o}", "format", &format,
                    "version", &version, "programs", &programs, "trusted", &trusted) < 0)
                return refuse("document", error.text);
        if (strcmp(format, MANIFEST_FORMAT) != 0 || version != FMT_IMAGE_VERSION)
                return refuse("format", format);
        if (!json_is_array(programs))
                return refuse("programs", "no array");
        json_array_foreach (programs, index, item) {
                int r = decode_program(item, manifest);
                if (r < 0)
                        return r;
        }
        return decode_trusted(trusted, manifest);
}

int fmt_manifest_decode(const void *json, size_t size, struct fmt_manifest **ret)
{
        _cleanup_(fmt_json_decrefp) json_t *value = NULL;
        _cleanup_(fmt_manifest_freep) struct fmt_manifest *manifest = NULL;

        int r = fmt_json_parse(json, size, "image manifest", &value);
        if (r < 0)
                return r;
        r = fmt_manifest_new(&manifest);
        if (r < 0)
                return r;
        r = decode_manifest(value, manifest);
        if (r < 0)
                return r;
        *ret = steal_pointer(&manifest);
        return 0;
}

static int compare_paths(const void *a, const void *b)
{
        return strcmp(((const struct fmt_program *)a)->path, ((const struct fmt_program *)b)->path);
}

const struct fmt_program *fmt_manifest_find(const struct fmt_manifest *manifest, const char *path)
{
        struct fmt_program wanted = {.path = (char *)path};

        if (manifest->n_programs == 0)
                return NULL;
        return bsearch(
                &wanted, manifest->programs, manifest->n_programs, sizeof wanted, compare_paths);
}

/* ---- encoding ---- */

static json_t *encode_program(const struct fmt_program *program)
{
        char record[FMT_DIGEST_HEX_SIZE];
        char elf[FMT_DIGEST_HEX_SIZE];

        fmt_digest_to_hex(&program->record, record);
        fmt_digest_to_hex(&program->elf, elf);
        json_t *object = json_pack("{s:s, s:s, s:s, s:I}", "path", program->path, "record", record,
                "elf", elf, "size", (json_int_t)program->size);
        if (object && program->baseline)
                json_object_set_new(object, "baseline", json_true());
        if (object && program->has_profile) {
                fmt_digest_to_hex(&program->profile, elf);
                json_object_set_new(object, "profile", json_string(elf));
                if (program->profile_time > 0)
                        json_object_set_new(object, "profile_time",
                                json_integer((json_int_t)program->profile_time));
        }
        return object;
}

static int compare_roots(const void *a, const void *b)
{
        return fmt_digest_compare(a, b);
}

static int encode_trusted(struct fmt_manifest *manifest, json_t *object)
{
        json_t *array = json_array();
        char hex[FMT_DIGEST_HEX_SIZE];

        for (size_t i = 0; i < manifest->n_trusted; i++) {
                const struct fmt_digest *root = &manifest->trusted[i];
                if (i > 0 && fmt_digest_equal(root, root - 1))
                        continue;
                fmt_digest_to_hex(root, hex);
                if (json_array_append_new(array, json_string(hex)) < 0) {
                        json_decref(array);
                        return -ENOMEM;
                }
        }
        return json_object_set_new(object, "trusted", array) < 0 ? -ENOMEM : 0;
}

static int encode_parts(struct fmt_manifest *manifest, json_t *object)
{
        json_t *programs = json_array();

        if (json_object_set_new(object, "format", json_string(MANIFEST_FORMAT)) < 0 ||
                json_object_set_new(object, "version", json_integer(manifest->version)) < 0 ||
                json_object_set_new(object, "programs", programs) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < manifest->n_programs; i++)
                if (json_array_append_new(programs, encode_program(&manifest->programs[i])) < 0)
                        return -EINVAL;
        return manifest->n_trusted > 0 ? encode_trusted(manifest, object) : 0;
}

static void sort_parts(struct fmt_manifest *manifest)
{
        if (manifest->n_programs > 0)
                qsort(manifest->programs, manifest->n_programs, sizeof *manifest->programs,
                        compare_paths);
        if (manifest->n_trusted > 0)
                qsort(manifest->trusted, manifest->n_trusted, sizeof *manifest->trusted,
                        compare_roots);
}

int fmt_manifest_encode(struct fmt_manifest *manifest, char **ret_json, size_t *ret_size)
{
        _cleanup_(fmt_json_decrefp) json_t *object = json_object();
        _cleanup_(fmt_manifest_freep) struct fmt_manifest *again = NULL;
        _cleanup_free_ char *json = NULL;
        size_t size;

        sort_parts(manifest);
        int r = encode_parts(manifest, object);
        if (r < 0)
                return r;
        r = fmt_json_dump(object, &json, &size);
        if (r < 0)
                return r;
        /* Nobody may write what nobody would read. */
        r = fmt_manifest_decode(json, size, &again);
        if (r < 0)
                return r == -ENOMEM ? r : -EINVAL;
        *ret_json = steal_pointer(&json);
        *ret_size = size;
        return 0;
}
