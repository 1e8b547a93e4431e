/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: bench-readers walk ROOT            readdir and lstat of everything, as find -printf does
 *        bench-readers open COUNT ROOT      open and close the first COUNT files
 *        bench-readers read READERS ROOT    walk, then READERS threads read all files
 *        bench-readers sequence FILE...     read each from its beginning to its end
 *        bench-readers random COUNT FILE    read COUNT pages, always the same ones
 *        bench-readers exec COUNT ROOT PROGRAM [ARGUMENT...]    start it in ROOT, wait for its end
 *
 * Prints how many nanoseconds that took, how many of processor time (its own and that of programs
 * it started), and what was met: "NANOSECONDS PROCESSOR ENTRIES BYTES". In C and with neither
 * start-up nor printing inside of what is timed, so that what is compared are file systems.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What cat reads at once. */
#define READ_SIZE ((size_t)128 << 10)
#define PAGE_SIZE ((size_t)4 << 10)
/* Readers take so many files at a time, as the processes of xargs -P do. */
#define FILES_AT_ONCE 16
#define MOST_READERS 64

static struct {
        char **paths; /* regular files, in the order of the walk */
        size_t count;
        size_t entries; /* of any kind */
} found;

static atomic_size_t next_file;
static atomic_ullong bytes_read;

static __attribute__((noreturn)) void die(const char *what, const char *path)
{
        fprintf(stderr, "bench-readers: %s '%s': %s\n", what, path, strerror(errno));
        exit(1);
}

static uint64_t now(void)
{
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC, &time);
        return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* Of all threads, and of children that have ended. */
static uint64_t processor_time(void)
{
        uint64_t microseconds = 0;

        for (int i = 0; i < 2; i++) {
                struct rusage usage;
                getrusage(i == 0 ? RUSAGE_SELF : RUSAGE_CHILDREN, &usage);
                microseconds += (uint64_t)usage.ru_utime.tv_usec + (uint64_t)usage.ru_stime.tv_usec;
                microseconds +=
                        ((uint64_t)usage.ru_utime.tv_sec + (uint64_t)usage.ru_stime.tv_sec) *
                        1000000u;
        }
        return microseconds * 1000u;
}

static void remember(const char *folder, const char *name)
{
        if ((found.count & (found.count - 1)) == 0) {
                size_t room = found.count > 0 ? 2 * found.count : 1;
                found.paths = reallocarray(found.paths, room, sizeof(*found.paths));
        }
        if (!found.paths || asprintf(&found.paths[found.count], "%s/%s", folder, name) < 0)
                die("no memory for", name);
        found.count++;
}

static void walk(const char *path, bool keep)
{
        DIR *folder = opendir(path);
        struct dirent *entry;
        struct stat status;

        if (!folder)
                die("cannot open the folder", path);
        while ((errno = 0, entry = readdir(folder)) != NULL) {
                if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
                        continue;
                if (fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
                        die("cannot stat", entry->d_name);
                found.entries++;
                if (S_ISREG(status.st_mode) && keep)
                        remember(path, entry->d_name);
                if (S_ISDIR(status.st_mode)) {
                        char *inner;
                        if (asprintf(&inner, "%s/%s", path, entry->d_name) < 0)
                                die("no memory for", path);
                        walk(inner, keep);
                        free(inner);
                }
        }
        if (errno != 0)
                die("cannot list", path);
        closedir(folder);
}

static void read_all(const char *path, char *buffer)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got;

        if (fd < 0)
                die("cannot open", path);
        while ((got = read(fd, buffer, READ_SIZE)) > 0)
                atomic_fetch_add_explicit(&bytes_read, (size_t)got, memory_order_relaxed);
        if (got < 0)
                die("cannot read", path);
        close(fd);
}

static void *read_files(void *unused)
{
        char *buffer = malloc(READ_SIZE);
        size_t first;

        (void)unused;
        if (!buffer)
                die("no memory for", "a buffer");
        while ((first = atomic_fetch_add(&next_file, FILES_AT_ONCE)) < found.count)
                for (size_t i = first; i < first + FILES_AT_ONCE && i < found.count; i++)
                        read_all(found.paths[i], buffer);
        free(buffer);
        return NULL;
}

static void read_everything(size_t readers, const char *root)
{
        pthread_t threads[MOST_READERS];

        walk(root, true);
        for (size_t i = 0; i < readers; i++)
                if ((errno = pthread_create(&threads[i], NULL, read_files, NULL)) != 0)
                        die("cannot start a reader of", root);
        for (size_t i = 0; i < readers; i++)
                pthread_join(threads[i], NULL);
}

static void read_in_sequence(char **files)
{
        static char buffer[READ_SIZE];

        for (; *files; files++)
                read_all(*files, buffer);
}

static void open_files(size_t count)
{
        if (found.count == 0)
                die("no files in", "the tree");
        for (size_t i = 0; i < count; i++) {
                int fd = open(found.paths[i % found.count], O_RDONLY | O_CLOEXEC);
                if (fd < 0)
                        die("cannot open", found.paths[i % found.count]);
                close(fd);
        }
}

static void read_at_random(size_t count, const char *path)
{
        static char buffer[PAGE_SIZE];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        struct stat status;
        uint64_t state = 1;

        if (fd < 0 || fstat(fd, &status) != 0)
                die("cannot open", path);
        for (size_t i = 0; i < count; i++) {
                /* Knuth's MMIX generator; the high bits are the random ones. */
                state = state * 6364136223846793005u + 1442695040888963407u;
                uint64_t page = (state >> 33) % ((uint64_t)status.st_size / PAGE_SIZE);
                ssize_t got = pread(fd, buffer, PAGE_SIZE, (off_t)(page * PAGE_SIZE));
                if (got != (ssize_t)PAGE_SIZE)
                        die("cannot read", path);
                atomic_fetch_add_explicit(&bytes_read, (size_t)got, memory_order_relaxed);
        }
        close(fd);
}

static void execute(size_t count, const char *root, char **words)
{
        for (size_t i = 0; i < count; i++) {
                int status;
                pid_t child = fork();
                if (child == 0) {
                        if (chroot(root) == 0 && chdir("/") == 0)
                                execv(words[0], words);
                        _exit(127);
                }
                if (child < 0 || waitpid(child, &status, 0) != child)
                        die("cannot start", words[0]);
                if (status != 0) {
                        fprintf(stderr, "bench-readers: '%s' in '%s' ended with status %#x\n",
                                words[0], root, (unsigned)status);
                        exit(1);
                }
        }
}

static uint64_t run(
        const char *what, size_t count, char **rest, int n_rest, uint64_t *ret_processor)
{
        const char *root = rest[0];
        uint64_t began, processor;

        if (!strcmp(what, "open"))
                walk(root, true);
        processor = processor_time();
        began = now();
        if (!strcmp(what, "walk"))
                walk(root, false);
        else if (!strcmp(what, "open"))
                open_files(count);
        else if (!strcmp(what, "read") && count > 0 && count <= MOST_READERS)
                read_everything(count, root);
        else if (!strcmp(what, "sequence"))
                read_in_sequence(rest);
        else if (!strcmp(what, "random"))
                read_at_random(count, root);
        else if (!strcmp(what, "exec") && n_rest >= 2)
                execute(count, root, rest + 1);
        else
                return 0;
        began = now() - began;
        *ret_processor = processor_time() - processor;
        return began;
}

int main(int argc, char **argv)
{
        bool counted =
                argc >= 2 && strcmp(argv[1], "walk") != 0 && strcmp(argv[1], "sequence") != 0;
        int first = counted ? 3 : 2;
        uint64_t took = 0, processor = 0;

        if (argc > first)
                took = run(argv[1], counted ? strtoul(argv[2], NULL, 10) : 1, argv + first,
                        argc - first, &processor);
        if (took == 0) {
                fprintf(stderr, "usage: bench-readers walk|open|read|sequence|random|exec "
                                "[COUNT] ROOT|FILE...\n");
                return 2;
        }
        printf("%llu %llu %zu %llu\n", (unsigned long long)took, (unsigned long long)processor,
                found.entries, (unsigned long long)bytes_read);
        return 0;
}
