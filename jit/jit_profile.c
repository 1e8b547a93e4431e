/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_profile.h"

#include "cache_note.h"
#include "fmt_cleanup.h"
#include "fmt_json.h"
#include "fmt_whole.h"
#include "jit_key.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define KIND "profile"
#define KIND_DATA "profdata"
#define VERSION 1

int jit_profile_name(const struct fmt_variant *variant, struct fmt_digest *ret)
{
        return jit_key_of_note("xaasfs profile 1\n", NULL, variant, ret);
}

static int decode(const void *data, size_t size, struct jit_profile *ret)
{
        _cleanup_(fmt_json_decrefp) json_t *json = NULL;
        const char *program, *hex;
        json_int_t bytes, time, files;
        int version;
        struct jit_profile profile = {0};
        int r = fmt_json_parse(data, size, "a profile's note", &json);
        if (r < 0)
                return r;
        if (json_unpack(json, "{s:i, s:s, s:s, s:I, s:I, s:I !}", "version", &version, "program",
                    &program, "data", &hex, "size", &bytes, "time", &time, "files", &files) < 0 ||
                version != VERSION || fmt_digest_from_hex(hex, &profile.data) < 0 || bytes < 0 ||
                time < 0 || files < 0)
                return -EBADMSG;
        profile.size = (uint64_t)bytes;
        profile.time = (uint64_t)time;
        profile.files = (uint64_t)files;
        profile.program = strdup(program);
        if (profile.program == NULL)
                return -ENOMEM;
        *ret = profile;
        return 0;
}

int jit_profile_read(struct cache *cache, const struct fmt_digest *name, struct jit_profile *ret)
{
        _cleanup_free_ void *data = NULL;
        size_t size;
        int r = cache_note_read(cache, KIND, name, &data, &size);
        return r < 0 ? r : decode(data, size, ret);
}

/* The data first: whoever finds the note finds it. */
int jit_profile_write(struct cache *cache, const struct fmt_digest *name,
        struct jit_profile *profile, const void *data)
{
        _cleanup_(fmt_json_decrefp) json_t *json = NULL;
        _cleanup_free_ char *text = NULL;
        char hex[FMT_DIGEST_HEX_SIZE];
        size_t size;
        int r = fmt_digest_of(data, profile->size, &profile->data);
        if (r == 0)
                r = cache_note_write(cache, KIND_DATA, &profile->data, data, profile->size);
        if (r < 0)
                return r;
        fmt_digest_to_hex(&profile->data, hex);
        json = json_pack("{s:i, s:s, s:s, s:I, s:I, s:I}", "version", VERSION, "program",
                profile->program, "data", hex, "size", (json_int_t)profile->size, "time",
                (json_int_t)profile->time, "files", (json_int_t)profile->files);
        if (json == NULL)
                return -ENOMEM;
        r = fmt_json_dump(json, &text, &size);
        return r < 0 ? r : cache_note_write(cache, KIND, name, text, size);
}

static int is_of(void *context, const struct fmt_digest *name, const struct jit_profile *profile)
{
        (void)name;
        return fmt_digest_equal(context, &profile->data);
}

int jit_profile_remove(struct cache *cache, const struct fmt_digest *name)
{
        struct jit_profile profile = {0};
        const int known = jit_profile_read(cache, name, &profile);
        int r = cache_note_remove(cache, KIND, name);
        if (r == 0 && known == 0 && jit_profile_each(cache, is_of, &profile.data) == 0)
                cache_note_remove(cache, KIND_DATA, &profile.data);
        jit_profile_done(&profile);
        return r;
}

void jit_profile_done(struct jit_profile *profile)
{
        free(profile->program);
        *profile = (struct jit_profile){0};
}

int jit_profile_data(
        struct cache *cache, const struct fmt_digest *digest, void **ret, size_t *ret_size)
{
        _cleanup_free_ void *data = NULL;
        struct fmt_digest seen;
        int r = cache_note_read(cache, KIND_DATA, digest, &data, ret_size);
        if (r == 0)
                r = fmt_digest_of(data, *ret_size, &seen);
        if (r == 0 && !fmt_digest_equal(&seen, digest))
                r = -EBADMSG;
        if (r == 0)
                *ret = steal_pointer(&data);
        return r;
}

char *jit_profile_file_name(const char *folder, const char *path)
{
        char *name;
        return asprintf(&name, "%s/%s.profdata", folder, path) < 0 ? NULL : name;
}

int jit_profile_load_file(const char *file, void **ret, uint64_t *ret_size)
{
        static const unsigned char magic[] = {0xff, 'l', 'p', 'r', 'o', 'f', 'i', 0x81};
        _cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size > (off_t)CACHE_NOTE_MAX)
                return -EFBIG;
        const size_t size = (size_t)st.st_size;
        _cleanup_free_ char *data = malloc(size + 1);
        if (data == NULL)
                return -ENOMEM;
        int r = fmt_read_whole(fd, data, size, 0);
        if (r < 0)
                return r;
        if (size < sizeof magic || memcmp(data, magic, sizeof magic) != 0)
                return -EBADMSG;
        *ret = steal_pointer(&data);
        *ret_size = size;
        return 0;
}

struct each {
        struct cache *cache;
        int (*visit)(
                void *context, const struct fmt_digest *name, const struct jit_profile *profile);
        void *context;
};

static int visit_note(void *context, const struct fmt_digest *name)
{
        const struct each *each = context;
        struct jit_profile profile;
        if (jit_profile_read(each->cache, name, &profile) < 0)
                return 0;
        int r = each->visit(each->context, name, &profile);
        jit_profile_done(&profile);
        return r;
}

int jit_profile_each(struct cache *cache,
        int (*visit)(
                void *context, const struct fmt_digest *name, const struct jit_profile *profile),
        void *context)
{
        struct each each = {.cache = cache, .visit = visit, .context = context};
        return cache_note_each(cache, KIND, visit_note, &each);
}
