/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_daemon.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define READY "ready\n"

/* Ends with the child's own status if it ended before it was ready. */
static _Noreturn void wait_until_ready(pid_t child, int from_child)
{
        char byte;
        ssize_t n;
        while ((n = read(from_child, &byte, 1)) < 0 && errno == EINTR)
                ;
        if (n == 1)
                _exit(0);
        int status;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                ;
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static bool is_named(char *const *argv, int fd)
{
        for (; *argv != NULL; argv++)
                for (const char *at = *argv; (at = strstr(at, "/fd/")) != NULL; at++)
                        if (atoi(at + strlen("/fd/")) == fd)
                                return true;
        return false;
}

static void close_inherited(int ready_fd, int to_parent, char *const *argv)
{
        DIR *open_ones = opendir("/proc/self/fd");
        if (open_ones == NULL)
                return;
        for (const struct dirent *entry; (entry = readdir(open_ones)) != NULL;) {
                const int fd = atoi(entry->d_name);
                if (fd > 2 && fd != ready_fd && fd != to_parent && fd != dirfd(open_ones) &&
                        !is_named(argv, fd))
                        close(fd);
        }
        closedir(open_ones);
}

int fs_daemon_begin(bool foreground, int ready_fd, char *const *argv, struct fs_daemon *ret)
{
        int ends[2];
        *ret = (struct fs_daemon){.parent = -1, .ready_fd = ready_fd};
        if (ready_fd >= 0 && fcntl(ready_fd, F_SETFD, FD_CLOEXEC) < 0)
                return -errno;
        if (foreground)
                return 0;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        pid_t child = fork();
        if (child < 0) {
                fmt_error("cannot go to the background: %s; use -f", strerror(errno));
                return -errno;
        }
        if (child > 0) {
                close(ends[1]);
                wait_until_ready(child, ends[0]);
        }
        close(ends[0]);
        close_inherited(ready_fd, ends[1], argv);
        ret->parent = ends[1];
        return 0;
}

static void tell(int fd, const char *text, size_t size)
{
        /* Whoever waited may be gone, killed: the mount serves all the same. */
        if (write(fd, text, size) < 0)
                fmt_debug("nobody waits for this mount any more");
}

void fs_daemon_ready(struct fs_daemon *daemon)
{
        if (daemon->ready_fd >= 0)
                tell(daemon->ready_fd, READY, strlen(READY));
        if (daemon->ready_fd > 2)
                close(daemon->ready_fd);
        if (daemon->parent < 0)
                return;
        setsid();
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null >= 0) {
                for (int fd = 0; fd <= 2; fd++)
                        dup2(null, fd);
                close(null);
        }
        fmt_log_to_syslog();
        if (chdir("/") < 0)
                fmt_debug("the folder / cannot be entered");
        tell(daemon->parent, "", 1);
        close(daemon->parent);
        daemon->parent = -1;
}
