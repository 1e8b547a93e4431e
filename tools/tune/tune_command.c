/* SPDX-License-Identifier: Apache-2.0 */
#include "tune_command.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_strings.h"
#include "tune_place.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static bool names_mount(char *const *words)
{
        for (; *words; words++)
                if (strstr(*words, "{}"))
                        return true;
        return false;
}

int tune_command_begin(
        char *const *words, const struct tune_metric *metric, int stop_fd, struct tune_command *ret)
{
        *ret = (struct tune_command){.words = words, .metric = metric, .stop_fd = stop_fd};
        if (!getcwd(ret->folder, sizeof(ret->folder)))
                return -errno;
        if (names_mount(words))
                return 0;
        ret->bwrap = tune_find_program("bwrap");
        ret->place = ret->bwrap ? TUNE_BWRAP : TUNE_CHROOT;
        if (ret->bwrap || geteuid() == 0)
                return 0;
        fmt_error(
                "cannot run %s inside the image: bwrap is not installed, and chroot needs root; "
                "install bubblewrap, or write {} in the command where the mount point shall stand",
                words[0]);
        return -EINVAL;
}

void tune_command_done(struct tune_command *command)
{
        free(command->bwrap);
        command->bwrap = NULL;
}

/* ---- the process ---- */

struct process {
        pid_t pid;
        int pid_fd;
        int output, errors; /* memfds */
        struct timespec began;
};

static void process_done(struct process *process)
{
        fmt_close_fd(&process->pid_fd);
        fmt_close_fd(&process->output);
        fmt_close_fd(&process->errors);
}

/* In the child. */
static _Noreturn void become(const struct tune_command *command, const char *mountpoint,
        char **words, const struct process *process)
{
        sigset_t none;
        int null = open("/dev/null", O_RDONLY);

        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        if (null < 0 || dup2(null, 0) < 0 || dup2(process->output, 1) < 0 ||
                dup2(process->errors, 2) < 0 || setenv("XAASFS_MOUNT", mountpoint, 1) < 0)
                _exit(127);
        if (command->place == TUNE_CHROOT && tune_chroot(mountpoint, command->folder) < 0) {
                dprintf(2, "cannot enter the mount: %s\n", strerror(errno));
                _exit(127);
        }
        execvp(words[0], words);
        dprintf(2, "cannot run %s: %s\n", words[0], strerror(errno));
        _exit(127);
}

static int start(const struct tune_command *command, const char *mountpoint, char **words,
        struct process *ret)
{
        ret->output = memfd_create("output", MFD_CLOEXEC);
        ret->errors = memfd_create("errors", MFD_CLOEXEC);
        if (ret->output < 0 || ret->errors < 0)
                return -errno;
        clock_gettime(CLOCK_MONOTONIC, &ret->began);
        ret->pid = fork();
        if (ret->pid < 0)
                return -errno;
        if (ret->pid == 0)
                become(command, mountpoint, words, ret);
        setpgid(ret->pid, ret->pid); /* both do it: whoever is first */
        ret->pid_fd = (int)syscall(SYS_pidfd_open, ret->pid, 0);
        if (ret->pid_fd >= 0)
                return 0;
        kill(-ret->pid, SIGKILL);
        waitpid(ret->pid, NULL, 0);
        return -errno;
}

/* 0 when it has ended; -ETIMEDOUT, -ECANCELED: then it was killed. */
static int await(const struct tune_command *command, const struct process *process, double limit_s,
        int *ret_status, struct rusage *ret_used)
{
        struct pollfd fds[] = {{.fd = process->pid_fd, .events = POLLIN},
                {.fd = command->stop_fd, .events = POLLIN}};
        int timeout = limit_s > 0 && limit_s < 2e6 ? (int)(limit_s * 1e3) : -1;
        int n, r = 0;

        do
                n = poll(fds, 2, timeout);
        while (n < 0 && errno == EINTR);
        if (!fds[0].revents)
                r = fds[1].revents ? -ECANCELED : n == 0 ? -ETIMEDOUT : -EIO;
        /* What it left behind would disturb the next run. */
        kill(-process->pid, SIGKILL);
        while (wait4(process->pid, ret_status, 0, ret_used) < 0)
                if (errno != EINTR)
                        return -errno;
        return r;
}

/* ---- what came of it ---- */

/* The end of a memfd as a terminated text; the caller frees. */
static char *read_text(int fd, size_t most)
{
        struct stat st;
        char *text;
        ssize_t n;

        if (fstat(fd, &st) < 0)
                return NULL;
        off_t from = (size_t)st.st_size > most ? st.st_size - (off_t)most : 0;
        text = malloc((size_t)(st.st_size - from) + 1);
        if (!text)
                return NULL;
        n = pread(fd, text, (size_t)(st.st_size - from), from);
        n = n < 0 ? 0 : n;
        text[n] = '\0';
        /* A regular expression ends at the first NUL. */
        for (ssize_t i = 0; i < n; i++)
                if (text[i] == '\0')
                        text[i] = ' ';
        return text;
}

static int digest_of(int fd, struct fmt_digest *ret)
{
        struct stat st;
        void *data;
        int r;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size == 0)
                return fmt_digest_of("", 0, ret);
        data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
                return -errno;
        r = fmt_digest_of(data, (size_t)st.st_size, ret);
        munmap(data, (size_t)st.st_size);
        return r;
}

static int fail(char **ret_reason, char *reason)
{
        *ret_reason = reason;
        return -EPROTO;
}

/* With the last line that it printed as an error. */
static int explain(int status, const struct process *process, char **ret_reason)
{
        _cleanup_free_ char *text = read_text(process->errors, 400);
        const char *line = text ? text : "";
        char *reason;

        if (text) {
                size_t size = strlen(text);
                while (size > 0 && text[size - 1] == '\n')
                        text[--size] = '\0';
                line = strrchr(text, '\n') ? strrchr(text, '\n') + 1 : text;
        }
        if (asprintf(&reason, "it ended with %s %d%s%s", WIFSIGNALED(status) ? "signal" : "status",
                    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), *line ? ": " : "",
                    line) < 0)
                reason = NULL;
        return fail(ret_reason, reason);
}

static double seconds_of(struct timeval time)
{
        return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static int read_number(const struct tune_metric *metric, const struct process *process, double *ret)
{
        const int files[] = {process->output, process->errors};

        for (size_t i = 0; i < 2; i++) {
                _cleanup_free_ char *text = read_text(files[i], (size_t)64 << 20);
                if (text && tune_metric_find(metric, text, ret) == 0)
                        return 0;
        }
        return -ENOENT;
}

static int judge(const struct tune_command *command, const struct process *process,
        const struct rusage *used, struct tune_run *ret, char **ret_reason)
{
        const struct tune_metric *metric = command->metric;
        double value = ret->seconds;

        if (metric->measure == TUNE_CPU)
                value = seconds_of(used->ru_utime) + seconds_of(used->ru_stime);
        if (metric->measure == TUNE_USER)
                value = seconds_of(used->ru_utime);
        if (metric->measure == TUNE_PRINTED && read_number(metric, process, &value) < 0)
                return fail(ret_reason, strdup("it printed no number that --metric finds"));
        ret->cost = tune_metric_cost(metric, value);
        if (!isfinite(ret->cost))
                return fail(ret_reason, strdup("it printed 0, and --higher is asked for"));
        return digest_of(process->output, &ret->output);
}

static double since(const struct timespec *began)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)(now.tv_sec - began->tv_sec) + (double)(now.tv_nsec - began->tv_nsec) / 1e9;
}

int tune_command_run(const struct tune_command *command, const char *mountpoint, double limit_s,
        struct tune_run *ret, char **ret_reason)
{
        _cleanup_(process_done) struct process process = {.pid_fd = -1, .output = -1, .errors = -1};
        _cleanup_(fmt_strings_freep) char **words = NULL;
        struct rusage used;
        int status = 0;
        int r = tune_place_words(command, mountpoint, &words);

        *ret_reason = NULL;
        if (r == 0)
                r = start(command, mountpoint, words, &process);
        if (r < 0)
                return r;
        r = await(command, &process, limit_s, &status, &used);
        ret->seconds = since(&process.began);
        if (r == -ETIMEDOUT)
                return fail(
                        ret_reason, strdup("it took more than ten times as long as the default"));
        if (r < 0)
                return r;
        if (status != 0)
                return explain(status, &process, ret_reason);
        return judge(command, &process, &used, ret, ret_reason);
}
