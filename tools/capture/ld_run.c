/* SPDX-License-Identifier: Apache-2.0 */
#include "ld_run.h"

#include "capture_programs.h"
#include "fmt_cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum ld_brand ld_brand_of(const char *path)
{
        char real[PATH_MAX];
        if (!realpath(path, real))
                return LD_OTHER;
        const char *name = capture_base_name(real);
        if (strstr(name, "lld"))
                return LD_LLD;
        if (strstr(name, "gold") || strstr(name, "mold") || strstr(name, "wild"))
                return LD_OTHER;
        return LD_BFD;
}

static void free_words(char ***words)
{
        fmt_strings_free(*words);
}

static int read_descriptor(int fd, char **ret)
{
        off_t size = lseek(fd, 0, SEEK_END);
        char *text = size < 0 ? NULL : malloc((size_t)size + 1);
        if (!text)
                return size < 0 ? -errno : -ENOMEM;
        for (off_t at = 0; at < size;) {
                ssize_t n = pread(fd, text + at, (size_t)(size - at), at);
                if (n <= 0) {
                        free(text);
                        return -EIO;
                }
                at += n;
        }
        text[size] = 0;
        *ret = text;
        return 0;
}

static int read_path(const char *path, char **ret)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : read_descriptor(fd, ret);
}

/* Where the line's own map goes: a file, "-" for stdout, or NULL for none. */
static const char *own_map(char *const *words)
{
        const char *map = NULL;
        for (; *words; words++) {
                const char *word = *words + (strncmp(*words, "--", 2) == 0);
                if (strcmp(word, "-M") == 0 || strcmp(word, "-print-map") == 0)
                        map = "-";
                else if (strncmp(word, "-Map=", 5) == 0)
                        map = word + 5;
                else if (strcmp(word, "-Map") == 0 && words[1])
                        map = *++words;
        }
        return map;
}

static bool traces(char *const *words)
{
        for (; *words; words++)
                if (strcmp(*words, "-t") == 0 || strcmp(*words, "--trace") == 0 ||
                        strcmp(*words, "-trace") == 0)
                        return true;
        return false;
}

/* PATH and WORDS, and behind them OPTION with /proc/self/fd/FD where OPTION is not NULL. */
static int build(const char *path, char *const *words, const char *option, int fd, char ***ret)
{
        int r = fmt_strings_append(ret, path);
        for (; *words && r == 0; words++)
                r = fmt_strings_append(ret, *words);
        _cleanup_free_ char *last = NULL;
        if (r < 0 || !option)
                return r;
        if (asprintf(&last, "%s/proc/self/fd/%d", option, fd) < 0)
                return -ENOMEM;
        return fmt_strings_append(ret, last);
}

static int run_bfd(
        const char *path, char *const *words, struct ld_taken_list *ret_taken, int *ret_error)
{
        _cleanup_(free_words) char **command = NULL;
        _cleanup_free_ char *map = NULL, *output = NULL;
        const char *own = own_map(words);
        bool to_stdout = own && strcmp(own, "-") == 0;
        _cleanup_close_ int fd = memfd_create("map", 0); /* inherited by the linker */
        if (fd < 0)
                return -errno;
        setenv("LC_ALL", "C", 1); /* headings of the map are translated */
        int r = build(path, words, own ? NULL : "-Map=", fd, &command); /* its own map will do */
        if (r < 0)
                return r;
        int status = capture_run(path, command, to_stdout ? &output : NULL);
        if (output)
                fputs(output, stdout);
        if (status != 0)
                return status;
        *ret_error = to_stdout ? 0 : own ? read_path(own, &map) : read_descriptor(fd, &map);
        if (*ret_error == 0)
                *ret_error = ld_taken_from_map(to_stdout ? output : map, ret_taken);
        return 0;
}

/* REASONS is a path: ld.lld replaces the file rather than writing into it. */
static int run_traced(const char *path, char *const *words, const char *reasons,
        struct ld_taken_list *ret_taken, int *ret_error)
{
        _cleanup_(free_words) char **command = NULL;
        _cleanup_free_ char *trace = NULL, *option = NULL, *text = NULL;
        if (asprintf(&option, "--why-extract=%s", reasons) < 0)
                return -ENOMEM;
        int r = build(path, words, NULL, -1, &command);
        if (r == 0)
                r = fmt_strings_append(&command, option);
        if (r == 0)
                r = fmt_strings_append(&command, "--trace");
        if (r < 0)
                return r;
        int status = capture_run(path, command, &trace);
        if (status != 0) {
                if (trace)
                        fputs(trace, stdout);
                return status;
        }
        *ret_error = read_path(reasons, &text);
        if (*ret_error == 0)
                *ret_error = ld_taken_from_trace(trace, text, traces(words), ret_taken);
        return 0;
}

static int run_lld(
        const char *path, char *const *words, struct ld_taken_list *ret_taken, int *ret_error)
{
        _cleanup_free_ char *folder = NULL, *reasons = NULL;
        int r = capture_scratch(&folder);
        if (r < 0)
                return r;
        if (asprintf(&reasons, "%s/reasons", folder) < 0)
                r = -ENOMEM;
        else
                r = run_traced(path, words, reasons, ret_taken, ret_error);
        capture_scratch_remove(folder);
        return r;
}

static int run_other(const char *path, char *const *words)
{
        _cleanup_(free_words) char **command = NULL;
        int r = build(path, words, NULL, -1, &command);
        return r < 0 ? r : capture_run(path, command, NULL);
}

int ld_run(const char *path, char *const *words, struct ld_taken_list *ret_taken, int *ret_error)
{
        *ret_taken = (struct ld_taken_list){0};
        *ret_error = 0;
        switch (ld_brand_of(path)) {
        case LD_BFD:
                return run_bfd(path, words, ret_taken, ret_error);
        case LD_LLD:
                return run_lld(path, words, ret_taken, ret_error);
        case LD_OTHER:
                break;
        }
        *ret_error = -ENOTSUP;
        return run_other(path, words);
}
