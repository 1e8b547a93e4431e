/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: latency open|read|exec ROUNDS PATH...
 *
 * Prints for each path the least and the median time of one operation, in nanoseconds. The paths
 * take turns, so that whatever else the machine does hits all of them.
 *
 *     open  open and close
 *     read  open, read all of it, close
 *     exec  start it with the argument --help, wait for its end; with a root before the path
 *           (ROOT::PATH) inside of that root
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what, const char *path)
{
        fprintf(stderr, "latency: %s '%s': %s\n", what, path, strerror(errno));
        exit(1);
}

static uint64_t now(void)
{
        struct timespec time;

        clock_gettime(CLOCK_MONOTONIC, &time);
        return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void open_once(const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                die("cannot open", path);
        close(fd);
}

static void read_once(const char *path)
{
        static char buffer[1 << 20];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got;

        if (fd < 0)
                die("cannot open", path);
        while ((got = read(fd, buffer, sizeof(buffer))) > 0)
                ;
        if (got < 0)
                die("cannot read", path);
        close(fd);
}

static void run_child(const char *path)
{
        const char *separator = strstr(path, "::");
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        dup2(null, STDOUT_FILENO);
        if (separator) {
                char *root = strndup(path, (size_t)(separator - path));
                if (!root || chroot(root) != 0 || chdir("/") != 0)
                        _exit(126);
                path = separator + 2;
        }
        execl(path, path, "--help", (char *)NULL);
        _exit(127);
}

static void exec_once(const char *path)
{
        int status;
        pid_t child = fork();

        if (child == 0)
                run_child(path);
        if (child < 0 || waitpid(child, &status, 0) != child)
                die("cannot start", path);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
                fprintf(stderr, "latency: '%s' ended with status %#x\n", path, (unsigned)status);
                exit(1);
        }
}

static int compare(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a;
        uint64_t y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
        void (*operation)(const char *) = NULL;

        if (argc >= 4) {
                operation = strcmp(argv[1], "open") == 0   ? open_once
                            : strcmp(argv[1], "read") == 0 ? read_once
                            : strcmp(argv[1], "exec") == 0 ? exec_once
                                                           : NULL;
        }
        size_t rounds = argc >= 4 ? strtoul(argv[2], NULL, 10) : 0;
        if (!operation || rounds == 0) {
                fprintf(stderr, "usage: latency open|read|exec ROUNDS PATH...\n");
                return 2;
        }
        size_t paths = (size_t)argc - 3;
        uint64_t *times = calloc(paths * rounds, sizeof(*times));
        if (!times)
                die("no memory for", argv[2]);

        for (size_t path = 0; path < paths; path++)
                operation(argv[3 + path]);
        for (size_t round = 0; round < rounds; round++)
                for (size_t path = 0; path < paths; path++) {
                        uint64_t began = now();
                        operation(argv[3 + path]);
                        times[path * rounds + round] = now() - began;
                }
        for (size_t path = 0; path < paths; path++) {
                uint64_t *own = times + path * rounds;
                qsort(own, rounds, sizeof(*own), compare);
                printf("%llu %llu\n", (unsigned long long)own[0],
                        (unsigned long long)own[rounds / 2]);
        }
        free(times);
        return 0;
}
