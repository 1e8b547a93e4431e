/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_mountpoint.h"

#include "fs_mounts.h"
#include "fs_unmount.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#define PASSED "/dev/fd/"
#define FUSE_DEVICE makedev(10, 229) /* Linux, Documentation/admin-guide/devices.txt */

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

bool fs_mountpoint_is_passed(const char *mountpoint)
{
        return !strncmp(mountpoint, PASSED, strlen(PASSED));
}

/* MOUNTPOINT is /dev/fd/N. */
static int check_passed(const char *mountpoint)
{
        char *end;
        struct stat st;
        const long number = strtol(mountpoint + strlen(PASSED), &end, 10);
        struct pollfd fd = {.fd = *end == '\0' && number <= INT_MAX ? (int)number : -1};
        if (fd.fd < 3 || fstat(fd.fd, &st) < 0 || !S_ISCHR(st.st_mode) ||
                st.st_rdev != FUSE_DEVICE) {
                fmt_error("cannot serve %s: it is no open /dev/fuse; whoever starts xaasfs opens "
                          "/dev/fuse, mounts it and passes it on as a descriptor from 3 on",
                        mountpoint);
                return -EBADF;
        }
        if (poll(&fd, 1, 0) < 0 || (fd.revents & POLLERR) != 0) {
                fmt_error("cannot serve %s: nobody has mounted it, or it was unmounted; mount it "
                          "(mount(2), fd=%d) before xaasfs is started",
                        mountpoint, fd.fd);
                return -ENOTCONN;
        }
        /* A child that held it would keep a dead mount from being noticed. */
        return fcntl(fd.fd, F_SETFD, FD_CLOEXEC) < 0 ? -errno : 0;
}

/* What stat tells may have been kept by the kernel since better times; statfs always asks. */
static int ask(const char *mountpoint, struct stat *ret)
{
        struct statfs unused;
        return stat(mountpoint, ret) < 0 || statfs(mountpoint, &unused) < 0 ? -errno : 0;
}

static bool is_dead(int error)
{
        return error == -ENOTCONN || error == -ECONNABORTED;
}

bool fs_mountpoint_is_dead(const char *mountpoint)
{
        struct stat unused;
        return is_dead(ask(mountpoint, &unused));
}

static int refuse(const char *mountpoint, int error)
{
        if (is_dead(error))
                fmt_error("cannot mount on %s: it still has the mount of a process that is gone; "
                          "clean it up with `%s %s`, or mount with -o auto_unmount",
                        mountpoint, geteuid() == 0 ? "umount -l" : "fusermount3 -uz", mountpoint);
        else if (error == -ENOENT && mountpoint[0] == '\0')
                fmt_error("cannot mount: the path of the mount point is empty; give a folder");
        else if (error == -ENOENT)
                fmt_error("cannot mount on %s: no such folder; make it with `mkdir -p %s`",
                        mountpoint, mountpoint);
        else
                fmt_error("cannot mount on %s: %s; give a folder that you can reach", mountpoint,
                        strerror(-error));
        return error;
}

int fs_mountpoint_check(const char *mountpoint, bool clean, char **ret)
{
        struct stat st;
        if (fs_mountpoint_is_passed(mountpoint)) {
                *ret = strdup(mountpoint);
                return *ret == NULL ? -ENOMEM : check_passed(mountpoint);
        }
        int error = ask(mountpoint, &st);
        while (clean && is_dead(error) && fs_unmount_detach(mountpoint) == 0) {
                fmt_info("%s: took away the mount of a process that is gone", mountpoint);
                error = ask(mountpoint, &st);
        }
        if (error < 0)
                return refuse(mountpoint, error);
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
        error = check_device(mountpoint);
        if (error < 0)
                return error;
        *ret = realpath(mountpoint, NULL);
        if (*ret == NULL)
                return refuse(mountpoint, -errno);
        dev_t below;
        if (fs_mounts_at(*ret, &below) == 0)
                fmt_warning("%s: an image is mounted there already, hidden from now on; end this "
                            "mount to get it back",
                        mountpoint);
        return 0;
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
