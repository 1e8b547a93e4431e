/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_terminal.h"

#include "fmt_cleanup.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* The kernel's UNIX98_PTY_SLAVE_MAJOR: /dev/pts/N has this number and minor N. */
#define PTS_MAJOR 136

/* Where /proc is another PID namespace's, its numbers are not those that requests come with. */
static bool proc_is_ours(void)
{
        char self[16] = "";
        return readlink("/proc/self", self, sizeof self - 1) > 0 && atoi(self) == (int)getpid();
}

/* The seventh field of /proc/PID/stat, behind a name that may hold spaces and parentheses. */
dev_t fs_terminal_of(pid_t pid)
{
        char path[40], line[512];
        int encoded;
        if (pid <= 0 || !proc_is_ours())
                return 0;
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        if (file == NULL || fgets(line, sizeof line, file) == NULL)
                return 0;
        const char *after = strrchr(line, ')');
        if (after == NULL || sscanf(after, ") %*c %*d %*d %*d %d", &encoded) != 1)
                return 0;
        /* proc(5): minor in bits 31 to 20 and 7 to 0, major in bits 15 to 8. */
        const unsigned number = (unsigned)encoded;
        return makedev((number >> 8) & 0xff, (number & 0xff) | ((number >> 12) & 0xfff00));
}

/* Opened as what it is, which asks no file system anything: a stream may lead to a file of a server
 * that does not answer, or to one of ours. */
static int find_stream(pid_t pid, dev_t terminal, uid_t user)
{
        for (int stream = 2; stream >= 0; stream--) {
                char path[48];
                struct statx st;
                snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, stream);
                int fd = open(path, O_PATH | O_CLOEXEC);
                if (fd < 0)
                        continue;
                if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_UID,
                            &st) == 0 &&
                        S_ISCHR(st.stx_mode) && st.stx_uid == user &&
                        makedev(st.stx_rdev_major, st.stx_rdev_minor) == terminal)
                        return fd;
                close(fd);
        }
        return -1;
}

void fs_terminal_write(pid_t pid, dev_t terminal, uid_t user, const char *text)
{
        char path[40];
        if (major(terminal) != PTS_MAJOR)
                return;
        _cleanup_close_ int stream = find_stream(pid, terminal, user);
        if (stream < 0)
                return;
        snprintf(path, sizeof path, "/proc/self/fd/%d", stream);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0)
                (void)!write(fd, text, strlen(text));
}
