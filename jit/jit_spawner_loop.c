/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_spawner_loop.h"

#include "fmt_cleanup.h"
#include "jit_spawner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct running {
        pid_t pid; /* also its process group; 0: slot is free */
        int channel;
};

struct loop {
        int requests;
        int signals;
        struct running *children;
        struct pollfd *polls; /* requests, signals, then one for each child slot */
        size_t n_children;
};

struct request {
        char message[JIT_SPAWN_MESSAGE_MAX];
        struct jit_spawn_request head;
        char **argv; /* path, then argv; NULL-terminated; points into message */
        int channel;
        int fds[JIT_SPAWNER_MAX_FDS]; /* -1: /dev/null */
};

static void report(int channel, enum jit_spawn_event event, int value)
{
        struct jit_spawn_report message = {.event = (int32_t)event, .value = value};

        /* Two small messages always fit; a reader that went away does not matter. */
        (void)!send(channel, &message, sizeof(message), MSG_NOSIGNAL | MSG_DONTWAIT);
}

static struct running *slot_of(struct loop *loop, pid_t pid)
{
        for (size_t i = 0; i < loop->n_children; i++) {
                if (loop->children[i].pid == pid)
                        return &loop->children[i];
        }
        return NULL;
}

static struct running *free_slot(struct loop *loop)
{
        struct running *slot = slot_of(loop, 0);
        size_t more = loop->n_children ? loop->n_children * 2 : 16;

        if (slot)
                return slot;
        struct running *children = realloc(loop->children, more * sizeof(*children));
        if (!children)
                return NULL;
        loop->children = children;
        struct pollfd *polls = realloc(loop->polls, (2 + more) * sizeof(*polls));
        if (!polls)
                return NULL;
        loop->polls = polls;
        memset(&children[loop->n_children], 0, (more - loop->n_children) * sizeof(*children));
        slot = &children[loop->n_children];
        loop->n_children = more;
        return slot;
}

/* ---- in the child, between vfork and exec: what it writes to memory is ours, too ---- */

static void reset_signals(void)
{
        struct sigaction action = {.sa_handler = SIG_DFL};
        sigset_t none;

        for (int number = 1; number < _NSIG; number++)
                sigaction(number, &action, NULL);
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
}

/* When memory runs out, the mount must live and this must die. */
static void volunteer_for_oom(void)
{
        _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

        if (fd >= 0)
                (void)!write(fd, "1000", 4);
}

/* Everything is first moved out of the way, so that no dup2 overwrites what is still needed. */
static int place_descriptors(int *fds, size_t n_fds, int *error_fd)
{
        *error_fd = fcntl(*error_fd, F_DUPFD_CLOEXEC, JIT_SPAWNER_MAX_FDS);
        for (size_t i = 0; i < n_fds && *error_fd >= 0; i++) {
                int fd = fds[i] >= 0 ? fds[i] : open("/dev/null", O_RDWR | O_CLOEXEC);
                fds[i] = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, JIT_SPAWNER_MAX_FDS);
                if (fds[i] < 0)
                        return -errno;
        }
        if (*error_fd < 0)
                return -errno;
        for (size_t i = 0; i < n_fds; i++) {
                if (dup2(fds[i], (int)i) < 0)
                        return -errno;
        }
        return close_range((unsigned)n_fds, ~0U, CLOSE_RANGE_CLOEXEC) < 0 ? -errno : 0;
}

__attribute__((noreturn)) static void become(struct request *request, pid_t parent, int error_fd)
{
        static char *const environment[] = {"PATH=/usr/bin:/bin", "LANG=C", NULL};
        int error;

        reset_signals();
        volunteer_for_oom();
        if (setsid() < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
                error = -errno;
        else if (getppid() != parent)
                _exit(127); /* the spawner died before the line above could see it */
        else
                error = place_descriptors(request->fds, request->head.n_fds, &error_fd);
        if (error == 0) {
                execve(request->argv[0], request->argv + 1, environment);
                error = -errno;
        }
        (void)!write(error_fd, &error, sizeof(error));
        _exit(127);
}

/* ---- requests ---- */

/* Returns when the exec has worked or failed: the pipe closes with it. */
static int start(struct request *request, pid_t *ret_pid)
{
        _cleanup_close_ int reading = -1;
        _cleanup_close_ int writing = -1;
        pid_t self = getpid();
        int ends[2];
        int error = 0;

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        reading = ends[0];
        writing = ends[1];
        /* Copying our page tables would take as long as all the rest. */
        pid_t pid = vfork();
        if (pid < 0)
                return -errno;
        if (pid == 0)
                become(request, self, writing);
        close(steal_fd(&writing));
        if (read(reading, &error, sizeof(error)) != sizeof(error)) {
                *ret_pid = pid;
                return 0;
        }
        waitpid(pid, NULL, 0);
        return error;
}

static int parse(struct request *request, size_t size)
{
        char *at = request->message + sizeof(request->head);
        char *end = request->message + size;

        if (size <= sizeof(request->head) || end[-1])
                return -EINVAL;
        memcpy(&request->head, request->message, sizeof(request->head));
        if (request->head.n_fds > JIT_SPAWNER_MAX_FDS || request->head.n_argv > size)
                return -EINVAL;
        request->argv = calloc(request->head.n_argv + 2, sizeof(char *));
        if (!request->argv)
                return -ENOMEM;
        for (size_t i = 0; i < request->head.n_argv + 1; i++) {
                if (at >= end)
                        return -EINVAL;
                request->argv[i] = at;
                at += strlen(at) + 1;
        }
        return 0;
}

/* Descriptors that came along, at most MAX; returns how many. */
static size_t received(struct msghdr *message, int *fds, size_t max)
{
        struct cmsghdr *control = CMSG_FIRSTHDR(message);

        if (!control || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
                return 0;
        size_t n = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(control), (n < max ? n : max) * sizeof(int));
        return n;
}

static int assign(struct request *request, const int *fds, size_t n)
{
        size_t next = 1;

        for (size_t i = 0; i < request->head.n_fds; i++) {
                if (!(request->head.present & (UINT64_C(1) << i)))
                        continue;
                if (next >= n)
                        return -EMFILE; /* this process has no room for them */
                request->fds[i] = fds[next++];
        }
        return 0;
}

/* Runs one request; the channel stays open if the child was started. */
static void handle(
        struct loop *loop, struct request *request, size_t size, const int *fds, size_t n)
{
        struct running *slot;
        pid_t pid = 0;
        int r;

        request->argv = NULL;
        for (size_t i = 0; i < JIT_SPAWNER_MAX_FDS; i++)
                request->fds[i] = -1;
        r = parse(request, size);
        if (r == 0)
                r = assign(request, fds, n);
        slot = r == 0 ? free_slot(loop) : NULL;
        if (r == 0)
                r = slot ? start(request, &pid) : -ENOMEM;
        free(request->argv);
        report(fds[0], r == 0 ? JIT_SPAWN_STARTED : JIT_SPAWN_FAILED, r == 0 ? (int)pid : r);
        if (r == 0)
                *slot = (struct running){.pid = pid, .channel = fds[0]};
        else
                close(fds[0]);
}

/* 0 when the other end is closed. */
static int serve_request(struct loop *loop, struct request *request)
{
        union {
                char bytes[CMSG_SPACE(sizeof(int) * (JIT_SPAWNER_MAX_FDS + 1))];
                struct cmsghdr align;
        } control;
        int fds[JIT_SPAWNER_MAX_FDS + 1];
        struct iovec part = {request->message, sizeof(request->message)};
        struct msghdr message = {.msg_iov = &part,
                .msg_iovlen = 1,
                .msg_control = control.bytes,
                .msg_controllen = sizeof(control.bytes)};
        ssize_t size = recvmsg(loop->requests, &message, MSG_CMSG_CLOEXEC);

        if (size < 0)
                return errno == EINTR ? 1 : 0;
        if (size == 0)
                return 0;
        size_t n = received(&message, fds, sizeof(fds) / sizeof(fds[0]));
        if (n > 0)
                handle(loop, request, (size_t)size, fds, n);
        for (size_t i = 1; i < n; i++)
                close(fds[i]);
        return 1;
}

/* ---- children ---- */

/* The leader stays unreaped until its group is dead, so that the group's number is still its own.
 */
static void end(struct running *child)
{
        int status;

        kill(-child->pid, SIGKILL);
        if (waitpid(child->pid, &status, 0) == child->pid)
                report(child->channel, JIT_SPAWN_ENDED, status);
        close(child->channel);
        child->pid = 0;
}

static void reap(struct loop *loop)
{
        struct signalfd_siginfo drained;
        siginfo_t info;

        (void)!read(loop->signals, &drained, sizeof(drained));
        for (;;) {
                memset(&info, 0, sizeof(info));
                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
                        return;
                struct running *child = slot_of(loop, info.si_pid);
                if (child)
                        end(child);
                else
                        waitpid(info.si_pid, NULL, 0); /* left behind by a child: adopted */
        }
}

static size_t fill_polls(struct loop *loop)
{
        loop->polls[0] = (struct pollfd){.fd = loop->requests, .events = POLLIN};
        loop->polls[1] = (struct pollfd){.fd = loop->signals, .events = POLLIN};
        for (size_t i = 0; i < loop->n_children; i++) {
                struct running *child = &loop->children[i];
                loop->polls[2 + i] =
                        (struct pollfd){.fd = child->pid ? child->channel : -1, .events = POLLIN};
        }
        return 2 + loop->n_children;
}

static void serve_channels(struct loop *loop, size_t n_polls)
{
        for (size_t i = 2; i < n_polls; i++) {
                struct running *child = &loop->children[i - 2];
                if (loop->polls[i].revents && child->pid)
                        end(child);
        }
}

static int run(struct loop *loop, struct request *request)
{
        for (;;) {
                size_t n = fill_polls(loop);
                if (poll(loop->polls, n, -1) < 0 && errno != EINTR)
                        return 1;
                serve_channels(loop, n);
                if (loop->polls[1].revents)
                        reap(loop);
                if (loop->polls[0].revents && !serve_request(loop, request))
                        return 0;
        }
}

int jit_spawner_serve(int requests)
{
        struct loop loop = {.requests = requests};
        _cleanup_free_ struct request *request = malloc(sizeof(*request));
        sigset_t child;

        sigemptyset(&child);
        sigaddset(&child, SIGCHLD);
        sigprocmask(SIG_SETMASK, &child, NULL);
        loop.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
        loop.polls = calloc(2, sizeof(*loop.polls));
        /* What a child leaves behind comes back here and is reaped. */
        prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        int status = loop.signals < 0 || !loop.polls || !request ? 1 : run(&loop, request);
        for (size_t i = 0; i < loop.n_children; i++) {
                if (loop.children[i].pid)
                        end(&loop.children[i]);
        }
        free(loop.children);
        free(loop.polls);
        return status;
}
