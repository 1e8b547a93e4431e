/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_target.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

struct pack_target {
        char *path;
        char *name; /* last component of path */
        int folder; /* descriptor of the folder that holds it */
        int file;
        char *named; /* its temporary name, or NULL */
};

/* What a signal has to remove; an empty name: nothing. */
static struct {
        int folder;
        char name[NAME_MAX + 1];
} doomed;

static void remove_and_die(int signal_number)
{
        if (doomed.name[0])
                unlinkat(doomed.folder, doomed.name, 0);
        raise(signal_number); /* does what it did before: SA_RESETHAND */
}

static void remove_on_signal(const struct pack_target *target)
{
        static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
        const struct sigaction action = {.sa_handler = remove_and_die, .sa_flags = SA_RESETHAND};
        struct sigaction now;

        doomed.folder = target->folder;
        snprintf(doomed.name, sizeof doomed.name, "%s", target->named);
        for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
                if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
                        sigaction(signals[i], &action, NULL);
}

static int temporary_name(struct pack_target *target)
{
        uint64_t random;

        if (getrandom(&random, sizeof random, 0) != sizeof random)
                return -errno;
        if (asprintf(&target->named, ".%.200s.%016llx", target->name, (unsigned long long)random) <
                0) {
                target->named = NULL;
                return -ENOMEM;
        }
        return 0;
}

static int open_named(struct pack_target *target)
{
        int r = temporary_name(target);

        if (r < 0)
                return r;
        remove_on_signal(target);
        target->file =
                openat(target->folder, target->named, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
        return target->file < 0 ? -errno : 0;
}

static int open_file(struct pack_target *target)
{
        target->file = openat(target->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
        if (target->file >= 0)
                return 0;
        if (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)
                return open_named(target);
        return -errno;
}

static int split_path(struct pack_target *target, const char *path, char **ret_folder)
{
        _cleanup_free_ char *for_folder = strdup(path);
        _cleanup_free_ char *for_name = strdup(path);

        target->path = strdup(path);
        if (!for_folder || !for_name || !target->path)
                return -ENOMEM;
        target->name = strdup(basename(for_name));
        *ret_folder = strdup(dirname(for_folder));
        return target->name && *ret_folder ? 0 : -ENOMEM;
}

static int open_target(struct pack_target *target, const char *path)
{
        _cleanup_free_ char *folder = NULL;
        struct stat st;

        int r = split_path(target, path, &folder);
        if (r < 0)
                return r;
        if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
                fmt_error("cannot write the image %s: something else than a file is there; give "
                          "the image another name",
                        path);
                return -EEXIST;
        }
        target->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        r = target->folder < 0 ? -errno : open_file(target);
        if (r < 0)
                fmt_error("cannot write the image %s: %s: %s; give a folder that you may write to",
                        path, folder, strerror(-r));
        return r;
}

int pack_target_open(const char *path, struct pack_target **ret)
{
        struct pack_target *target = calloc(1, sizeof *target);

        if (!target)
                return -ENOMEM;
        target->folder = target->file = -1;
        int r = open_target(target, path);
        if (r < 0) {
                pack_target_free(target);
                return r;
        }
        *ret = target;
        return 0;
}

int pack_target_fd(const struct pack_target *target)
{
        return target->file;
}

static int link_file(const struct pack_target *target, const char *name)
{
        char from[32];

        snprintf(from, sizeof from, "/proc/self/fd/%d", target->file);
        if (linkat(AT_FDCWD, from, target->folder, name, AT_SYMLINK_FOLLOW) == 0 ||
                (errno != EEXIST &&
                        linkat(target->file, "", target->folder, name, AT_EMPTY_PATH) == 0))
                return 0;
        return -errno;
}

static int name_file(struct pack_target *target)
{
        if (!target->named) {
                int r = link_file(target, target->name);
                if (r != -EEXIST)
                        return r;
                /* An old image is replaced in one step, which needs a second name. */
                r = temporary_name(target);
                if (r < 0)
                        return r;
                remove_on_signal(target);
                r = link_file(target, target->named);
                if (r < 0)
                        return r;
        }
        if (renameat(target->folder, target->named, target->folder, target->name) < 0)
                return -errno;
        doomed.name[0] = '\0';
        free(steal_pointer(&target->named));
        return 0;
}

int pack_target_commit(struct pack_target *target, uint64_t *ret_size)
{
        struct stat st;
        int r = 0;

        if (fsync(target->file) < 0 || fstat(target->file, &st) < 0)
                r = -errno;
        if (r == 0)
                r = name_file(target);
        if (r == 0 && fsync(target->folder) < 0 && errno != EINVAL)
                r = -errno;
        if (r < 0) {
                fmt_error("cannot write the image %s: %s; make room, or give another folder",
                        target->path, strerror(-r));
                return r;
        }
        *ret_size = (uint64_t)st.st_size;
        return 0;
}

void pack_target_free(struct pack_target *target)
{
        if (!target)
                return;
        if (target->named)
                unlinkat(target->folder, target->named, 0);
        doomed.name[0] = '\0';
        if (target->file >= 0)
                close(target->file);
        if (target->folder >= 0)
                close(target->folder);
        free(target->named);
        free(target->name);
        free(target->path);
        free(target);
}
