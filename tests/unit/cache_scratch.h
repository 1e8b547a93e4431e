/* SPDX-License-Identifier: Apache-2.0 */
/* A scratch cache for unit tests, with objects whose bytes follow from a number. */
#ifndef CACHE_SCRATCH_H
#define CACHE_SCRATCH_H

#include "cache_store.h"
#include "fmt_cleanup.h"
#include "unit_check.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char scratch[256];

static inline void scratch_remove(void)
{
        char command[300];

        snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
        if (scratch[0] && system(command) != 0)
                fprintf(stderr, "%s stays\n", scratch);
}

/* Below PARENT (NULL: $TMPDIR or /tmp). */
static inline void scratch_make(const char *parent)
{
        const char *temporary = getenv("TMPDIR");

        if (!parent)
                parent = temporary && *temporary ? temporary : "/tmp";
        snprintf(scratch, sizeof(scratch), "%s/xaasfs-cache-XXXXXX", parent);
        REQUIRE(mkdtemp(scratch));
}

/* Stays as it is for the next three calls. */
static inline const char *scratch_path(const char *below)
{
        static char paths[4][512];
        static unsigned next;
        char *path = paths[next++ % 4];

        snprintf(path, sizeof(paths[0]), "%s/%s", scratch, below);
        return path;
}

static inline struct cache *scratch_cache(uint64_t limit)
{
        char directory[512];
        struct cache_options options = {.directory = directory, .limit = limit};
        struct cache *cache;

        snprintf(directory, sizeof(directory), "%s/cache", scratch);
        REQUIRE(cache_open(&options, &cache) == 0);
        return cache;
}

static inline struct fmt_digest key_of(uint64_t number)
{
        struct fmt_digest key;

        REQUIRE(fmt_digest_of(&number, sizeof(number), &key) == 0);
        return key;
}

/* "cache/v1/objects/ab/cdef…SUFFIX" */
static inline const char *object_path(const struct fmt_digest *key, const char *suffix)
{
        char hex[FMT_DIGEST_HEX_SIZE], below[128];

        fmt_digest_to_hex(key, hex);
        snprintf(below, sizeof(below), "cache/v1/objects/%.2s/%s%s", hex, hex + 2, suffix);
        return scratch_path(below);
}

static inline int stage_object(
        struct cache *cache, uint64_t number, size_t elf_size, size_t size, int *ret_fd)
{
        _cleanup_free_ char *bytes = malloc(elf_size + 1);
        int r;

        REQUIRE(bytes);
        for (size_t i = 0; i < elf_size; i++)
                bytes[i] = (char)(number * 31 + i * 7 + i / 251);
        r = cache_stage(cache, elf_size, ret_fd);
        if (r < 0)
                return r;
        if (write(*ret_fd, bytes, elf_size) != (ssize_t)elf_size) {
                close(*ret_fd);
                return -ENOSPC;
        }
        return ftruncate(*ret_fd, (off_t)size) < 0 ? -errno : 0;
}

/* Publishes ELF_SIZE bytes that follow from NUMBER, padded to SIZE. */
static inline int publish_object(struct cache *cache, uint64_t number, size_t elf_size, size_t size)
{
        struct cache_meta meta = {.program = (char *)"usr/bin/thing",
                .target = (char *)"x86-64-v3",
                .policy = (char *)"opt=3",
                .elf_size = elf_size,
                .size = size,
                .compile_ns = 12345};
        struct fmt_digest key = key_of(number);
        _cleanup_close_ int fd = -1;
        int r = stage_object(cache, number, elf_size, size, &fd);

        return r < 0 ? r : cache_publish(cache, &key, fd, &meta);
}

static inline bool is_cached(struct cache *cache, uint64_t number)
{
        struct fmt_digest key = key_of(number);
        _cleanup_close_ int fd = -1;

        return cache_peek(cache, &key, &fd, NULL) == 0;
}

static inline uint64_t counter_of(struct cache *cache, enum cache_counter counter)
{
        struct cache_stats stats;

        REQUIRE(cache_stats(cache, &stats) == 0);
        return stats.counters[counter];
}

/* Names in a folder of the scratch folder, without "." and "..". -1: no such folder. */
static inline int count_names(const char *below)
{
        DIR *folder = opendir(scratch_path(below));
        int count = 0;

        if (!folder)
                return -1;
        while (readdir(folder))
                count++;
        closedir(folder);
        return count - 2;
}

/* Waits for CHILD; its exit status, or -1 if it was killed. */
static inline int exit_status_of(pid_t child)
{
        int status;

        REQUIRE(waitpid(child, &status, 0) == child);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
