/* SPDX-License-Identifier: Apache-2.0 */
/* Indexes of images in the cache: what is kept is found, whole, or not at all. */
#include "cache_index.h"
#include "cache_scratch.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define SMALL ((size_t)100 << 10)
/* Too large to be compared before it is used. */
#define LARGE ((size_t)17 << 20)

static struct fmt_image_identity image_of(uint64_t number)
{
        struct fmt_image_identity image = {.device = 1, .inode = number, .size = 1 << 20};

        return image;
}

static struct fmt_index_origin made(uint64_t number, size_t size)
{
        unsigned char *bytes = malloc(size);

        REQUIRE(bytes);
        for (size_t i = 0; i < size; i++)
                bytes[i] = (unsigned char)(number * 31 + i * 7 + i / 251);
        return (struct fmt_index_origin){
                .data = bytes, .size = size, .image = image_of(number), .may_be_kept = true};
}

static int keep(struct cache *cache, uint64_t number, size_t size)
{
        struct fmt_index_origin origin = made(number, size);
        int r = cache_index_keep(cache, &origin);

        free((void *)origin.data);
        return r;
}

/* Whether it is found, and then is what was kept. */
static bool is_found(struct cache *cache, uint64_t number, size_t size)
{
        struct fmt_image_identity image = image_of(number);
        struct fmt_index_origin origin;
        size_t found_size = 0;
        void *map;

        if (cache_index_find(cache, &image, &map, &found_size) < 0)
                return false;
        origin = made(number, size);
        CHECK(found_size == size && !memcmp(map, origin.data, size));
        free((void *)origin.data);
        munmap(map, found_size);
        return true;
}

/* The path of the only index there is. */
static const char *only_path(void)
{
        DIR *folder = opendir(scratch_path("cache/v1/indexes"));
        char below[64] = "";
        struct dirent *entry;

        REQUIRE(folder);
        while ((entry = readdir(folder)))
                if (entry->d_name[0] != '.') {
                        REQUIRE(!below[0]);
                        snprintf(below, sizeof(below), "cache/v1/indexes/%.32s", entry->d_name);
                }
        closedir(folder);
        REQUIRE(below[0]);
        return scratch_path(below);
}

static void flip(const char *path, off_t at)
{
        int fd;
        char byte;

        REQUIRE(chmod(path, 0600) == 0);
        fd = open(path, O_RDWR);
        REQUIRE(fd >= 0 && pread(fd, &byte, 1, at) == 1);
        byte = (char)(byte ^ 0x10);
        REQUIRE(pwrite(fd, &byte, 1, at) == 1);
        close(fd);
}

static void test_kept_and_found(void)
{
        struct cache *cache = scratch_cache(0);
        struct fmt_index_origin origin = made(2, SMALL);
        struct stat st;

        CHECK(!is_found(cache, 1, SMALL));
        CHECK(keep(cache, 1, SMALL) == 0);
        CHECK(is_found(cache, 1, SMALL) && !is_found(cache, 2, SMALL));
        REQUIRE(stat(only_path(), &st) == 0);
        CHECK((st.st_mode & 07777) == 0400);
        origin.may_be_kept = false;
        CHECK(cache_index_keep(cache, &origin) == 0 && !is_found(cache, 2, SMALL));
        CHECK(keep(cache, 2, 1) == 0 && is_found(cache, 2, 1));
        CHECK(keep(cache, 3, LARGE) == 0 && is_found(cache, 3, LARGE));
        CHECK(counter_of(cache, CACHE_INDEX_HITS) == 3 &&
                counter_of(cache, CACHE_INDEX_MISSES) == 3);
        CHECK(count_names("cache/v1/jobs") == 0);
        free((void *)origin.data);
        cache_close(cache);
}

/* Two mounts that made the same index at the same time: whoever maps one of them keeps it. */
static void test_kept_twice(void)
{
        struct cache *cache = scratch_cache(0);
        struct fmt_image_identity image = image_of(1);
        struct fmt_index_origin origin = made(1, SMALL);
        size_t size;
        void *map;

        REQUIRE(keep(cache, 1, SMALL) == 0);
        REQUIRE(cache_index_find(cache, &image, &map, &size) == 0);
        CHECK(keep(cache, 1, SMALL) == 0 && is_found(cache, 1, SMALL));
        CHECK(cache_clear(cache, false, NULL) == 0 && !is_found(cache, 1, SMALL));
        CHECK(size == SMALL && !memcmp(map, origin.data, SMALL));
        munmap(map, size);
        free((void *)origin.data);
        cache_close(cache);
}

static void test_damage(void)
{
        struct cache *cache = scratch_cache(0);
        struct stat st;

        REQUIRE(keep(cache, 1, SMALL) == 0 && stat(only_path(), &st) == 0);
        /* Everywhere in the footer, and here and there before it. */
        for (off_t at = 0; at < st.st_size; at += at < (off_t)SMALL ? 9973 : 1) {
                uint64_t damaged = counter_of(cache, CACHE_DAMAGED);
                REQUIRE(keep(cache, 1, SMALL) == 0);
                flip(only_path(), at);
                CHECK(!is_found(cache, 1, SMALL));
                CHECK(counter_of(cache, CACHE_DAMAGED) == damaged + 1);
                CHECK(count_names("cache/v1/indexes") == 0);
        }
        for (off_t size = 0; size < st.st_size; size += size < (off_t)SMALL ? 9973 : 17) {
                REQUIRE(keep(cache, 1, SMALL) == 0);
                REQUIRE(chmod(only_path(), 0600) == 0 && truncate(only_path(), size) == 0);
                CHECK(!is_found(cache, 1, SMALL) && count_names("cache/v1/indexes") == 0);
        }
        cache_close(cache);
}

/* Whole, but under the name of another image. */
static void test_wrong_name(void)
{
        struct cache *cache = scratch_cache(0);
        struct cache_verdict verdict;
        char one[512], moved[512];

        REQUIRE(keep(cache, 1, SMALL) == 0);
        snprintf(one, sizeof(one), "%s", only_path());
        snprintf(moved, sizeof(moved), "%s", scratch_path("moved"));
        REQUIRE(rename(one, moved) == 0 && keep(cache, 2, SMALL) == 0);
        REQUIRE(rename(moved, only_path()) == 0);
        CHECK(!is_found(cache, 2, SMALL) && !is_found(cache, 1, SMALL));
        CHECK(cache_verify(cache, NULL, NULL, &verdict) == 0 && verdict.damaged == 1);
        CHECK(count_names("cache/v1/indexes") == 0);
        cache_close(cache);
}

static void test_large_is_compared_later(void)
{
        struct cache *cache = scratch_cache(0);
        struct fmt_index_origin origin = made(1, LARGE);

        REQUIRE(cache_index_keep(cache, &origin) == 0);
        origin.is_kept = true;
        CHECK(cache_index_check(cache, &origin) == 0 && is_found(cache, 1, LARGE));
        flip(only_path(), (off_t)LARGE / 2);
        CHECK(cache_index_check(cache, &origin) == -EBADMSG);
        CHECK(count_names("cache/v1/indexes") == 0);
        CHECK(cache_index_check(cache, &origin) == 0);
        free((void *)origin.data);
        cache_close(cache);
}

/* What hashes as it should and still is no index can only come from a defect of ours. */
static void test_verify_looks_inside(void)
{
        struct cache *cache = scratch_cache(0);
        struct cache_verdict verdict;

        REQUIRE(keep(cache, 1, SMALL) == 0);
        CHECK(cache_verify(cache, NULL, NULL, &verdict) == 0);
        CHECK(verdict.checked == 1 && verdict.damaged == 1 && count_names("cache/v1/indexes") == 0);
        cache_close(cache);
}

static void test_bounds(void)
{
        struct cache *cache = scratch_cache(10 * SMALL);
        struct cache_stats stats;
        uint64_t freed;

        for (uint64_t number = 0; number < 30; number++) {
                REQUIRE(keep(cache, number, SMALL) == 0);
                CHECK(is_found(cache, number, SMALL));
        }
        CHECK(!is_found(cache, 0, SMALL) && counter_of(cache, CACHE_EVICTIONS) > 15);
        REQUIRE(cache_stats(cache, &stats) == 0);
        CHECK(stats.indexes > 5 && stats.indexes < 11 && stats.index_bytes <= 11 * SMALL);
        CHECK(cache_collect(cache, 1, &freed) == 0 && freed == stats.index_bytes);
        REQUIRE(cache_stats(cache, &stats) == 0);
        CHECK(stats.indexes == 0 && stats.index_bytes == 0);
        cache_close(cache);
        cache_close(scratch_cache((uint64_t)10 << 30));
}

static void test_read_only(void)
{
        struct cache_options options = {.directory = scratch_path("cache"), .read_only = true};
        struct cache *cache = scratch_cache(0);

        REQUIRE(keep(cache, 1, SMALL) == 0);
        cache_close(cache);
        REQUIRE(cache_open(&options, &cache) == 0);
        CHECK(is_found(cache, 1, SMALL) && !is_found(cache, 2, SMALL));
        CHECK(keep(cache, 2, SMALL) == -EROFS);
        flip(only_path(), 0);
        CHECK(!is_found(cache, 1, SMALL) && count_names("cache/v1/indexes") == 1);
        cache_close(cache);
}

/* A disk without room: nothing is kept, nothing is left. */
static void test_no_room(void)
{
        pid_t child = fork();

        if (child == 0) {
                struct cache *cache = scratch_cache(0);
                struct rlimit limit = {SMALL / 2, SMALL / 2};

                signal(SIGXFSZ, SIG_IGN);
                REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
                CHECK(keep(cache, 7, SMALL) < 0);
                CHECK(!is_found(cache, 7, SMALL) && count_names("cache/v1/jobs") == 0);
                cache_close(cache);
                _exit(unit_report());
        }
        CHECK(exit_status_of(child) == 0);
}

int main(void)
{
        void (*const tests[])(void) = {test_kept_and_found, test_kept_twice, test_damage,
                test_wrong_name, test_large_is_compared_later, test_verify_looks_inside,
                test_bounds, test_read_only, test_no_room};

        scratch_make(NULL);
        atexit(scratch_remove);
        for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
                struct cache *cache = scratch_cache(0);
                REQUIRE(cache_clear(cache, true, NULL) == 0);
                cache_close(cache);
                tests[i]();
        }
        return unit_report();
}
