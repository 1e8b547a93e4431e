/* SPDX-License-Identifier: Apache-2.0 */
/* What is published is found, as it was, by every process; what is damaged is not; counters count.
 */
#include "cache_scratch.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>

static void test_publish_and_find(void)
{
        struct cache *cache = scratch_cache(0);
        struct fmt_digest key = key_of(1);
        struct cache_meta meta;
        struct stat st;
        char byte = 'x';
        int fd = -1;

        CHECK(cache_lookup(cache, &key, &fd, NULL) == -ENOENT);
        CHECK(publish_object(cache, 1, 10000, 65536) == 0);
        REQUIRE(cache_lookup(cache, &key, &fd, &meta) == 0);
        CHECK(fstat(fd, &st) == 0 && st.st_size == 65536);
        CHECK(meta.elf_size == 10000 && meta.size == 65536 && meta.compile_ns == 12345);
        CHECK(!strcmp(meta.program, "usr/bin/thing") && !strcmp(meta.target, "x86-64-v3"));
        CHECK(!strcmp(meta.policy, "opt=3"));
        CHECK(pwrite(fd, &byte, 1, 0) < 0 && errno == EBADF);
        CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        CHECK(pread(fd, &byte, 1, 0) == 1 && byte == 31);
        CHECK(lseek(fd, 20000, SEEK_DATA) < 0 && errno == ENXIO);
        cache_meta_done(&meta);
        close(fd);

        CHECK(counter_of(cache, CACHE_HITS) == 1 && counter_of(cache, CACHE_MISSES) == 1);
        CHECK(counter_of(cache, CACHE_BYTES_PUBLISHED) == 10000);
        /* The same again is success, and changes nothing. */
        CHECK(publish_object(cache, 1, 10000, 65536) == 0);
        CHECK(counter_of(cache, CACHE_BYTES_PUBLISHED) == 10000);
        cache_close(cache);

        cache = scratch_cache(0);
        CHECK(is_cached(cache, 1) && !is_cached(cache, 2));
        CHECK(counter_of(cache, CACHE_HITS) == 1);
        cache_close(cache);
}

static void test_wrong_sizes_are_refused(void)
{
        struct cache *cache = scratch_cache(0);
        struct cache_meta meta = {.elf_size = 10, .size = 200};
        struct fmt_digest key = key_of(2);
        int fd;

        REQUIRE(stage_object(cache, 2, 100, 100, &fd) == 0);
        CHECK(cache_publish(cache, &key, fd, &meta) == -EINVAL);
        meta = (struct cache_meta){.elf_size = 101, .size = 100};
        CHECK(cache_publish(cache, &key, fd, &meta) == -EINVAL);
        CHECK(!is_cached(cache, 2));
        close(fd);
        cache_close(cache);
}

static void damage(const char *path, off_t offset)
{
        int fd;

        REQUIRE(chmod(path, 0600) == 0);
        fd = open(path, O_RDWR);
        REQUIRE(fd >= 0 && pwrite(fd, "~", 1, offset) == 1);
        close(fd);
}

/* Damages object NUMBER with HOW and expects it gone, counted, and published again. */
static void expect_taken_out(uint64_t number, void (*how)(const struct fmt_digest *key))
{
        struct cache *cache = scratch_cache(0);
        struct fmt_digest key = key_of(number);
        uint64_t before = counter_of(cache, CACHE_DAMAGED);
        int fd;

        REQUIRE(publish_object(cache, number, 5000, 8192) == 0);
        cache_close(cache);
        how(&key);
        cache = scratch_cache(0);
        CHECK(cache_lookup(cache, &key, &fd, NULL) == -ENOENT);
        CHECK(counter_of(cache, CACHE_DAMAGED) == before + 1);
        CHECK(access(object_path(&key, ""), F_OK) < 0);
        CHECK(publish_object(cache, number, 5000, 8192) == 0);
        CHECK(is_cached(cache, number));
        cache_close(cache);
}

static void flip_a_byte(const struct fmt_digest *key)
{
        damage(object_path(key, ""), 4999);
}

static void truncate_object(const struct fmt_digest *key)
{
        REQUIRE(chmod(object_path(key, ""), 0600) == 0);
        REQUIRE(truncate(object_path(key, ""), 4000) == 0);
}

static void damage_record(const struct fmt_digest *key)
{
        damage(object_path(key, ".meta"), 0);
}

static void empty_record(const struct fmt_digest *key)
{
        REQUIRE(truncate(object_path(key, ".meta"), 0) == 0);
}

static void let_others_write(const struct fmt_digest *key)
{
        REQUIRE(chmod(object_path(key, ""), 0666) == 0);
}

static void replace_by_link(const struct fmt_digest *key)
{
        char elsewhere[512];

        snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", scratch);
        REQUIRE(rename(object_path(key, ""), elsewhere) == 0);
        REQUIRE(symlink(elsewhere, object_path(key, "")) == 0);
}

/* A process that dies between record and object, or an eviction between object and record. */
static void test_half_an_object_is_none(void)
{
        struct cache *cache = scratch_cache(0);
        struct fmt_digest key = key_of(20);

        REQUIRE(publish_object(cache, 20, 5000, 8192) == 0);
        REQUIRE(unlink(object_path(&key, ".meta")) == 0);
        cache_close(cache);
        cache = scratch_cache(0);
        CHECK(!is_cached(cache, 20));
        CHECK(publish_object(cache, 20, 5000, 8192) == 0);
        CHECK(is_cached(cache, 20));
        REQUIRE(unlink(object_path(&key, "")) == 0);
        CHECK(!is_cached(cache, 20));
        CHECK(publish_object(cache, 20, 5000, 8192) == 0);
        CHECK(is_cached(cache, 20));
        cache_close(cache);
}

static void test_counters_survive_abuse(void)
{
        struct cache *cache = scratch_cache(0);
        const char *path = scratch_path("cache/v1/counters");
        int fd;

        REQUIRE(cache_clear(cache, true, NULL) == 0);
        cache_count(cache, CACHE_COMPILES, 2);
        CHECK(counter_of(cache, CACHE_COMPILES) == 2);
        /* Cut off while mapped: touching it would be a SIGBUS. */
        REQUIRE(truncate(path, 0) == 0);
        cache_count(cache, CACHE_COMPILES, 1);
        CHECK(counter_of(cache, CACHE_COMPILES) == 1);
        /* Removed while mapped: others must see what is counted from here on. */
        REQUIRE(unlink(path) == 0);
        cache_count(cache, CACHE_COMPILES, 5);
        cache_close(cache);
        cache = scratch_cache(0);
        CHECK(counter_of(cache, CACHE_COMPILES) == 5);
        cache_close(cache);
        /* Something else by that name. */
        fd = open(path, O_WRONLY | O_TRUNC);
        REQUIRE(fd >= 0 && write(fd, "not counters\n", 13) == 13);
        close(fd);
        cache = scratch_cache(0);
        CHECK(counter_of(cache, CACHE_COMPILES) == 0);
        cache_count(cache, CACHE_COMPILES, 1);
        CHECK(counter_of(cache, CACHE_COMPILES) == 1);
        cache_close(cache);
}

/* All processes count in one place, none loses a step. */
static void test_counters_are_shared(void)
{
        struct cache *cache = scratch_cache(0);
        uint64_t before = counter_of(cache, CACHE_MODULE_HITS);
        pid_t children[8];

        for (int i = 0; i < 8; i++) {
                children[i] = fork();
                REQUIRE(children[i] >= 0);
                if (children[i] == 0) {
                        struct cache *own = scratch_cache(0);
                        for (int j = 0; j < 5000; j++)
                                cache_count(own, CACHE_MODULE_HITS, 1);
                        _exit(0);
                }
        }
        for (int i = 0; i < 8; i++)
                CHECK(exit_status_of(children[i]) == 0);
        CHECK(counter_of(cache, CACHE_MODULE_HITS) == before + 8 * 5000);
        cache_close(cache);
}

static void test_read_only(void)
{
        char directory[512];
        struct cache_options options = {.directory = directory, .read_only = true};
        struct fmt_digest key = key_of(30);
        struct cache *cache = scratch_cache(0);
        struct cache_lock *lock;
        struct cache_job *job;
        int fd;

        snprintf(directory, sizeof(directory), "%s/cache", scratch);
        REQUIRE(publish_object(cache, 30, 5000, 8192) == 0);
        cache_close(cache);
        REQUIRE(cache_open(&options, &cache) == 0);
        CHECK(is_cached(cache, 30));
        CHECK(cache_lookup(cache, &key, &fd, NULL) == 0);
        close(fd);
        CHECK(publish_object(cache, 31, 5000, 8192) == -EROFS);
        CHECK(cache_collect(cache, 1, NULL) == -EROFS && cache_clear(cache, true, NULL) == -EROFS);
        CHECK(cache_lock_take(cache, &key, false, &lock) == 0);
        cache_lock_release(lock);
        REQUIRE(cache_job_begin(cache, &job) == 0);
        CHECK(!strstr(cache_job_path(job), "/cache/"));
        cache_job_end(job);
        cache_close(cache);

        snprintf(directory, sizeof(directory), "%s/not-there", scratch);
        CHECK(cache_open(&options, &cache) == -ENOENT);
        REQUIRE(mkdir(directory, 0700) == 0 && cache_open(&options, &cache) == 0);
        CHECK(!is_cached(cache, 30));
        cache_close(cache);
}

/* What holds as root must hold for a user without any rights, and without /proc. */
static void test_as_nobody(void)
{
        pid_t child;

        if (geteuid() != 0)
                return;
        child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
                struct cache *cache;
                REQUIRE(setgid(65534) == 0 && setuid(65534) == 0);
                scratch_make("/tmp");
                cache = scratch_cache(0);
                CHECK(publish_object(cache, 1, 10000, 65536) == 0 && is_cached(cache, 1));
                cache_close(cache);
                scratch_remove();
                _exit(unit_report());
        }
        CHECK(exit_status_of(child) == 0);
}

static void test_without_proc(void)
{
        pid_t child;

        if (geteuid() != 0)
                return;
        child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
                struct cache *cache;
                if (unshare(CLONE_NEWNS) < 0 ||
                        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                        mount("none", "/proc", "tmpfs", 0, NULL) < 0)
                        _exit(0);
                cache = scratch_cache(0);
                CHECK(publish_object(cache, 40, 10000, 65536) == 0 && is_cached(cache, 40));
                cache_close(cache);
                _exit(unit_report());
        }
        CHECK(exit_status_of(child) == 0);
}

int main(void)
{
        scratch_make(NULL);
        test_publish_and_find();
        test_wrong_sizes_are_refused();
        expect_taken_out(10, flip_a_byte);
        expect_taken_out(11, truncate_object);
        expect_taken_out(12, damage_record);
        expect_taken_out(13, empty_record);
        expect_taken_out(14, let_others_write);
        expect_taken_out(15, replace_by_link);
        test_half_an_object_is_none();
        test_counters_survive_abuse();
        test_counters_are_shared();
        test_read_only();
        test_as_nobody();
        test_without_proc();
        scratch_remove();
        return unit_report();
}
