/* SPDX-License-Identifier: Apache-2.0 */
/* Where a cache may be, and that scratch folders go away however they were left. */
#include "cache_scratch.h"

static int open_at(const char *below)
{
        struct cache_options options = {.directory = scratch_path(below)};
        struct cache *cache;
        int r = cache_open(&options, &cache);

        if (r == 0)
                cache_close(cache);
        return r;
}

static void make(const char *below, mode_t mode)
{
        REQUIRE(mkdir(scratch_path(below), mode) == 0 && chmod(scratch_path(below), mode) == 0);
}

static mode_t mode_of(const char *below)
{
        struct stat st;

        return stat(scratch_path(below), &st) < 0 ? 0 : st.st_mode & 07777;
}

static void test_who_may_write(void)
{
        CHECK(open_at("a/b/c") == 0);
        CHECK(mode_of("a") == 0700 && mode_of("a/b/c/v1/objects") == 0700);

        make("group", 0770);
        CHECK(open_at("group") == -EPERM && open_at("group/below") == -EPERM);
        make("world", 0777);
        CHECK(open_at("world/below") == -EPERM);
        make("sticky", 01777);
        CHECK(open_at("sticky/below") == 0 && open_at("sticky") == -EPERM);
        make("readable", 0755);
        CHECK(open_at("readable") == 0 && mode_of("readable/v1/objects") == 0755);
}

static void test_links(void)
{
        make("real", 0700);
        REQUIRE(symlink("real", scratch_path("link")) == 0);
        CHECK(open_at("link/cache") == 0 && mode_of("real/cache/v1") == 0700);
        CHECK(open_at("real/../link/cache/.//") == 0);
        REQUIRE(symlink("loop", scratch_path("loop")) == 0);
        CHECK(open_at("loop/cache") == -ELOOP);
        make("elsewhere", 0700);
        REQUIRE(rmdir(scratch_path("real/cache/v1/jobs")) == 0);
        REQUIRE(symlink(scratch, scratch_path("real/cache/v1/jobs")) == 0);
        CHECK(open_at("real/cache") < 0);
        REQUIRE(close(creat(scratch_path("file"), 0600)) == 0);
        CHECK(open_at("file") == -ENOTDIR);
}

static void test_other_owners(void)
{
        if (geteuid() != 0)
                return;
        make("theirs", 0755);
        REQUIRE(chown(scratch_path("theirs"), 4711, 4711) == 0);
        CHECK(open_at("theirs") == -EPERM && open_at("theirs/below") == -EPERM);
        make("public", 01777);
        REQUIRE(symlink(scratch_path("a"), scratch_path("public/planted")) == 0);
        REQUIRE(lchown(scratch_path("public/planted"), 4711, 4711) == 0);
        CHECK(open_at("public/planted") == -EPERM);
}

static void test_default_place(void)
{
        struct cache_options options = {0};
        struct cache *cache;

        REQUIRE(setenv("XDG_CACHE_HOME", scratch_path("xdg"), 1) == 0);
        REQUIRE(unsetenv("XAASFS_CACHE") == 0);
        REQUIRE(cache_open(&options, &cache) == 0);
        CHECK(!strcmp(cache_directory(cache), scratch_path("xdg/xaasfs")));
        cache_close(cache);
        REQUIRE(setenv("XAASFS_CACHE", scratch_path("own"), 1) == 0);
        REQUIRE(cache_open(&options, &cache) == 0);
        CHECK(!strcmp(cache_directory(cache), scratch_path("own")));
        cache_close(cache);
        REQUIRE(unsetenv("XAASFS_CACHE") == 0 && setenv("XDG_CACHE_HOME", "relative", 1) == 0 &&
                setenv("HOME", scratch_path("home"), 1) == 0);
        REQUIRE(cache_open(&options, &cache) == 0);
        CHECK(!strcmp(cache_directory(cache), scratch_path("home/.cache/xaasfs")));
        cache_close(cache);
}

/* A worker that was taken over may leave anything in its folder: also what is deeper than a path
 * can be long. */
static void fill_job(const char *path)
{
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        REQUIRE(fd >= 0 && symlinkat(scratch_path("keep"), fd, "link") == 0 &&
                mkfifoat(fd, "fifo", 0600) == 0 && mkdirat(fd, "moved-0", 0700) == 0);
        for (int depth = 0; depth < 600; depth++) {
                int below;
                REQUIRE(mkdirat(fd, "deeper", 0700) == 0);
                REQUIRE(close(openat(fd, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0)) == 0);
                below = openat(fd, "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                REQUIRE(below >= 0);
                if (depth % 100 == 7)
                        fchmod(fd, 0500);
                if (depth % 100 == 50)
                        fchmod(fd, 0);
                close(fd);
                fd = below;
        }
        close(fd);
}

static void test_jobs_go_away(void)
{
        struct cache *cache = scratch_cache(0);
        struct cache_job *job, *other;

        make("keep", 0700);
        REQUIRE(close(creat(scratch_path("keep/this"), 0600)) == 0);
        REQUIRE(cache_job_begin(cache, &job) == 0 && cache_job_begin(cache, &other) == 0);
        CHECK(strcmp(cache_job_path(job), cache_job_path(other)) != 0);
        fill_job(cache_job_path(job));
        /* gc leaves alone what is in use. */
        CHECK(cache_collect(cache, 0, NULL) == 0 && count_names("cache/v1/jobs") == 2);
        cache_job_end(job);
        CHECK(count_names("cache/v1/jobs") == 1 && count_names("keep") == 1);
        cache_job_end(other);
        cache_close(cache);
}

static void test_dead_jobs_are_collected(void)
{
        struct cache *cache = scratch_cache(0);
        pid_t child = fork();

        REQUIRE(child >= 0);
        if (child == 0) {
                struct cache *own = scratch_cache(0);
                struct cache_job *job;
                REQUIRE(cache_job_begin(own, &job) == 0);
                fill_job(cache_job_path(job));
                _exit(0);
        }
        CHECK(exit_status_of(child) == 0);
        CHECK(count_names("cache/v1/jobs") == 1);
        CHECK(cache_collect(cache, 0, NULL) == 0);
        CHECK(count_names("cache/v1/jobs") == 0);
        cache_close(cache);
}

/* Closed folders only stop who is not root. */
static void test_jobs_as_nobody(void)
{
        pid_t child;

        if (geteuid() != 0)
                return;
        child = fork();
        REQUIRE(child >= 0);
        if (child == 0) {
                REQUIRE(setgid(65534) == 0 && setuid(65534) == 0);
                scratch_make("/tmp");
                test_jobs_go_away();
                scratch_remove();
                _exit(unit_report());
        }
        CHECK(exit_status_of(child) == 0);
}

int main(void)
{
        umask(022);
        scratch_make(NULL);
        test_who_may_write();
        test_links();
        test_other_owners();
        test_default_place();
        test_jobs_go_away();
        test_dead_jobs_are_collected();
        test_jobs_as_nobody();
        scratch_remove();
        return unit_report();
}
