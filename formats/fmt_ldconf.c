/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_ldconf.h"

#include "fmt_cleanup.h"
#include "fmt_strings.h"

#include <fnmatch.h>
#include <string.h>

/* Includes in includes; ldconfig itself stops nowhere, but an image may include itself. */
#define DEEPEST_INCLUDE 8
#define LARGEST_FILE (1U << 20)

/* In glibc's order for Debian's multiarch, and for everyone else's lib64. */
static const char *const default_folders[] = {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu",
        "/lib64", "/usr/lib64", "/lib", "/usr/lib", NULL};

struct conf {
        struct fmt_squashfs *image;
        char ***folders;
};

static int read_file(struct conf *conf, const char *path, unsigned depth);

static int read_text(struct fmt_squashfs *image, const char *path, char **ret)
{
        _cleanup_free_ char *text = NULL;
        size_t done = 0, size;
        fmt_inode inode;
        struct stat st;
        int r;

        r = fmt_squashfs_resolve(image, path, &inode);
        if (r == 0)
                r = fmt_squashfs_stat(image, inode, &st);
        if (r < 0)
                return r;
        if (!S_ISREG(st.st_mode) || st.st_size > LARGEST_FILE)
                return -EINVAL;
        size = (size_t)st.st_size;
        text = calloc(1, size + 1);
        if (!text)
                return -ENOMEM;
        while (done < size) {
                ssize_t got = fmt_squashfs_read(image, inode, text + done, size - done, done);
                if (got <= 0)
                        return got < 0 ? (int)got : -EIO;
                done += (size_t)got;
        }
        *ret = steal_pointer(&text);
        return 0;
}

static int compare_names(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

/* PATTERN as glob(3) would expand it, wildcards in the last component only. */
static int include(struct conf *conf, const char *pattern, unsigned depth)
{
        _cleanup_(fmt_strings_freep) char **names = NULL;
        _cleanup_free_ char *folder = NULL;
        const char *slash = strrchr(pattern, '/'), *name;
        fmt_inode directory, inode;
        size_t name_size;
        int r = 0;

        if (asprintf(&folder, "%s%.*s", *pattern == '/' ? "" : "/etc/",
                    slash ? (int)(slash - pattern) : 0, pattern) < 0) {
                folder = NULL;
                return -ENOMEM;
        }
        if (fmt_squashfs_resolve(conf->image, folder, &directory) < 0)
                return 0;
        for (uint32_t i = 0; r == 0 && fmt_squashfs_entry(conf->image, directory, i, &name,
                                               &name_size, &inode) == 0;
                i++) {
                _cleanup_free_ char *copy = strndup(name, name_size);
                if (!copy)
                        return -ENOMEM;
                if (fnmatch(slash ? slash + 1 : pattern, copy, FNM_PERIOD) == 0)
                        r = fmt_strings_append(&names, copy);
        }
        if (names)
                qsort(names, fmt_strings_count(names), sizeof(*names), compare_names);
        for (char **file = names; r == 0 && file && *file; file++) {
                _cleanup_free_ char *path = NULL;
                if (asprintf(&path, "%s/%s", folder, *file) < 0) {
                        path = NULL;
                        return -ENOMEM;
                }
                r = read_file(conf, path, depth + 1);
        }
        return r;
}

static int read_line(struct conf *conf, char *line, unsigned depth)
{
        char *rest = NULL, *word;
        int r = 0;

        line[strcspn(line, "#")] = '\0';
        word = strtok_r(line, " \t:,", &rest);
        if (word && !strcmp(word, "include")) {
                while (r == 0 && (word = strtok_r(NULL, " \t", &rest)))
                        r = include(conf, word, depth);
                return r;
        }
        if (word && !strcmp(word, "hwcap"))
                return 0;
        for (; r == 0 && word; word = strtok_r(NULL, " \t:,", &rest)) {
                /* "/lib=libc6": a type that nobody writes any more */
                word[strcspn(word, "=")] = '\0';
                if (*word == '/')
                        r = fmt_strings_append(conf->folders, word);
        }
        return r;
}

static int read_file(struct conf *conf, const char *path, unsigned depth)
{
        _cleanup_free_ char *text = NULL;
        char *rest = NULL;
        int r;

        if (depth > DEEPEST_INCLUDE)
                return 0;
        r = read_text(conf->image, path, &text);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        for (char *line = strtok_r(text, "\n", &rest); r == 0 && line;
                line = strtok_r(NULL, "\n", &rest))
                r = read_line(conf, line, depth);
        return r;
}

int fmt_ldconf_folders(struct fmt_squashfs *image, char ***ret)
{
        _cleanup_(fmt_strings_freep) char **folders = NULL;
        struct conf conf = {.image = image, .folders = &folders};
        int r = read_file(&conf, "/etc/ld.so.conf", 0);

        for (size_t i = 0; r == 0 && default_folders[i]; i++)
                r = fmt_strings_append(&folders, default_folders[i]);
        if (r < 0)
                return r;
        *ret = steal_pointer(&folders);
        return 0;
}
