/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds: what goes first, what stays, full disks; verify, clear, and what dead processes left. */
#include "cache_scratch.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

#define OBJECT_SIZE ((size_t)100 << 10)

/* Sets the last use of object NUMBER to SECONDS ago. */
static void used_ago(uint64_t number, time_t seconds)
{
        struct fmt_digest key = key_of(number);
        struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - seconds}};

        REQUIRE(utimensat(AT_FDCWD, object_path(&key, ".meta"), times, 0) == 0);
}

static uint64_t bytes_used(struct cache *cache)
{
        struct cache_stats stats;

        REQUIRE(cache_stats(cache, &stats) == 0);
        return stats.object_bytes + stats.module_bytes;
}

static void test_order(void)
{
        struct cache *cache = scratch_cache(0);
        struct fmt_digest key = key_of(2);
        uint64_t freed = 0;
        int fd;

        for (uint64_t number = 0; number < 6; number++) {
                REQUIRE(publish_object(cache, number, OBJECT_SIZE, OBJECT_SIZE * 3) == 0);
                used_ago(number, 1000 - 100 * (time_t)number);
        }
        cache_close(cache);
        cache = scratch_cache(0);
        /* A hit makes it the last to go; an open descriptor survives. */
        REQUIRE(cache_lookup(cache, &key, &fd, NULL) == 0);
        CHECK(cache_collect(cache, bytes_used(cache) / 2, &freed) == 0);
        CHECK(freed >= 3 * OBJECT_SIZE && freed < 4 * OBJECT_SIZE);
        CHECK(!is_cached(cache, 0) && !is_cached(cache, 1) && is_cached(cache, 2));
        CHECK(!is_cached(cache, 3) && is_cached(cache, 4) && is_cached(cache, 5));
        CHECK(counter_of(cache, CACHE_EVICTIONS) == 3);
        CHECK(cache_collect(cache, 1, NULL) == 0 && !is_cached(cache, 2));
        CHECK(bytes_used(cache) == 0);
        {
                char bytes[16];
                CHECK(pread(fd, bytes, sizeof(bytes), 0) == sizeof(bytes) && bytes[0] == 62);
        }
        close(fd);
        cache_close(cache);
}

static void test_padding_is_free(void)
{
        struct cache *cache = scratch_cache(0);

        REQUIRE(publish_object(cache, 10, 4096, (size_t)1 << 30) == 0);
        CHECK(bytes_used(cache) < 64 << 10);
        CHECK(cache_clear(cache, true, NULL) == 0);
        cache_close(cache);
}

static void test_limit_at_publish(void)
{
        struct cache *cache = scratch_cache(10 * OBJECT_SIZE);

        for (uint64_t number = 20; number < 60; number++) {
                REQUIRE(publish_object(cache, number, OBJECT_SIZE, OBJECT_SIZE) == 0);
                CHECK(is_cached(cache, number));
                used_ago(number, 1000 - (time_t)number);
                CHECK(bytes_used(cache) <= 11 * OBJECT_SIZE + 8192);
        }
        CHECK(!is_cached(cache, 20) && counter_of(cache, CACHE_EVICTIONS) > 25);
        /* The limit holds for whoever names none: two bounds would undo each other's work. */
        cache_close(cache);
        cache = scratch_cache(0);
        CHECK(cache_limit(cache) == 10 * OBJECT_SIZE);
        REQUIRE(publish_object(cache, 60, OBJECT_SIZE, OBJECT_SIZE) == 0);
        CHECK(bytes_used(cache) <= 11 * OBJECT_SIZE + 8192);
        /* Larger than the limit: kept, as the only one. */
        CHECK(publish_object(cache, 61, 12 * OBJECT_SIZE, 12 * OBJECT_SIZE) == 0);
        CHECK(is_cached(cache, 61) && !is_cached(cache, 59));
        CHECK(cache_clear(cache, true, NULL) == 0);
        cache_close(cache);
        cache_close(scratch_cache(UINT64_C(10) << 30));
}

/* Somebody is about to publish it: its lock is held. */
static void test_locked_objects_stay(void)
{
        struct cache *cache = scratch_cache(0);
        struct fmt_digest key = key_of(70);
        struct cache_lock *lock;

        REQUIRE(publish_object(cache, 70, 5000, 5000) == 0);
        REQUIRE(publish_object(cache, 71, 5000, 5000) == 0);
        REQUIRE(cache_lock_take(cache, &key, false, &lock) == 0);
        CHECK(cache_collect(cache, 1, NULL) == 0);
        CHECK(is_cached(cache, 70) && !is_cached(cache, 71));
        CHECK(count_names("cache/v1/locks") == 1);
        cache_lock_release(lock);
        CHECK(cache_clear(cache, true, NULL) == 0);
        cache_close(cache);
}

static void make_old(const char *path)
{
        struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

        REQUIRE(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) == 0);
}

static void test_leftovers(void)
{
        struct cache *cache = scratch_cache(0);
        struct fmt_digest lone_record = key_of(80), lone_object = key_of(81), young = key_of(82);

        for (uint64_t number = 80; number < 84; number++)
                REQUIRE(publish_object(cache, number, 5000, 5000) == 0);
        REQUIRE(unlink(object_path(&lone_record, "")) == 0);
        make_old(object_path(&lone_record, ".meta"));
        REQUIRE(unlink(object_path(&lone_object, ".meta")) == 0);
        make_old(object_path(&lone_object, ""));
        REQUIRE(unlink(object_path(&young, "")) == 0);
        REQUIRE(close(creat(scratch_path("cache/v1/jobs/meta-0"), 0600)) == 0);
        make_old(scratch_path("cache/v1/jobs/meta-0"));
        REQUIRE(close(creat(scratch_path("cache/v1/jobs/meta-1"), 0600)) == 0);
        REQUIRE(close(creat(scratch_path("cache/v1/locks/abc"), 0600)) == 0);
        CHECK(cache_collect(cache, 0, NULL) == 0);
        CHECK(access(object_path(&lone_record, ".meta"), F_OK) < 0);
        CHECK(access(object_path(&lone_object, ""), F_OK) < 0);
        CHECK(access(object_path(&young, ".meta"), F_OK) == 0);
        CHECK(count_names("cache/v1/jobs") == 1 && count_names("cache/v1/locks") == 0);
        CHECK(is_cached(cache, 83));
        CHECK(cache_clear(cache, true, NULL) == 0);
        cache_close(cache);
}

static void remember(void *context, const char *what, const char *why)
{
        CHECK(*why);
        snprintf(context, 256, "%s", what);
}

static void test_verify_and_clear(void)
{
        struct cache *cache = scratch_cache(0);
        struct fmt_digest key = key_of(91);
        struct cache_verdict verdict;
        char reported[256] = "";
        uint64_t freed = 0;

        for (uint64_t number = 90; number < 95; number++)
                REQUIRE(publish_object(cache, number, 5000, 9000) == 0);
        CHECK(cache_verify(cache, NULL, NULL, &verdict) == 0);
        CHECK(verdict.checked == 5 && verdict.damaged == 0);
        REQUIRE(chmod(object_path(&key, ""), 0600) == 0 &&
                truncate(object_path(&key, ""), 8999) == 0);
        CHECK(cache_verify(cache, remember, reported, &verdict) == 0);
        CHECK(verdict.checked == 5 && verdict.damaged == 1);
        CHECK(strlen(reported) > 20 && strstr(object_path(&key, ""), reported));
        CHECK(!is_cached(cache, 91) && is_cached(cache, 90));
        CHECK(cache_verify(cache, remember, reported, &verdict) == 0 && verdict.checked == 4);

        cache_count(cache, CACHE_COMPILES, 3);
        CHECK(cache_clear(cache, false, &freed) == 0 && freed >= 4 * 5000);
        CHECK(!is_cached(cache, 90) && bytes_used(cache) == 0);
        CHECK(counter_of(cache, CACHE_COMPILES) == 3);
        CHECK(cache_clear(cache, true, &freed) == 0 && freed == 0);
        CHECK(counter_of(cache, CACHE_COMPILES) == 0);
        cache_close(cache);
}

static uint64_t free_bytes(void)
{
        struct statvfs fs;

        REQUIRE(statvfs(scratch, &fs) == 0);
        return (uint64_t)fs.f_bavail * fs.f_frsize;
}

/* Leaves at most LEAVE bytes free. */
static void fill_disk(const char *below, uint64_t leave)
{
        static const char block[4096] = "x";
        int fd = open(scratch_path(below), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

        REQUIRE(fd >= 0);
        while (free_bytes() > leave && write(fd, block, sizeof(block)) > 0)
                ;
        close(fd);
}

/* In a file system of 16 MiB: the cache gives way, others get their headroom, a full disk is an
 * error and leaves nothing behind. */
static void on_a_small_disk(void)
{
        const size_t size = (size_t)1 << 20;
        struct cache *cache = scratch_cache(0);
        struct fmt_digest key = key_of(199);
        _cleanup_close_ int fd = -1;
        struct cache_meta meta = {.elf_size = 5000, .size = 5000};
        struct cache_verdict verdict;

        for (uint64_t number = 100; number < 150; number++) {
                CHECK(publish_object(cache, number, size, size) == 0);
                used_ago(number, 1000 - (time_t)number);
                CHECK(free_bytes() > size / 2);
        }
        CHECK(is_cached(cache, 149) && is_cached(cache, 145) && !is_cached(cache, 100));
        CHECK(cache_verify(cache, NULL, NULL, &verdict) == 0 && verdict.damaged == 0);

        CHECK(cache_clear(cache, true, NULL) == 0);
        REQUIRE(stage_object(cache, 199, 5000, 5000, &fd) == 0);
        fill_disk("filler", 0);
        CHECK(publish_object(cache, 198, size, size) == -ENOSPC);
        CHECK(!is_cached(cache, 198));
        /* This one has its bytes on disk already; a record no longer fits, or just so. */
        if (cache_publish(cache, &key, fd, &meta) < 0)
                CHECK(!is_cached(cache, 199));
        cache_count(cache, CACHE_COMPILES, 1);
        CHECK(counter_of(cache, CACHE_COMPILES) == 1);
        REQUIRE(unlink(scratch_path("filler")) == 0);
        CHECK(publish_object(cache, 198, 5000, 5000) == 0 && is_cached(cache, 198));
        CHECK(cache_verify(cache, NULL, NULL, &verdict) == 0 && verdict.damaged == 0);
        cache_close(cache);
}

static bool write_text(const char *path, const char *text)
{
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

        return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* Without root: in a user namespace, where the owner of "/" is nobody that has a name. */
static bool may_mount(void)
{
        char user[32], group[32];

        if (geteuid() == 0)
                return unshare(CLONE_NEWNS) == 0;
        snprintf(user, sizeof(user), "0 %u 1", (unsigned)geteuid());
        snprintf(group, sizeof(group), "0 %u 1", (unsigned)getegid());
        return unshare(CLONE_NEWNS | CLONE_NEWUSER) == 0 &&
               write_text("/proc/self/uid_map", user) &&
               write_text("/proc/self/setgroups", "deny") &&
               write_text("/proc/self/gid_map", group);
}

static void test_small_disk(void)
{
        pid_t child = fork();

        REQUIRE(child >= 0);
        if (child == 0) {
                if (!may_mount() || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                        mount("none", scratch, "tmpfs", 0, "size=16m,mode=0700") < 0) {
                        printf("the small disk is left out: no right to mount a tmpfs\n");
                        _exit(0);
                }
                on_a_small_disk();
                _exit(unit_report());
        }
        CHECK(exit_status_of(child) == 0);
}

int main(void)
{
        scratch_make(NULL);
        test_order();
        test_padding_is_free();
        test_limit_at_publish();
        test_locked_objects_stay();
        test_leftovers();
        test_verify_and_clear();
        test_small_disk();
        scratch_remove();
        return unit_report();
}
