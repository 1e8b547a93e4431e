/* SPDX-License-Identifier: Apache-2.0 */
/* Results of modules: who gets offered what, and that only whole ones are. */
#include "cache_modules.h"
#include "cache_scratch.h"

static const char *entry_name(unsigned number)
{
        static char name[64];

        snprintf(name, sizeof(name), "llvmcache-%040X", number);
        return name;
}

static struct cache_job *new_job(struct cache *cache)
{
        struct cache_job *job;

        REQUIRE(cache_job_begin(cache, &job) == 0);
        return job;
}

static const char *in_job(const struct cache_job *job, const char *name)
{
        static char path[600];

        snprintf(path, sizeof(path), "%s/%s", cache_job_path(job), name);
        return path;
}

static void write_entry(const struct cache_job *job, unsigned number, const char *text)
{
        int fd = open(
                in_job(job, entry_name(number)), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

        REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        close(fd);
}

static bool reads(const struct cache_job *job, unsigned number, const char *text)
{
        char bytes[64] = "";
        int fd = open(in_job(job, entry_name(number)), O_RDONLY | O_CLOEXEC);
        ssize_t size = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes) - 1);

        if (fd >= 0)
                close(fd);
        return size == (ssize_t)strlen(text) && !strcmp(bytes, text);
}

/* Compile KEY with modules FIRST and FIRST + 1 in SCOPE wrote what is in JOB. */
static unsigned import(struct cache *cache, unsigned scope, unsigned key, unsigned first,
        const struct cache_job *job)
{
        struct fmt_digest scope_digest = key_of(scope), key_digest = key_of(key);
        struct fmt_digest modules[] = {key_of(first), key_of(first + 1)};
        unsigned count = 99;

        CHECK(cache_modules_import(cache, &scope_digest, &key_digest, modules, 2,
                      cache_job_path(job), &count) == 0);
        return count;
}

static int seed(struct cache *cache, unsigned scope, unsigned trusted, unsigned module,
        struct cache_job **ret_job)
{
        struct fmt_digest scopes[] = {key_of(scope), key_of(trusted)};
        struct fmt_digest modules[] = {key_of(9999), key_of(module)};

        *ret_job = new_job(cache);
        return cache_modules_seed(
                cache, scopes, trusted ? 2 : 1, modules, 2, cache_job_path(*ret_job));
}

static int count_seeds(struct cache *cache, unsigned scope, unsigned trusted, unsigned module)
{
        struct cache_job *job;
        int count = seed(cache, scope, trusted, module, &job);

        cache_job_end(job);
        return count;
}

static void test_sharing(void)
{
        struct cache *cache = scratch_cache(0);
        struct cache_job *job = new_job(cache);

        write_entry(job, 1, "code of one");
        write_entry(job, 2, "code of two");
        CHECK(import(cache, 500, 1000, 10, job) == 2);
        cache_job_end(job);

        CHECK(seed(cache, 500, 0, 11, &job) == 2);
        CHECK(reads(job, 1, "code of one") && reads(job, 2, "code of two"));
        /* What was offered is nothing new. */
        write_entry(job, 3, "code of three");
        CHECK(import(cache, 500, 1001, 11, job) == 1);
        cache_job_end(job);

        CHECK(count_seeds(cache, 500, 0, 11) == 3);
        CHECK(count_seeds(cache, 500, 0, 10) == 2);
        CHECK(count_seeds(cache, 500, 0, 12) == 1);
        CHECK(count_seeds(cache, 500, 0, 13) == 0);
        /* Another image sees nothing of it, unless it trusts this one. */
        CHECK(count_seeds(cache, 501, 0, 11) == 0);
        CHECK(count_seeds(cache, 501, 500, 11) == 3);
        cache_close(cache);
}

/* What a worker that was taken over may leave in its folder. */
static void test_hostile_folder(void)
{
        struct cache *cache = scratch_cache(0);
        struct cache_job *job = new_job(cache);

        write_entry(job, 1, "good");
        REQUIRE(symlink("/etc/passwd", in_job(job, entry_name(2))) == 0);
        REQUIRE(mkfifo(in_job(job, entry_name(3)), 0600) == 0);
        REQUIRE(mkdir(in_job(job, entry_name(4)), 0700) == 0);
        REQUIRE(close(creat(in_job(job, "llvmcache.timestamp"), 0600)) == 0);
        REQUIRE(close(creat(in_job(job, "llvmcache-short"), 0600)) == 0);
        CHECK(import(cache, 510, 1010, 20, job) == 1);
        for (unsigned number = 10; number < 20; number++)
                write_entry(job, number, "more entries than modules");
        CHECK(import(cache, 510, 1011, 30, job) <= 2);
        cache_job_end(job);
        CHECK(count_seeds(cache, 510, 0, 20) == 1);
        cache_close(cache);
}

static const char *stored(unsigned scope, const char *folder, const char *name)
{
        struct fmt_digest digest = key_of(scope);
        char hex[FMT_DIGEST_HEX_SIZE], below[256];

        fmt_digest_to_hex(&digest, hex);
        snprintf(below, sizeof(below), "cache/v1/modules/%s/%s/%s", hex, folder, name);
        return scratch_path(below);
}

static void append(const char *path, const char *text)
{
        int fd;

        REQUIRE(chmod(path, 0600) == 0);
        fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
        REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        close(fd);
}

static void test_damage(void)
{
        struct cache *cache = scratch_cache(0);
        struct fmt_digest key = key_of(1020);
        struct cache_job *job = new_job(cache);
        struct cache_verdict verdict;
        char hex[FMT_DIGEST_HEX_SIZE];

        fmt_digest_to_hex(&key, hex);
        REQUIRE(cache_clear(cache, true, NULL) == 0);
        write_entry(job, 1, "first");
        write_entry(job, 2, "second");
        CHECK(import(cache, 520, 1020, 40, job) == 2);
        append(stored(520, "entries", entry_name(1)), "!");
        CHECK(count_seeds(cache, 520, 0, 40) == 1);
        CHECK(counter_of(cache, CACHE_DAMAGED) == 1);
        CHECK(access(stored(520, "entries", entry_name(1)), F_OK) < 0);

        /* It comes back with the next compile, and the other stays on the list. */
        REQUIRE(unlink(in_job(job, entry_name(2))) == 0);
        CHECK(import(cache, 520, 1020, 40, job) == 1);
        CHECK(count_seeds(cache, 520, 0, 40) == 2);

        append(stored(520, "entries", entry_name(2)), "!");
        CHECK(cache_verify(cache, NULL, NULL, &verdict) == 0);
        CHECK(verdict.checked == 2 && verdict.damaged == 1);
        append(stored(520, "jobs", hex), "X nonsense\n");
        CHECK(count_seeds(cache, 520, 0, 40) == 0);
        CHECK(access(stored(520, "jobs", hex), F_OK) < 0);
        cache_job_end(job);
        cache_close(cache);
}

static void make_old(const char *path)
{
        struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};

        REQUIRE(utimensat(AT_FDCWD, path, times, 0) == 0);
}

static void test_eviction_and_tidying(void)
{
        struct cache *cache = scratch_cache(0);
        struct cache_job *job = new_job(cache);
        struct cache_stats stats;

        REQUIRE(cache_clear(cache, true, NULL) == 0);
        write_entry(job, 1, "old");
        CHECK(import(cache, 530, 1030, 50, job) == 1);
        REQUIRE(unlink(in_job(job, entry_name(1))) == 0);
        write_entry(job, 2, "young");
        CHECK(import(cache, 531, 1031, 60, job) == 1);
        cache_job_end(job);
        make_old(stored(530, "entries", entry_name(1)));
        CHECK(cache_stats(cache, &stats) == 0 && stats.module_results == 2 && stats.objects == 0);
        CHECK(cache_collect(cache, stats.module_bytes - 1, NULL) == 0);
        CHECK(count_names("cache/v1/modules") == 1);
        CHECK(count_seeds(cache, 530, 0, 50) == 0 && count_seeds(cache, 531, 0, 60) == 1);
        CHECK(cache_collect(cache, 1, NULL) == 0);
        CHECK(count_names("cache/v1/modules") == 0);
        cache_close(cache);
}

static void test_seeding_marks_use(void)
{
        struct cache *cache = scratch_cache(0);
        struct cache_job *job = new_job(cache);
        struct stat st;

        write_entry(job, 1, "used");
        CHECK(import(cache, 540, 1040, 70, job) == 1);
        cache_job_end(job);
        make_old(stored(540, "entries", entry_name(1)));
        CHECK(count_seeds(cache, 540, 0, 70) == 1);
        CHECK(stat(stored(540, "entries", entry_name(1)), &st) == 0 && st.st_mtim.tv_sec > 2000);
        cache_close(cache);
}

int main(void)
{
        scratch_make(NULL);
        test_sharing();
        test_hostile_folder();
        test_damage();
        test_eviction_and_tidying();
        test_seeding_marks_use();
        scratch_remove();
        return unit_report();
}
