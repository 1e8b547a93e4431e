/* SPDX-License-Identifier: Apache-2.0 */
/* Notes: written whole, read back whole, found by kind, kept by whatever empties the cache. */
#include "cache_note.h"
#include "cache_scratch.h"

static const char *note_path(const struct fmt_digest *name)
{
        char hex[FMT_DIGEST_HEX_SIZE], below[128];
        fmt_digest_to_hex(name, hex);
        snprintf(below, sizeof(below), "cache/v1/notes/choice/%s", hex);
        return scratch_path(below);
}

static void expect(struct cache *cache, const struct fmt_digest *name, const char *text)
{
        _cleanup_free_ void *data = NULL;
        size_t size = 0;
        REQUIRE(cache_note_read(cache, "choice", name, &data, &size) == 0);
        CHECK(size == strlen(text) && strcmp(data, text) == 0);
}

static int count(void *context, const struct fmt_digest *name)
{
        (void)name;
        ++*(unsigned *)context;
        return 0;
}

static unsigned notes(struct cache *cache, const char *kind)
{
        unsigned n = 0;
        REQUIRE(cache_note_each(cache, kind, count, &n) == 0);
        return n;
}

static void test_writing_and_reading(struct cache *cache)
{
        const struct fmt_digest one = key_of(1), two = key_of(2);
        void *data;
        size_t size;
        CHECK(notes(cache, "choice") == 0);
        CHECK(cache_note_read(cache, "choice", &one, &data, &size) == -ENOENT);
        CHECK(cache_note_remove(cache, "choice", &one) == -ENOENT);
        REQUIRE(cache_note_write(cache, "choice", &one, "first", 5) == 0);
        REQUIRE(cache_note_write(cache, "choice", &two, "", 0) == 0);
        expect(cache, &one, "first");
        expect(cache, &two, "");
        REQUIRE(cache_note_write(cache, "choice", &one, "another", 7) == 0);
        expect(cache, &one, "another");
        CHECK(notes(cache, "choice") == 2 && notes(cache, "profile") == 0);
        CHECK(cache_note_read(cache, "profile", &one, &data, &size) == -ENOENT);
        CHECK(cache_note_remove(cache, "choice", &two) == 0 && notes(cache, "choice") == 1);
}

static void test_clearing_keeps_them(struct cache *cache)
{
        const struct fmt_digest one = key_of(1);
        uint64_t freed;
        REQUIRE(cache_clear(cache, true, &freed) == 0);
        expect(cache, &one, "another");
}

static void test_damage(struct cache *cache)
{
        const struct fmt_digest one = key_of(1);
        void *data;
        size_t size;
        int fd = open(note_path(&one), O_WRONLY);
        REQUIRE(fd >= 0 && pwrite(fd, "b", 1, 2) == 1);
        CHECK(cache_note_read(cache, "choice", &one, &data, &size) == -EBADMSG);
        REQUIRE(ftruncate(fd, 3) == 0);
        CHECK(cache_note_read(cache, "choice", &one, &data, &size) == -EBADMSG);
        close(fd);
        REQUIRE(cache_note_write(cache, "choice", &one, "mended", 6) == 0);
        expect(cache, &one, "mended");
}

static void test_read_only(void)
{
        const struct cache_options options = {
                .directory = scratch_path("cache"), .read_only = true};
        const struct fmt_digest one = key_of(1);
        struct cache *cache;
        REQUIRE(cache_open(&options, &cache) == 0);
        expect(cache, &one, "mended");
        CHECK(cache_note_write(cache, "choice", &one, "x", 1) == -EROFS);
        CHECK(cache_note_remove(cache, "choice", &one) == -EROFS);
        cache_close(cache);
}

int main(void)
{
        scratch_make(NULL);
        struct cache *cache = scratch_cache(0);
        test_writing_and_reading(cache);
        test_clearing_keeps_them(cache);
        test_damage(cache);
        cache_close(cache);
        test_read_only();
        scratch_remove();
        return unit_report();
}
