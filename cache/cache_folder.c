/* SPDX-License-Identifier: Apache-2.0 */
#include "cache_folder.h"

#include "cache_internal.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

/* As the kernel's own limit (path_resolution(7)). */
#define MOST_LINKS 40

/* What /proc/sys/kernel/overflowuid says unless someone changed it. */
#define OVERFLOW_UID 65534

/* A path on its way through the file system. */
struct walk {
        const char *path; /* as given: for messages */
        char *rest;       /* what has yet to be walked */
        int fd;           /* where we are */
        bool create;
        enum fmt_log_level complaints;
        unsigned links;
};

static void walk_done(struct walk *walk)
{
        free(walk->rest);
        fmt_close_fd(&walk->fd);
}

/* In a user namespace, owners that are not mapped (root of the machine, mostly) show as the
 * overflow user. */
static bool owner_may_be_unmapped(void)
{
        _cleanup_fclose_ FILE *map = fopen("/proc/self/uid_map", "re");
        unsigned long inside, outside, count;

        if (!map)
                return false;
        while (fscanf(map, "%lu %lu %lu", &inside, &outside, &count) == 3)
                if (inside <= OVERFLOW_UID && OVERFLOW_UID - inside < count)
                        return false;
        return true;
}

static bool owner_is_trusted(uid_t owner)
{
        return owner == 0 || owner == geteuid() ||
               (owner == OVERFLOW_UID && owner_may_be_unmapped());
}

static int check_component(const struct walk *walk, const struct stat *st, const char *name)
{
        bool last = walk->rest[strspn(walk->rest, "/")] == '\0';

        if (!owner_is_trusted(st->st_uid)) {
                fmt_log(walk->complaints,
                        "cannot use the cache folder %s: %s belongs to user %u, who could change "
                        "what is in it; choose a folder below your own",
                        walk->path, name, (unsigned)st->st_uid);
                return -EPERM;
        }
        if (S_ISDIR(st->st_mode) && (st->st_mode & 0022) && (last || !(st->st_mode & S_ISVTX))) {
                fmt_log(walk->complaints,
                        "cannot use the cache folder %s: others may write to %s (mode %04o); "
                        "`chmod go-w` it, or choose another folder",
                        walk->path, name, (unsigned)(st->st_mode & 07777));
                return -EPERM;
        }
        return 0;
}

/* Cuts the first component off walk->rest; NULL at the end. The caller frees it. */
static int next_component(struct walk *walk, char **ret)
{
        char *begin = walk->rest + strspn(walk->rest, "/");
        size_t size = strcspn(begin, "/");
        char *name;

        *ret = NULL;
        if (size == 0)
                return 0;
        name = strndup(begin, size);
        if (!name)
                return -ENOMEM;
        memmove(walk->rest, begin + size, strlen(begin + size) + 1);
        *ret = name;
        return 0;
}

static int follow_link(struct walk *walk, int link_fd)
{
        _cleanup_free_ char *target = calloc(1, PATH_MAX);
        char *joined;
        ssize_t size;

        if (!target)
                return -ENOMEM;
        if (++walk->links > MOST_LINKS)
                return -ELOOP;
        size = readlinkat(link_fd, "", target, PATH_MAX - 1);
        if (size < 0)
                return -errno;
        if (asprintf(&joined, "%s/%s", target, walk->rest) < 0)
                return -ENOMEM;
        free(walk->rest);
        walk->rest = joined;
        if (target[0] == '/') {
                int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (root < 0)
                        return -errno;
                close(walk->fd);
                walk->fd = root;
        }
        return 0;
}

static int enter(struct walk *walk, const char *name)
{
        _cleanup_close_ int fd = -1;
        struct stat st;
        int r;

        fd = openat(walk->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno == ENOENT && walk->create) {
                if (mkdirat(walk->fd, name, 0700) < 0 && errno != EEXIST)
                        return -errno;
                fd = openat(walk->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        }
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        r = check_component(walk, &st, name);
        if (r < 0)
                return r;
        if (S_ISLNK(st.st_mode))
                return follow_link(walk, fd);
        if (!S_ISDIR(st.st_mode))
                return -ENOTDIR;
        close(walk->fd);
        walk->fd = steal_fd(&fd);
        return 0;
}

static int walk_start(struct walk *walk)
{
        _cleanup_free_ char *here = NULL;
        struct stat st;

        if (walk->path[0] != '/') {
                here = getcwd(NULL, 0);
                if (!here)
                        return -errno;
        }
        if (asprintf(&walk->rest, "%s/%s", here ? here : "", walk->path) < 0) {
                walk->rest = NULL;
                return -ENOMEM;
        }
        walk->fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (walk->fd < 0 || fstat(walk->fd, &st) < 0)
                return -errno;
        return check_component(walk, &st, "/");
}

static int walk_to_the_end(struct walk *walk)
{
        int r = walk_start(walk);

        while (r == 0) {
                _cleanup_free_ char *name = NULL;
                r = next_component(walk, &name);
                if (r < 0 || !name)
                        break;
                r = enter(walk, name);
        }
        return r;
}

int cache_folder_open(const char *path, bool create, enum fmt_log_level complaints, int *ret_fd)
{
        _cleanup_(walk_done) struct walk walk = {
                .path = path, .fd = -1, .create = create, .complaints = complaints};
        int r = walk_to_the_end(&walk);

        if (r == 0) {
                *ret_fd = openat(walk.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                r = *ret_fd < 0 ? -errno : 0;
        }
        if (r < 0 && r != -EPERM)
                fmt_log(complaints, "cannot open the cache folder %s: %s; choose another one", path,
                        strerror(-r));
        return r;
}

int cache_folder_sub(int parent, const char *name, bool create, mode_t mode, int *ret_fd)
{
        const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        int fd = openat(parent, name, flags);

        if (fd < 0 && errno == ENOENT && create) {
                /* Not on disk before it is used: what a crash forgets is made again, and the first
                 * mount of all need not wait. */
                if (mkdirat(parent, name, mode) < 0 && errno != EEXIST)
                        return -errno;
                fd = openat(parent, name, flags);
        }
        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

/* Whoever made the folder may have closed it even to its owner, who can always undo that. */
static int open_to_remove(int parent, const char *name)
{
        const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        _cleanup_close_ int handle = -1;
        char path[64];
        int fd = openat(parent, name, flags);

        if (fd < 0 && errno == EACCES) {
                handle = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (handle < 0)
                        return -1;
                snprintf(path, sizeof(path), "/proc/self/fd/%d", handle);
                if (chmod(path, 0700) < 0)
                        return -1;
                return openat(parent, name, flags);
        }
        if (fd >= 0 && fchmod(fd, 0700) < 0) {
                fmt_close_fd(&fd);
                return -1;
        }
        return fd;
}

struct removal {
        int top;
        uint64_t number; /* of the next folder that moves up */
        bool found;      /* something, in this pass over TOP */
};

/* Moves folder NAME of CHILD up into TOP, under a number that is not taken. */
static int move_up(struct removal *removal, int child, const char *name)
{
        _cleanup_close_ int opened = -1;
        char moved[32];

        do
                snprintf(moved, sizeof(moved), "moved-%llu", (unsigned long long)removal->number++);
        while (faccessat(removal->top, moved, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
        if (renameat(child, name, removal->top, moved) == 0)
                return 0;
        if (errno != EACCES)
                return -errno;
        opened = open_to_remove(child, name);
        return opened < 0 || renameat(child, name, removal->top, moved) < 0 ? -errno : 0;
}

/* Empties a folder of TOP, name by name: its files go, its folders move up into TOP. */
static int remove_or_move_up(void *context, int child, const char *name)
{
        if (unlinkat(child, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        if (unlinkat(child, name, AT_REMOVEDIR) == 0)
                return 0;
        return move_up(context, child, name);
}

/* What it held is in TOP afterwards. */
static int remove_child(void *context, int top, const char *name)
{
        struct removal *removal = context;
        _cleanup_close_ int child = -1;
        int r;

        removal->found = true;
        if (unlinkat(top, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        child = open_to_remove(top, name);
        if (child < 0)
                return errno == ENOENT ? 0 : -errno;
        r = cache_each_name(child, remove_or_move_up, removal);
        if (r < 0)
                return r;
        return unlinkat(top, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

int cache_tree_remove(int parent, const char *name)
{
        _cleanup_close_ int top = -1;
        struct removal removal = {.found = true};
        int r = 0;

        if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
                return 0;
        if (errno != EISDIR && errno != EPERM)
                return -errno;
        top = open_to_remove(parent, name);
        if (top < 0)
                return errno == ENOENT ? 0 : -errno;
        removal.top = top;
        while (r == 0 && removal.found) {
                removal.found = false;
                r = cache_each_name(top, remove_child, &removal);
        }
        if (r < 0)
                return r;
        return unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}
