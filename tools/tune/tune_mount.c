/* SPDX-License-Identifier: Apache-2.0 */
#include "tune_mount.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_strings.h"
#include "tune_place.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* A mount that is told to end waits for those who are in it, and be it through a copy of it in a
 * mount namespace that somebody made meanwhile; told again, it does not. Milliseconds. */
#define END_MS 2000
#define TOLD_TIMES 2
/* Of xaasfs: the descriptor that it is told to report on. */
#define READY_FD 3

struct tune_mount {
        char *path; /* of the mount point */
        char *log;  /* of the file with its messages */
        pid_t pid;
};

int tune_mounts_begin(struct tune_mounts *mounts)
{
        const char *temporary = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";

        mounts->xaasfs = tune_find_program("xaasfs");
        if (!mounts->xaasfs) {
                fmt_error("cannot mount %s: xaasfs is neither beside xaas nor in PATH; install it, "
                          "or add its folder to PATH",
                        mounts->image);
                return -ENOENT;
        }
        if (asprintf(&mounts->folder, "%s/xaas-tune-XXXXXX", temporary) < 0) {
                mounts->folder = NULL;
                return -ENOMEM;
        }
        if (mkdtemp(mounts->folder))
                return 0;
        fmt_error("cannot make a folder in %s: %s; name another one in TMPDIR", temporary,
                strerror(errno));
        free(steal_pointer(&mounts->folder));
        return -EIO;
}

void tune_mounts_done(struct tune_mounts *mounts)
{
        if (mounts->folder)
                rmdir(mounts->folder);
        free(mounts->folder);
        free(mounts->xaasfs);
        mounts->folder = mounts->xaasfs = NULL;
}

/* ---- starting ---- */

static int add_option(char ***words, const char *name, const char *value)
{
        _cleanup_free_ char *word = NULL;

        if (!value)
                return 0;
        if (asprintf(&word, "--%s=%s", name, value) < 0)
                return -ENOMEM;
        return fmt_strings_append(words, word);
}

/* auto_unmount: even if it must be killed. */
static int make_words(const struct tune_mounts *mounts, const struct tune_mount *mount,
        const char *policy, char ***ret)
{
        static const char *const fixed[] = {"-f", "--ready-fd=3", "--auto_unmount"};
        _cleanup_(fmt_strings_freep) char **words = NULL;
        int r = fmt_strings_append(&words, mounts->xaasfs);

        for (size_t i = 0; r == 0 && i < sizeof(fixed) / sizeof(fixed[0]); i++)
                r = fmt_strings_append(&words, fixed[i]);
        if (r == 0)
                r = add_option(&words, "policy", policy);
        if (r == 0)
                r = add_option(&words, "cache", mounts->cache);
        if (r == 0)
                r = add_option(&words, "target", mounts->target);
        if (r == 0)
                r = add_option(&words, "variant", mounts->variant);
        if (r == 0)
                r = fmt_strings_append(&words, "--");
        if (r == 0)
                r = fmt_strings_append(&words, mounts->image);
        if (r == 0)
                r = fmt_strings_append(&words, mount->path);
        if (r == 0)
                *ret = steal_pointer(&words);
        return r;
}

/* In the child: in a group of its own, so that only we end it, and not an interrupt key. */
static _Noreturn void become(char **words, int ready, int log, pid_t parent)
{
        sigset_t none;

        setpgid(0, 0);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent || dup2(log, 1) < 0 || dup2(log, 2) < 0)
                _exit(127);
        if (ready == READY_FD ? fcntl(ready, F_SETFD, 0) < 0 : dup2(ready, READY_FD) < 0)
                _exit(127);
        execv(words[0], words);
        dprintf(2, "cannot run %s: %s\n", words[0], strerror(errno));
        _exit(127);
}

/* Whether the other end was told so. */
static int await_ready(int ready, int stop_fd)
{
        struct pollfd fds[] = {{.fd = ready, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
        char line[8];

        while (poll(fds, 2, -1) < 0)
                if (errno != EINTR)
                        return -errno;
        if (fds[1].revents)
                return -ECANCELED;
        return read(ready, line, sizeof(line)) > 0 ? 0 : -EIO;
}

static void tell_log(const struct tune_mounts *mounts, const struct tune_mount *mount)
{
        _cleanup_fclose_ FILE *file = fopen(mount->log, "re");
        char text[1000] = "";

        if (file)
                text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
        text[strcspn(text, "\n")] = '\0';
        fmt_error("cannot mount %s: %s", mounts->image,
                *text ? text : "xaasfs ended without a word; try to mount it by hand");
}

static int start(const struct tune_mounts *mounts, const char *policy, struct tune_mount *mount)
{
        _cleanup_(fmt_strings_freep) char **words = NULL;
        _cleanup_close_ int log = open(mount->log, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        _cleanup_close_ int ready = -1, ready_end = -1;
        pid_t parent = getpid();
        int ends[2];
        int r = make_words(mounts, mount, policy, &words);

        if (r < 0)
                return r;
        if (log < 0 || mkdir(mount->path, 0700) < 0 || pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        ready = ends[0];
        ready_end = ends[1];
        mount->pid = fork();
        if (mount->pid < 0)
                return -errno;
        if (mount->pid == 0)
                become(words, ready_end, log, parent);
        close(steal_fd(&ready_end));
        return await_ready(ready, mounts->stop_fd);
}

/* Paths of equal length: how long words are shifts what a program has on its stack, and its time.
 */
int tune_mount_start(struct tune_mounts *mounts, const char *policy, struct tune_mount **ret)
{
        struct tune_mount *mount = calloc(1, sizeof(*mount));
        int r = -ENOMEM;

        if (!mount)
                return -ENOMEM;
        mounts->n_started++;
        if (asprintf(&mount->path, "%s/%03u", mounts->folder, mounts->n_started) < 0)
                mount->path = NULL;
        if (asprintf(&mount->log, "%s/%03u.log", mounts->folder, mounts->n_started) < 0)
                mount->log = NULL;
        if (mount->path && mount->log)
                r = start(mounts, policy, mount);
        if (r < 0) {
                if (r != -ECANCELED)
                        tell_log(mounts, mount);
                tune_mount_end(mount);
                return r;
        }
        *ret = mount;
        return 0;
}

/* ---- ending ---- */

static void end_process(pid_t pid)
{
        _cleanup_close_ int pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
        struct pollfd ended = {.fd = pid_fd, .events = POLLIN};

        for (int told = 0; told < TOLD_TIMES && !ended.revents; told++) {
                kill(pid, SIGTERM);
                poll(&ended, 1, END_MS);
        }
        if (!ended.revents)
                kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}

void tune_mount_end(struct tune_mount *mount)
{
        if (!mount)
                return;
        if (mount->pid > 0)
                end_process(mount->pid);
        if (mount->path)
                rmdir(mount->path);
        if (mount->log)
                unlink(mount->log);
        free(mount->path);
        free(mount->log);
        free(mount);
}

/* ---- questions ---- */

const char *tune_mount_path(const struct tune_mount *mount)
{
        return mount->path;
}

int tune_mount_opens(const struct tune_mount *mount, const char *path, uint64_t *ret)
{
        char full[PATH_MAX], value[32];
        ssize_t size;

        if (snprintf(full, sizeof(full), "%s/%s", mount->path, path + strspn(path, "/")) >=
                (int)sizeof(full))
                return -ENAMETOOLONG;
        size = getxattr(full, "user.xaasfs.opens", value, sizeof(value) - 1);
        if (size < 0)
                return -errno;
        value[size] = '\0';
        return sscanf(value, "%" SCNu64, ret) == 1 ? 0 : -ENODATA;
}
