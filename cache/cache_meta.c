/* SPDX-License-Identifier: Apache-2.0 */
/* The record beside an object:
 *
 *     {"version": 1, "program": "usr/bin/x", "target": "…", "policy": "…", "profile": "…",
 * "elf_size": N, "size": N, "compile_ns": N, "xxh3": "32 hexadecimal digits, high half first"}
 *
 * Records without "policy" are of a version that had none; "profile" is there where the program was
 * compiled with one. */
#include "cache_internal.h"

#include "fmt_cleanup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#define XXH3_HEX_SIZE 33

void cache_meta_done(struct cache_meta *meta)
{
        free(meta->program);
        free(meta->target);
        free(meta->policy);
        free(meta->profile);
        *meta = (struct cache_meta){0};
}

static int copy_string(const char *from, char **ret)
{
        *ret = from ? strdup(from) : NULL;
        return from && !*ret ? -ENOMEM : 0;
}

int cache_meta_copy(const struct cache_meta *meta, struct cache_meta *ret)
{
        *ret = *meta;
        ret->program = ret->target = ret->policy = ret->profile = NULL;
        if (copy_string(meta->program, &ret->program) == 0 &&
                copy_string(meta->target, &ret->target) == 0 &&
                copy_string(meta->policy, &ret->policy) == 0 &&
                copy_string(meta->profile, &ret->profile) == 0)
                return 0;
        cache_meta_done(ret);
        return -ENOMEM;
}

static void json_decref_pointer(json_t **json)
{
        json_decref(*json);
}

static int decode_xxh3(const char *hex, uint64_t ret[2])
{
        if (strlen(hex) != XXH3_HEX_SIZE - 1 ||
                strspn(hex, "0123456789abcdef") != XXH3_HEX_SIZE - 1)
                return -EBADMSG;
        if (sscanf(hex, "%16" SCNx64 "%16" SCNx64, &ret[1], &ret[0]) != 2)
                return -EBADMSG;
        return 0;
}

static int decode(const char *text, size_t size, struct cache_meta *ret)
{
        _cleanup_(json_decref_pointer) json_t *json =
                json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
        json_int_t elf_size, whole_size, compile_ns;
        const char *program, *target, *policy = NULL, *profile = NULL, *xxh3;
        struct cache_meta meta = {0};
        int version;

        if (!json || json_unpack(json, "{s:i, s:s, s:s, s?s, s?s, s:I, s:I, s:I, s:s !}", "version",
                             &version, "program", &program, "target", &target, "policy", &policy,
                             "profile", &profile, "elf_size", &elf_size, "size", &whole_size,
                             "compile_ns", &compile_ns, "xxh3", &xxh3) < 0)
                return -EBADMSG;
        if (version != 1 || elf_size < 0 || whole_size < elf_size || compile_ns < 0 ||
                decode_xxh3(xxh3, meta.xxh3) < 0)
                return -EBADMSG;
        meta.elf_size = (uint64_t)elf_size;
        meta.size = (uint64_t)whole_size;
        meta.compile_ns = (uint64_t)compile_ns;
        meta.program = (char *)program;
        meta.target = (char *)target;
        meta.policy = (char *)policy;
        meta.profile = (char *)profile;
        return cache_meta_copy(&meta, ret);
}

int cache_meta_read(int shelf, const char *name, struct cache_meta *ret)
{
        _cleanup_close_ int fd = -1;
        _cleanup_free_ char *text = NULL;
        struct stat st;
        ssize_t size;
        int r;

        r = cache_open_file(shelf, name, &fd, &st);
        if (r < 0)
                return r;
        /* What we write is below 1 KiB but for the target's description. */
        if (st.st_size > 1 << 20)
                return -EBADMSG;
        text = malloc((size_t)st.st_size + 1);
        if (!text)
                return -ENOMEM;
        size = pread(fd, text, (size_t)st.st_size, 0);
        if (size < 0)
                return -errno;
        return decode(text, (size_t)size, ret);
}

static char *encode(const struct cache_meta *meta)
{
        _cleanup_(json_decref_pointer) json_t *json = NULL;
        char xxh3[XXH3_HEX_SIZE];

        snprintf(xxh3, sizeof(xxh3), "%016" PRIx64 "%016" PRIx64, meta->xxh3[1], meta->xxh3[0]);
        json = json_pack("{s:i, s:s, s:s, s:s*, s:s*, s:I, s:I, s:I, s:s}", "version", 1, "program",
                meta->program ? meta->program : "", "target", meta->target ? meta->target : "",
                "policy", meta->policy, "profile", meta->profile, "elf_size",
                (json_int_t)meta->elf_size, "size", (json_int_t)meta->size, "compile_ns",
                (json_int_t)meta->compile_ns, "xxh3", xxh3);
        return json ? json_dumps(json, JSON_COMPACT) : NULL;
}

int cache_meta_write(
        struct cache *cache, int shelf, const char *name, const struct cache_meta *meta)
{
        _cleanup_free_ char *text = encode(meta);
        _cleanup_close_ int fd = -1;
        char temporary[CACHE_RANDOM_NAME_SIZE];
        int r = 0;

        /* A path that is no UTF-8 cannot be JSON; it is only there for people. */
        if (!text) {
                struct cache_meta nameless = *meta;
                nameless.program = nameless.target = nameless.policy = nameless.profile = NULL;
                text = encode(&nameless);
        }
        if (!text)
                return -ENOMEM;
        cache_random_name("meta", temporary);
        fd = openat(cache->jobs_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                0600 | (cache->share & 0044));
        if (fd < 0)
                return -errno;
        if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
                r = errno ? -errno : -EIO;
        else if (fsync(fd) < 0 || renameat(cache->jobs_fd, temporary, shelf, name) < 0)
                r = -errno;
        if (r < 0)
                unlinkat(cache->jobs_fd, temporary, 0);
        return r;
}
