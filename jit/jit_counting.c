/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_counting.h"

#include "cache_note.h"
#include "fmt_cleanup.h"
#include "fmt_json.h"
#include "fmt_strings.h"

#include <limits.h>
#include <string.h>

#define KIND "counting"
#define VERSION 1

bool jit_counting_has(const struct jit_counting *counting, const char *path)
{
        if (counting == NULL || counting->folder == NULL)
                return false;
        return counting->programs == NULL || fmt_strings_contain(counting->programs, path);
}

int jit_counting_check_folder(const char *folder, char **ret_reason)
{
        const char *what = folder[0] != '/'                   ? "it is no absolute path"
                           : strlen(folder) >= PATH_MAX - 256 ? "it is too long"
                           : strpbrk(folder, "\r\n") != NULL  ? "it has a line break in it"
                                                              : NULL;
        if (what == NULL)
                return 0;
        *ret_reason = strdup(what);
        return -EINVAL;
}

static int decode(const void *data, size_t size, struct jit_counting *ret)
{
        _cleanup_(fmt_json_decrefp) json_t *json = NULL;
        _cleanup_(jit_counting_done) struct jit_counting counting = {0};
        _cleanup_free_ char *reason = NULL;
        const char *folder;
        json_t *programs, *program;
        size_t i;
        int version;
        int r = fmt_json_parse(data, size, "what is being counted", &json);
        if (r < 0)
                return r;
        if (json_unpack(json, "{s:i, s:s, s:o !}", "version", &version, "folder", &folder,
                    "programs", &programs) < 0 ||
                version != VERSION || jit_counting_check_folder(folder, &reason) < 0)
                return -EBADMSG;
        counting.folder = strdup(folder);
        counting.programs = calloc(1, sizeof *counting.programs);
        if (counting.folder == NULL || counting.programs == NULL)
                return -ENOMEM;
        json_array_foreach (programs, i, program) {
                if (!json_is_string(program))
                        return -EBADMSG;
                r = fmt_strings_append(&counting.programs, json_string_value(program));
                if (r < 0)
                        return r;
        }
        *ret = counting;
        counting = (struct jit_counting){0};
        return 0;
}

int jit_counting_read(struct cache *cache, const struct fmt_digest *image, struct jit_counting *ret)
{
        _cleanup_free_ void *data = NULL;
        size_t size;
        int r = cache_note_read(cache, KIND, image, &data, &size);
        return r < 0 ? r : decode(data, size, ret);
}

int jit_counting_write(
        struct cache *cache, const struct fmt_digest *image, const struct jit_counting *counting)
{
        _cleanup_(fmt_json_decrefp) json_t *json = NULL;
        _cleanup_free_ char *text = NULL;
        json_t *programs = json_array();
        size_t size;
        for (char **program = counting->programs; program != NULL && *program != NULL; program++)
                json_array_append_new(programs, json_string(*program));
        json = json_pack("{s:i, s:s, s:o}", "version", VERSION, "folder", counting->folder,
                "programs", programs);
        if (json == NULL)
                return -EINVAL;
        int r = fmt_json_dump(json, &text, &size);
        return r < 0 ? r : cache_note_write(cache, KIND, image, text, size);
}

int jit_counting_remove(struct cache *cache, const struct fmt_digest *image)
{
        return cache_note_remove(cache, KIND, image);
}

void jit_counting_done(struct jit_counting *counting)
{
        free(counting->folder);
        fmt_strings_free(counting->programs);
        *counting = (struct jit_counting){0};
}
