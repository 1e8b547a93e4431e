/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_guard.h"

#include "fs_mountpoint.h"
#include "fs_mounts.h"
#include "fs_unmount.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct fs_guard {
        int channel;
        pid_t pid;
};

struct charge {
        dev_t device;
        char mountpoint[PATH_MAX];
};

/* Holds on to nothing of what it was forked from: neither descriptors nor terminal nor folder. */
static bool let_go(int channel)
{
        const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int fd = 0; fd < 3; fd++)
                if (null < 0 || dup2(null, fd) < 0)
                        return false;
        signal(SIGTERM, SIG_IGN);
        signal(SIGINT, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
        prctl(PR_SET_NAME, "xaas-guard", 0, 0, 0);
        setsid();
        /* fmt_log_setup has filled 0 to 2, so that neither of these is among them. */
        return chdir("/") == 0 && (channel == 3 || dup3(channel, 3, O_CLOEXEC) == 3) &&
               close_range(4, ~0U, 0) == 0;
}

static _Noreturn void stand_guard(int channel)
{
        static struct charge charge;
        char dismissal;
        dev_t device;
        if (!let_go(channel))
                _exit(1);
        if (recv(3, &charge, sizeof charge, 0) != sizeof charge)
                _exit(0);
        if (recv(3, &dismissal, sizeof dismissal, 0) != 0)
                _exit(0);
        /* Whoever mounted after it was unmounted may have got its number. */
        if (fs_mounts_at(charge.mountpoint, &device) == 0 && device == charge.device &&
                fs_mountpoint_is_dead(charge.mountpoint))
                fs_unmount_detach(charge.mountpoint);
        _exit(0);
}

int fs_guard_start(struct fs_guard **ret)
{
        int ends[2];
        struct fs_guard *started = calloc(1, sizeof *started);
        if (started == NULL)
                return -ENOMEM;
        int error = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
        if (error == 0) {
                started->pid = fork();
                if (started->pid == 0)
                        stand_guard(ends[1]);
                error = started->pid < 0 ? -errno : 0;
                close(ends[1]);
                started->channel = ends[0];
                if (error < 0)
                        close(ends[0]);
        }
        if (error < 0) {
                fmt_error("cannot start the process that -o auto_unmount needs: %s; mount without "
                          "that option",
                        strerror(-error));
                free(started);
                return error;
        }
        *ret = started;
        return 0;
}

int fs_guard_watch(struct fs_guard *guard, const char *mountpoint, dev_t device)
{
        struct charge charge = {.device = device};
        if (strlen(mountpoint) >= sizeof charge.mountpoint)
                return -ENAMETOOLONG;
        strcpy(charge.mountpoint, mountpoint);
        if (send(guard->channel, &charge, sizeof charge, MSG_NOSIGNAL) >= 0)
                return 0;
        const int error = -errno;
        fmt_error("cannot mount on %s: the process that -o auto_unmount needs has ended; mount "
                  "without that option",
                mountpoint);
        return error;
}

void fs_guard_dismiss(struct fs_guard *guard)
{
        if (guard == NULL)
                return;
        if (send(guard->channel, "", 1, MSG_NOSIGNAL) < 0)
                fmt_debug("the process of -o auto_unmount is gone");
        close(guard->channel);
        while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        free(guard);
}
