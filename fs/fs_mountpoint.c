/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_mountpoint.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

static bool is_executable_in_path(const char *name)
{
        const char *path = getenv("PATH");
        for (path = path != NULL ? path : "/usr/bin:/bin"; *path != '\0';) {
                const size_t size = strcspn(path, ":");
                _cleanup_free_ char *file = NULL;
                if (asprintf(&file, "%.*s/%s", (int)size, path, name) > 0 &&
                        access(file, X_OK) == 0)
                        return true;
                path += size + (path[size] == ':');
        }
        return false;
}

static int check_device(const char *mountpoint)
{
        _cleanup_close_ int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        if (fd >= 0)
                return 0;
        const int error = -errno;
        switch (error) {
        case -ENOENT:
        case -ENODEV:
        case -ENXIO:
                fmt_error(
                        "cannot mount on %s: this system has no FUSE device (/dev/fuse); load it "
                        "as root with `modprobe fuse`, or give the container `--device /dev/fuse`",
                        mountpoint);
                return error;
        case -EACCES:
                fmt_error("cannot mount on %s: no permission to open /dev/fuse; run as root, or "
                          "install fusermount3 (package fuse3), or have root do `chmod 666 "
                          "/dev/fuse`",
                        mountpoint);
                return error;
        case -EPERM:
                fmt_error("cannot mount on %s: this container may not use /dev/fuse; start it with "
                          "`--device /dev/fuse --cap-add SYS_ADMIN`",
                        mountpoint);
                return error;
        default:
                fmt_error("cannot mount on %s: /dev/fuse does not open: %s", mountpoint,
                        strerror(-error));
                return error;
        }
}

int fs_mountpoint_check(const char *mountpoint, char **ret)
{
        struct stat st;
        if (!strncmp(mountpoint, "/dev/fd/", 8)) {
                *ret = strdup(mountpoint);
                return *ret == NULL ? -ENOMEM : 0;
        }
        if (stat(mountpoint, &st) < 0) {
                const int error = -errno;
                if (error == -ENOTCONN || error == -ECONNABORTED)
                        fmt_error("cannot mount on %s: it still has the mount of a process that is "
                                  "gone; clean it up with `%s %s`, then mount again",
                                mountpoint, geteuid() == 0 ? "umount -l" : "fusermount3 -uz",
                                mountpoint);
                else if (error == -ENOENT)
                        fmt_error("cannot mount on %s: no such folder; make it with `mkdir -p %s`",
                                mountpoint, mountpoint);
                else
                        fmt_error("cannot mount on %s: %s; give a folder that you can reach",
                                mountpoint, strerror(-error));
                return error;
        }
        if (!S_ISDIR(st.st_mode)) {
                fmt_error("cannot mount on %s: it is not a folder; make one with mkdir and mount "
                          "there",
                        mountpoint);
                return -ENOTDIR;
        }
        if (geteuid() != 0 && access(mountpoint, W_OK) < 0) {
                fmt_error("cannot mount on %s: users may only mount on folders that they can "
                          "write; choose one of your own",
                        mountpoint);
                return -EACCES;
        }
        int error = check_device(mountpoint);
        if (error < 0)
                return error;
        *ret = realpath(mountpoint, NULL);
        return *ret == NULL ? -errno : 0;
}

void fs_mountpoint_explain(const char *mountpoint, const char *why)
{
        if (geteuid() != 0 && !is_executable_in_path("fusermount3"))
                fmt_error("cannot mount on %s: only root may mount by itself; install fusermount3 "
                          "(package fuse3), or run in `unshare -Urm`",
                        mountpoint);
        else if (geteuid() == 0 && strstr(why, strerror(EPERM)) != NULL)
                fmt_error("cannot mount on %s: not permitted, although this is root; give the "
                          "container `--cap-add SYS_ADMIN`",
                        mountpoint);
        else
                fmt_error("cannot mount on %s: %s", mountpoint,
                        why[0] != '\0' ? why : "mounting was refused; see the message above");
}
