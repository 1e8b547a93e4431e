/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_layers.h"
#include "fmt_cleanup.h"
#include "fmt_digest.h"
#include "fmt_log.h"

#include <archive.h>
#include <archive_entry.h>
#include <jansson.h>
#include <string.h>

#define MAX_DOCUMENT ((la_int64_t)4 << 20) /* bytes of a JSON document */
#define MAX_NESTING 4                      /* an index may name an index */
#define READ_SIZE ((size_t)256 << 10)

static void decref(json_t **value)
{
        json_decref(*value);
}

static void free_archive(struct archive **archive)
{
        archive_read_free(*archive);
}

static int refuse(const char *what, const char *why)
{
        fmt_error("cannot pack this container image: %s %s; export it with `podman create` and "
                  "`podman export`, and pack the result",
                what, why);
        return -EINVAL;
}

/* ---- bytes of a file of the image, in place ---- */

struct blob {
        int fd; /* borrowed, or the same as `own` */
        int own;
        off_t at;
        off_t end;
        char *buffer;
};

static void blob_done(struct blob *blob)
{
        if (blob->own >= 0)
                close(blob->own);
        free(blob->buffer);
}

/* Docker archives have one layer under several names, as a link from one folder to the next. */
static const struct pack_file *find_file(const struct pack_scan *image, const char *path)
{
        const struct pack_file *file = pack_scan_find(image, path);

        if (file && archive_entry_filetype(file->meta) == AE_IFLNK) {
                const char *target = archive_entry_symlink(file->meta);
                file = target && !strncmp(target, "../", 3) ? pack_scan_find(image, target + 3)
                                                            : NULL;
        }
        return file && archive_entry_filetype(file->meta) == AE_IFREG ? file : NULL;
}

static int blob_open(const struct pack_scan *image, const char *path, struct blob *ret)
{
        const struct pack_file *file = find_file(image, path);
        struct blob blob = {.own = -1};

        if (!file)
                return refuse(path, "is not in it");
        la_int64_t size = archive_entry_size(file->meta);
        if (!file->source && file->n_extents == 1 && file->extents[0].at == 0 &&
                file->extents[0].length == (uint64_t)size) {
                blob.fd = image->tree->spool;
                blob.at = (off_t)file->extents[0].spool;
        } else {
                int r = pack_file_open(image->tree, file, &blob.own);
                if (r < 0)
                        return refuse(path, "cannot be read");
                blob.fd = blob.own;
        }
        blob.end = blob.at + size;
        blob.buffer = malloc(READ_SIZE);
        if (!blob.buffer) {
                blob_done(&blob);
                return -ENOMEM;
        }
        *ret = blob;
        return 0;
}

/* Bytes read into the buffer, 0 at the end, or a negative errno. */
static ssize_t blob_read(struct blob *blob)
{
        size_t want = blob->end - blob->at < (off_t)READ_SIZE ? (size_t)(blob->end - blob->at)
                                                              : READ_SIZE;
        ssize_t got;

        do
                got = pread(blob->fd, blob->buffer, want, blob->at);
        while (got < 0 && errno == EINTR);
        if (got < 0)
                return -errno;
        blob->at += got;
        return got;
}

/* OCI names blobs by digest: blobs/sha256/HEX. Others have no claim to check. */
static int blob_check(struct blob *blob, const char *path)
{
        struct fmt_digest_state *state;
        struct fmt_digest wanted;
        struct fmt_digest seen;
        off_t start = blob->at;
        ssize_t got;

        if (strncmp(path, "blobs/sha256/", 13) != 0)
                return 0;
        if (fmt_digest_from_hex(path + 13, &wanted) < 0)
                return refuse(path, "is no digest");
        int r = fmt_digest_begin(&state);
        if (r < 0)
                return r;
        while ((got = blob_read(blob)) > 0)
                fmt_digest_update(state, blob->buffer, (size_t)got);
        r = fmt_digest_finish(state, &seen);
        blob->at = start;
        if (got < 0 || r < 0)
                return refuse(path, "cannot be read");
        return fmt_digest_equal(&wanted, &seen) ? 0 : refuse(path, "is not what its digest says");
}

/* ---- documents ---- */

static int read_json(const struct pack_scan *image, const char *path, json_t **ret)
{
        _cleanup_(blob_done) struct blob blob = {.own = -1};

        int r = blob_open(image, path, &blob);
        if (r < 0)
                return r;
        la_int64_t size = blob.end - blob.at;
        if (size > MAX_DOCUMENT)
                return refuse(path, "is too large");
        r = blob_check(&blob, path);
        if (r < 0)
                return r;
        _cleanup_free_ char *text = malloc((size_t)size + 1);
        if (!text)
                return -ENOMEM;
        size_t used = 0;
        ssize_t got;
        while ((got = blob_read(&blob)) > 0) {
                memcpy(text + used, blob.buffer, (size_t)got);
                used += (size_t)got;
        }
        *ret = json_loadb(text, used, JSON_REJECT_DUPLICATES, NULL);
        return *ret ? 0 : -EBADMSG;
}

static int need_json(const struct pack_scan *image, const char *path, json_t **ret)
{
        int r = read_json(image, path, ret);

        return r == -EBADMSG ? refuse(path, "is no JSON") : r;
}

static int path_of_digest(const json_t *descriptor, char **ret)
{
        const char *digest = json_string_value(json_object_get(descriptor, "digest"));

        if (!digest || strncmp(digest, "sha256:", 7) != 0 || strchr(digest, '/'))
                return refuse("a part of it", "is not named by SHA-256");
        return asprintf(ret, "blobs/sha256/%s", digest + 7) < 0 ? -ENOMEM : 0;
}

static bool is_for_us(const json_t *descriptor)
{
        const json_t *platform = json_object_get(descriptor, "platform");
        const char *machine = json_string_value(json_object_get(platform, "architecture"));
        const char *system = json_string_value(json_object_get(platform, "os"));

        return (!machine || !strcmp(machine, "amd64")) && (!system || !strcmp(system, "linux"));
}

/* The one image for x86-64 that an index names. */
static int choose(const json_t *manifests, char **ret)
{
        const json_t *chosen = NULL;
        const json_t *item;
        size_t index;

        json_array_foreach (manifests, index, item) {
                if (!is_for_us(item))
                        continue;
                if (chosen)
                        return refuse("the archive", "holds several images");
                chosen = item;
        }
        return chosen ? path_of_digest(chosen, ret) : refuse("the archive", "has none for x86-64");
}

/* ---- layers ---- */

static la_ssize_t read_some(struct archive *tar, void *context, const void **ret_data)
{
        struct blob *blob = context;
        ssize_t got = blob_read(blob);

        if (got < 0)
                archive_set_error(tar, (int)-got, "the layer cannot be read");
        *ret_data = blob->buffer;
        return got < 0 ? -1 : got;
}

static int read_layer(const struct pack_scan *image, struct pack_scan *scan, const char *path)
{
        _cleanup_(blob_done) struct blob blob = {.own = -1};
        _cleanup_(free_archive) struct archive *tar = pack_scan_new_archive();

        if (!tar)
                return -ENOMEM;
        int r = blob_open(image, path, &blob);
        if (r == 0)
                r = blob_check(&blob, path);
        if (r < 0)
                return r;
        scan->layer++;
        if (archive_read_open(tar, &blob, NULL, read_some, NULL) != ARCHIVE_OK)
                return refuse(path, archive_error_string(tar));
        return pack_scan_archive(scan, tar, path);
}

static int read_oci_layers(
        const struct pack_scan *image, struct pack_scan *scan, const json_t *layers)
{
        const json_t *layer;
        size_t index;

        json_array_foreach (layers, index, layer) {
                _cleanup_free_ char *path = NULL;
                int r = path_of_digest(layer, &path);
                if (r == 0)
                        r = read_layer(image, scan, path);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_oci(const struct pack_scan *image, struct pack_scan *scan)
{
        _cleanup_free_ char *path = strdup("index.json");

        for (int depth = 0; path && depth < MAX_NESTING; depth++) {
                _cleanup_(decref) json_t *document = NULL;
                int r = need_json(image, path, &document);
                if (r < 0)
                        return r;
                const json_t *layers = json_object_get(document, "layers");
                if (json_is_array(layers))
                        return read_oci_layers(image, scan, layers);
                free(steal_pointer(&path));
                r = choose(json_object_get(document, "manifests"), &path);
                if (r < 0)
                        return r;
        }
        return path ? refuse("its index", "leads nowhere") : -ENOMEM;
}

static int read_docker(const struct pack_scan *image, struct pack_scan *scan)
{
        _cleanup_(decref) json_t *document = NULL;
        const json_t *layer;
        size_t index;

        int r = need_json(image, "manifest.json", &document);
        if (r < 0)
                return r;
        if (json_array_size(document) != 1)
                return refuse("the archive", "holds several images");
        const json_t *layers = json_object_get(json_array_get(document, 0), "Layers");
        if (json_array_size(layers) == 0)
                return refuse("manifest.json", "names no layers");
        json_array_foreach (layers, index, layer) {
                if (!json_is_string(layer))
                        return refuse("manifest.json", "names a layer that is no file");
                r = read_layer(image, scan, json_string_value(layer));
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Other root file systems may have a manifest.json, too: this one names layers that are there. */
static bool is_docker(const struct pack_scan *image)
{
        const struct pack_file *file = find_file(image, "manifest.json");
        _cleanup_(decref) json_t *document = NULL;

        if (!file || archive_entry_size(file->meta) > MAX_DOCUMENT ||
                pack_file_starts_with(image->tree, file, "[", 1) <= 0 ||
                read_json(image, "manifest.json", &document) < 0)
                return false;
        const json_t *layers = json_object_get(json_array_get(document, 0), "Layers");
        const char *first = json_string_value(json_array_get(layers, 0));
        return first && find_file(image, first);
}

bool pack_layers_present(const struct pack_scan *image)
{
        return (find_file(image, "oci-layout") && find_file(image, "index.json")) ||
               is_docker(image);
}

int pack_layers_read(const struct pack_scan *image, struct pack_scan *scan)
{
        if (pack_scan_find(image, "oci-layout"))
                return read_oci(image, scan);
        return read_docker(image, scan);
}
