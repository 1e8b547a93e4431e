/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_spawner.h"

#include "fmt_cleanup.h"
#include "jit_spawner_loop.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

struct jit_spawner {
        pid_t pid;
        int requests;
        /* One request is under way at a time: the kernel bounds how many descriptors of one user
         * may be in flight. */
        pthread_mutex_t lock;
};

struct jit_child {
        pid_t pid;
        int channel;
};

/* ---- starting and ending the spawner ---- */

/* In the spawner: nothing of the parent's is kept but the socket, which becomes descriptor 3. */
__attribute__((noreturn)) static void live(const struct jit_cores *cores, int requests)
{
        int null = fcntl(open("/dev/null", O_RDWR | O_CLOEXEC), F_DUPFD_CLOEXEC, 4);
        struct sigaction ignore = {.sa_handler = SIG_IGN};
        struct sigaction standard = {.sa_handler = SIG_DFL};

        /* The terminal's signals are for the parent; its end is what counts here. */
        (void)setsid();
        if (cores && jit_cores_bind(cores) < 0)
                _exit(1);
        sigaction(SIGCHLD, &standard, NULL);
        sigaction(SIGPIPE, &ignore, NULL);
        sigaction(SIGHUP, &ignore, NULL);
        sigaction(SIGINT, &ignore, NULL);
        sigaction(SIGTERM, &ignore, NULL);
        prctl(PR_SET_NAME, "xaas-spawner", 0, 0, 0);
        requests = fcntl(requests, F_DUPFD_CLOEXEC, 4);
        if (null < 0 || requests < 0 || chdir("/") < 0 || dup3(requests, 3, O_CLOEXEC) < 0)
                _exit(1);
        for (int fd = 0; fd < 3; fd++) {
                if (dup2(null, fd) < 0)
                        _exit(1);
        }
        if (close_range(4, ~0U, 0) < 0)
                _exit(1);
        _exit(jit_spawner_serve(3));
}

int jit_spawner_start(const struct jit_cores *cores, struct jit_spawner **ret)
{
        _cleanup_free_ struct jit_spawner *spawner = calloc(1, sizeof(*spawner));
        _cleanup_close_ int ours = -1;
        _cleanup_close_ int theirs = -1;
        int ends[2];

        if (!spawner)
                return -ENOMEM;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return -errno;
        ours = ends[0];
        theirs = ends[1];
        spawner->pid = fork();
        if (spawner->pid < 0)
                return -errno;
        if (spawner->pid == 0)
                live(cores, theirs);
        spawner->requests = steal_fd(&ours);
        pthread_mutex_init(&spawner->lock, NULL);
        *ret = steal_pointer(&spawner);
        return 0;
}

void jit_spawner_stop(struct jit_spawner *spawner)
{
        char byte;

        if (!spawner)
                return;
        /* The end of file comes when the spawner has exited; it need not be our own child (a
         * parent that went to the background forked in between). */
        shutdown(spawner->requests, SHUT_WR);
        while (recv(spawner->requests, &byte, 1, 0) > 0 || errno == EINTR)
                errno = 0;
        close(spawner->requests);
        while (waitpid(spawner->pid, NULL, 0) < 0 && errno == EINTR)
                ;
        pthread_mutex_destroy(&spawner->lock);
        free(spawner);
}

/* ---- starting a child ---- */

static int append(char *message, size_t *size, const char *string)
{
        size_t length = strlen(string) + 1;

        if (length > JIT_SPAWN_MESSAGE_MAX - *size)
                return -E2BIG;
        memcpy(message + *size, string, length);
        *size += length;
        return 0;
}

static int compose(char *message, const char *path, char *const *argv, const int *fds, size_t n_fds,
        size_t *ret_size)
{
        struct jit_spawn_request head = {.n_fds = (uint32_t)n_fds};
        size_t size = sizeof(head);
        int r = append(message, &size, path);

        for (; argv[head.n_argv] && r == 0; head.n_argv++)
                r = append(message, &size, argv[head.n_argv]);
        for (size_t i = 0; i < n_fds; i++) {
                if (fds[i] >= 0)
                        head.present |= UINT64_C(1) << i;
        }
        memcpy(message, &head, sizeof(head));
        *ret_size = size;
        return r;
}

static int send_request(
        int requests, char *bytes, size_t size, int channel, const int *fds, size_t n_fds)
{
        union {
                char bytes[CMSG_SPACE(sizeof(int) * (JIT_SPAWNER_MAX_FDS + 1))];
                struct cmsghdr align;
        } control = {0};
        int along[JIT_SPAWNER_MAX_FDS + 1] = {channel};
        size_t n = 1;
        struct iovec part = {bytes, size};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes};

        for (size_t i = 0; i < n_fds; i++) {
                if (fds[i] >= 0)
                        along[n++] = fds[i];
        }
        message.msg_controllen = CMSG_SPACE(sizeof(int) * n);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int) * n);
        memcpy(CMSG_DATA(head), along, sizeof(int) * n);
        while (sendmsg(requests, &message, MSG_NOSIGNAL) < 0) {
                if (errno != EINTR)
                        return errno == EPIPE || errno == ECONNRESET ? -ECHILD : -errno;
        }
        return 0;
}

/* ECONNRESET only says that the spawner closed its end without having read our wish to kill; what
 * it sent before that is still there. */
static int receive_report(int channel, struct jit_spawn_report *ret)
{
        ssize_t n;

        do
                n = recv(channel, ret, sizeof(*ret), 0);
        while (n < 0 && (errno == EINTR || errno == ECONNRESET));
        return n == (ssize_t)sizeof(*ret) ? 0 : -ECHILD;
}

/* One request and its answer: the pid, or a negative errno. */
static int ask(struct jit_spawner *spawner, char *message, size_t size, const int ends[2],
        const int *fds, size_t n_fds)
{
        struct jit_spawn_report answer;
        int r;

        pthread_mutex_lock(&spawner->lock);
        r = send_request(spawner->requests, message, size, ends[1], fds, n_fds);
        /* From here on only the spawner may hold that end, or its death would go unnoticed. */
        close(ends[1]);
        if (r == 0)
                r = receive_report(ends[0], &answer);
        pthread_mutex_unlock(&spawner->lock);
        return r < 0 ? r : answer.value;
}

int jit_spawner_run(struct jit_spawner *spawner, const char *path, char *const *argv,
        const int *fds, size_t n_fds, struct jit_child **ret)
{
        _cleanup_free_ char *message = malloc(JIT_SPAWN_MESSAGE_MAX);
        _cleanup_free_ struct jit_child *child = calloc(1, sizeof(*child));
        size_t size;
        int ends[2];
        int r;

        if (!message || !child)
                return -ENOMEM;
        if (n_fds > JIT_SPAWNER_MAX_FDS || path[0] != '/')
                return -EINVAL;
        r = compose(message, path, argv, fds, n_fds, &size);
        if (r < 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
                return -errno;
        r = ask(spawner, message, size, ends, fds, n_fds);
        if (r < 0) {
                close(ends[0]);
                return r;
        }
        child->pid = r;
        child->channel = ends[0];
        *ret = steal_pointer(&child);
        return 0;
}

/* ---- a running child ---- */

int jit_child_fd(const struct jit_child *child)
{
        return child->channel;
}

pid_t jit_child_pid(const struct jit_child *child)
{
        return child->pid;
}

void jit_child_kill(struct jit_child *child)
{
        (void)!send(child->channel, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int64_t now_ms(void)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Whether something came before the time was over. */
static bool came_in_time(int fd, int timeout_ms)
{
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int64_t deadline = now_ms() + timeout_ms;
        int r;

        do {
                int64_t left = deadline - now_ms();
                r = poll(&poll_fd, 1, left > 0 ? (int)left : 0);
        } while (r < 0 && errno == EINTR);
        return r != 0;
}

int jit_child_wait(struct jit_child *child, int timeout_ms, int *ret_status)
{
        struct jit_spawn_report report = {0};
        bool late = timeout_ms >= 0 && !came_in_time(child->channel, timeout_ms);
        int r;

        if (late)
                jit_child_kill(child);
        r = receive_report(child->channel, &report);
        close(child->channel);
        free(child);
        if (r < 0)
                return r;
        *ret_status = report.value;
        return late ? -ETIMEDOUT : 0;
}
