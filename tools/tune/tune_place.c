/* SPDX-License-Identifier: Apache-2.0 */
#include "tune_place.h"

#include "fmt_cleanup.h"
#include "fmt_strings.h"

#include <dirent.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* Of this machine, whatever the image has there. */
static const char *const shared[] = {"/dev", "/proc", "/sys", "/tmp"};
#define N_SHARED (sizeof shared / sizeof *shared)

static bool is_shared(const char *path)
{
        for (size_t i = 0; i < N_SHARED; i++)
                if (!strcmp(path, shared[i]))
                        return true;
        return false;
}

/* ---- programs ---- */

static char *beside(const char *name)
{
        char self[PATH_MAX], *path;
        ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);

        if (size <= 0)
                return NULL;
        self[size] = '\0';
        *strrchr(self, '/') = '\0';
        return asprintf(&path, "%s/%s", self, name) < 0 ? NULL : path;
}

char *tune_find_program(const char *name)
{
        _cleanup_free_ char *folders = strdup(getenv("PATH") ? getenv("PATH") : "");
        _cleanup_free_ char *here = beside(name);
        char *rest = folders, *folder;

        if (here && access(here, X_OK) == 0)
                return steal_pointer(&here);
        while ((folder = strsep(&rest, ":"))) {
                char *path;
                if (asprintf(&path, "%s/%s", *folder ? folder : ".", name) < 0)
                        return NULL;
                if (access(path, X_OK) == 0)
                        return path;
                free(path);
        }
        return NULL;
}

/* ---- words ---- */

static int append(char ***words, const char *one, const char *two, const char *three)
{
        int r = fmt_strings_append(words, one);
        if (r == 0 && two)
                r = fmt_strings_append(words, two);
        if (r == 0 && three)
                r = fmt_strings_append(words, three);
        return r;
}

static int append_replaced(char ***words, const char *word, const char *mountpoint)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *stream = open_memstream(&text, &size);

        if (!stream)
                return -ENOMEM;
        for (const char *brace; (brace = strstr(word, "{}")); word = brace + 2)
                fprintf(stream, "%.*s%s", (int)(brace - word), word, mountpoint);
        fputs(word, stream);
        return fclose(stream) != 0 ? -ENOMEM : fmt_strings_append(words, text);
}

/* Whether FOLDER is PATH or lies below it. */
static bool leads_to(const char *path, const char *folder)
{
        size_t size = strlen(path);
        return !strncmp(folder, path, size) && (folder[size] == '/' || folder[size] == '\0');
}

static int bind_folder(const struct tune_command *command, const char *mountpoint,
        const char *within, char ***words);

/* PATH of the image at its place inside. */
static int bind_entry(
        const struct tune_command *command, const char *mountpoint, const char *path, char ***words)
{
        char source[PATH_MAX], target[PATH_MAX];
        struct stat st;
        ssize_t size;

        if (snprintf(source, sizeof(source), "%s%s", mountpoint, path) >= (int)sizeof(source) ||
                is_shared(path) || lstat(source, &st) < 0)
                return 0;
        if (S_ISLNK(st.st_mode)) {
                size = readlink(source, target, sizeof(target) - 1);
                if (size < 0)
                        return -errno;
                target[size] = '\0';
                return append(words, "--symlink", target, path);
        }
        /* The image is read-only: what lies on the way to the current folder is made of its parts.
         */
        if (S_ISDIR(st.st_mode) && leads_to(path, command->folder))
                return bind_folder(command, mountpoint, path, words);
        return append(words, "--ro-bind", source, path);
}

static int bind_folder(const struct tune_command *command, const char *mountpoint,
        const char *within, char ***words)
{
        char source[PATH_MAX], path[PATH_MAX];
        struct dirent *entry;
        DIR *folder;
        int r = 0;

        if (snprintf(source, sizeof(source), "%s%s", mountpoint, within) >= (int)sizeof(source))
                return -ENAMETOOLONG;
        folder = opendir(source);
        if (!folder)
                return -errno;
        if (*within)
                r = append(words, "--dir", within, NULL);
        while (r == 0 && (entry = readdir(folder))) {
                if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
                        snprintf(path, sizeof(path), "%s/%s", within, entry->d_name) >=
                                (int)sizeof(path))
                        continue;
                r = bind_entry(command, mountpoint, path, words);
        }
        closedir(folder);
        return r;
}

static bool is_in_shared(const char *folder)
{
        for (size_t i = 0; i < N_SHARED; i++)
                if (leads_to(shared[i], folder))
                        return true;
        return false;
}

static int append_bwrap(const struct tune_command *command, const char *mountpoint, char ***words)
{
        int r = append(words, command->bwrap, "--die-with-parent", NULL);

        if (r == 0)
                r = bind_folder(command, mountpoint, "", words);
        for (size_t i = 0; r == 0 && i < N_SHARED; i++)
                r = append(words, "--dev-bind-try", shared[i], shared[i]);
        if (r == 0 && strcmp(command->folder, "/") && !is_in_shared(command->folder))
                r = append(words, "--bind", command->folder, command->folder);
        return r < 0 ? r : append(words, "--chdir", command->folder, "--");
}

int tune_place_words(const struct tune_command *command, const char *mountpoint, char ***ret)
{
        _cleanup_(fmt_strings_freep) char **words = NULL;
        int r = command->place == TUNE_BWRAP ? append_bwrap(command, mountpoint, &words) : 0;

        for (char *const *word = command->words; r == 0 && *word; word++)
                r = append_replaced(&words, *word, mountpoint);
        if (r == 0)
                *ret = steal_pointer(&words);
        return r;
}

/* ---- chroot ---- */

static void bind_here(const char *mountpoint, const char *folder)
{
        char target[PATH_MAX];

        /* What the image has no place for is left out. */
        if (snprintf(target, sizeof(target), "%s%s", mountpoint, folder) < (int)sizeof(target))
                mount(folder, target, NULL, MS_BIND | MS_REC, NULL);
}

int tune_chroot(const char *mountpoint, const char *folder)
{
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
                return -1;
        for (size_t i = 0; i < N_SHARED; i++)
                bind_here(mountpoint, shared[i]);
        if (strcmp(folder, "/") && !is_in_shared(folder))
                bind_here(mountpoint, folder);
        if (chroot(mountpoint) < 0)
                return -1;
        return chdir(folder) == 0 || chdir("/") == 0 ? 0 : -1;
}
