/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_unmount.h"

#include <errno.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static int run_fusermount(char *const *argv)
{
        pid_t pid;
        int status;
        int error = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
        if (error != 0)
                return -error;
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

static int unmount(const char *mountpoint, int flags)
{
        return umount2(mountpoint, flags | UMOUNT_NOFOLLOW) == 0 ? 0 : -errno;
}

int fs_unmount_detach(const char *mountpoint)
{
        int error = unmount(mountpoint, MNT_DETACH);
        if (error != -EPERM)
                return error;
        return run_fusermount(
                (char *[]){"fusermount3", "-u", "-z", "-q", "--", (char *)mountpoint, NULL});
}

int fs_unmount_idle(const char *mountpoint)
{
        int error = unmount(mountpoint, 0);
        if (error != -EPERM)
                return error;
        return run_fusermount(
                (char *[]){"fusermount3", "-u", "-q", "--", (char *)mountpoint, NULL});
}

int fs_unmount_expire(const char *mountpoint)
{
        return unmount(mountpoint, MNT_EXPIRE);
}
