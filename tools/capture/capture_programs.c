/* SPDX-License-Identifier: Apache-2.0 */
#include "capture_programs.h"

#include "fmt_cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Longer command lines go through an @file: Linux allows a quarter of the stack limit, 2 MiB. */
#define COMMAND_MAX ((size_t)256 << 10)

const char *capture_base_name(const char *path)
{
        const char *slash = strrchr(path, '/');
        return slash ? slash + 1 : path;
}

static bool is_ours(const char *path)
{
        char real[PATH_MAX];
        return realpath(path, real) && strncmp(capture_base_name(real), "xaas-", 5) == 0;
}

static bool is_program(const char *path)
{
        struct stat st;
        return access(path, X_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

int capture_find(const char *name, char **ret)
{
        if (strchr(name, '/')) {
                *ret = strdup(name);
                return *ret ? 0 : -ENOMEM;
        }
        const char *path = getenv("PATH");
        if (!path || !*path)
                path = "/usr/local/bin:/usr/bin:/bin";
        while (*path) {
                size_t length = strcspn(path, ":");
                _cleanup_free_ char *candidate = NULL;
                if (asprintf(&candidate, "%.*s/%s", length ? (int)length : 1, length ? path : ".",
                            name) < 0)
                        return -ENOMEM;
                if (is_program(candidate) && !is_ours(candidate)) {
                        *ret = steal_pointer(&candidate);
                        return 0;
                }
                path += length + (path[length] == ':');
        }
        return -ENOENT;
}

int capture_clang(char **ret)
{
        const char *chosen = getenv("XAASFS_CLANG");
        if (chosen && *chosen)
                return capture_find(chosen, ret);
        if (is_program(CAPTURE_CLANG))
                return capture_find(CAPTURE_CLANG, ret);
        return capture_find("clang-19", ret);
}

int capture_companion(const char *name, char **ret)
{
        const char *libexec = getenv("XAASFS_LIBEXEC");
        char self[PATH_MAX];
        _cleanup_free_ char *candidate = NULL;
        if (libexec && *libexec && asprintf(ret, "%s/%s", libexec, name) >= 0) {
                if (access(*ret, X_OK) == 0)
                        return 0;
                free(*ret);
        }
        /* In the build folder programs lie in tools/ and tools/capture/, companions in libexec/. */
        if (realpath("/proc/self/exe", self)) {
                static const char *const places[] = {"", "../libexec/", "../../libexec/"};
                *strrchr(self, '/') = 0;
                for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
                        fmt_free_pointer(&candidate);
                        if (asprintf(&candidate, "%s/%s%s", self, places[i], name) < 0)
                                return -ENOMEM;
                        if (access(candidate, X_OK) == 0) {
                                *ret = realpath(candidate, NULL);
                                return *ret ? 0 : -errno;
                        }
                }
        }
        if (asprintf(ret, "%s/%s", XAASFS_LIBEXECDIR, name) < 0)
                return -ENOMEM;
        if (access(*ret, X_OK) == 0)
                return 0;
        free(*ret);
        return -ENOENT;
}

/* ---- running ---- */

static size_t command_size(char *const *argv)
{
        size_t size = 0;
        for (; *argv; argv++)
                size += strlen(*argv) + 1 + sizeof(char *);
        return size;
}

static void write_quoted(FILE *file, const char *word)
{
        fputc('"', file);
        for (; *word; word++) {
                if (*word == '"' || *word == '\\')
                        fputc('\\', file);
                fputc(*word, file);
        }
        fputs("\"\n", file);
}

/* ARGV's words (but argv[0]) in a memfd that the child reads as @/proc/self/fd/N. */
static int shorten(char *const *argv, char ret_word[32])
{
        int fd = memfd_create("arguments", 0); /* inherited: that is its purpose */
        if (fd < 0)
                return -errno;
        _cleanup_fclose_ FILE *file = fdopen(dup(fd), "w");
        if (!file) {
                close(fd);
                return -errno;
        }
        for (argv++; *argv; argv++)
                write_quoted(file, *argv);
        fflush(file);
        snprintf(ret_word, 32, "@/proc/self/fd/%d", fd);
        return ferror(file) ? -EIO : 0;
}

int capture_become(const char *path, char *const *argv)
{
        char word[32];
        char *shortened[] = {argv[0], word, NULL};
        if (command_size(argv) > COMMAND_MAX) {
                int r = shorten(argv, word);
                if (r < 0)
                        return r;
                argv = shortened;
        }
        execv(path, argv);
        return -errno;
}

static int read_all(int fd, char **ret)
{
        size_t size = 0, room = 4096;
        char *text = malloc(room);
        while (text) {
                ssize_t n = read(fd, text + size, room - size - 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        break;
                size += (size_t)n;
                if (room - size < 2) {
                        char *grown = realloc(text, room *= 2);
                        if (!grown) {
                                free(text);
                                return -ENOMEM;
                        }
                        text = grown;
                }
        }
        if (!text)
                return -ENOMEM;
        text[size] = 0;
        *ret = text;
        return 0;
}

/* Starts PATH with DESCRIPTOR (stdout or stderr) going into a pipe, or as it is (-1). */
static int start(const char *path, char *const *argv, int descriptor, pid_t *ret_pid, int *ret_from)
{
        int pipes[2] = {-1, -1};
        if (descriptor >= 0 && pipe2(pipes, O_CLOEXEC) < 0)
                return -errno;
        fflush(NULL);
        *ret_pid = fork();
        if (*ret_pid == 0) {
                if (descriptor >= 0)
                        dup2(pipes[1], descriptor);
                capture_become(path, argv);
                _exit(127);
        }
        int error = errno;
        if (pipes[1] >= 0)
                close(pipes[1]);
        *ret_from = pipes[0];
        return *ret_pid < 0 ? -error : 0;
}

static int wait_for(pid_t pid)
{
        int status = 0;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run_into(const char *path, char *const *argv, int descriptor, char **ret_text)
{
        pid_t pid = -1;
        _cleanup_close_ int from = -1;
        int r = start(path, argv, ret_text ? descriptor : -1, &pid, &from);
        if (r < 0)
                return r;
        if (ret_text)
                r = read_all(from, ret_text);
        int status = wait_for(pid);
        return r < 0 ? r : status;
}

int capture_run(const char *path, char *const *argv, char **ret_output)
{
        return run_into(path, argv, STDOUT_FILENO, ret_output);
}

int capture_run_quietly(const char *path, char *const *argv, const char *noise)
{
        _cleanup_free_ char *text = NULL;
        int status = run_into(path, argv, STDERR_FILENO, &text);
        for (char *line = text; line && *line;) {
                char *end = strchr(line, '\n');
                size_t length = end ? (size_t)(end - line) + 1 : strlen(line);
                if (!memmem(line, length, noise, strlen(noise)))
                        fwrite(line, 1, length, stderr);
                line += length;
        }
        return status;
}

int capture_run_by_name(const char *name, char *const *argv)
{
        fflush(NULL);
        pid_t pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                execvp(name, argv);
                fprintf(stderr, "xaas build: cannot run %s: %s\n", name, strerror(errno));
                _exit(127);
        }
        return wait_for(pid);
}

int capture_scratch(char **ret)
{
        const char *parent = getenv("TMPDIR");
        _cleanup_free_ char *folder = NULL;
        if (asprintf(&folder, "%s/xaas-capture-XXXXXX", parent && *parent ? parent : "/tmp") < 0)
                return -ENOMEM;
        if (!mkdtemp(folder))
                return -errno;
        *ret = steal_pointer(&folder);
        return 0;
}

void capture_scratch_remove(const char *folder)
{
        DIR *entries = folder ? opendir(folder) : NULL;
        if (!entries)
                return;
        struct dirent *entry;
        while ((entry = readdir(entries)))
                if (unlinkat(dirfd(entries), entry->d_name, 0) < 0 && errno == EISDIR)
                        continue;
        closedir(entries);
        rmdir(folder);
}
