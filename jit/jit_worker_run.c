/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_worker_run.h"

#include "fmt_cleanup.h"
#include "jit_archive.h"
#include "jit_worker_job.h"

#include <ctype.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ld.lld may print thousands of remarks; the first of its errors says what matters. */
#define MESSAGES_MAX (64 << 10)

/* glibc's malloc by 4 MiB at a time, and where the system gives large pages to who asks for them, of
 * those: LLVM allocates little by little, and a small program's link takes 5 % less with half the page
 * faults (4 % less with 2 MiB, no less with 16). Other C libraries pass over it. */
#define TEXT_OF(number) TEXT_OF_VALUE(number)
#define TEXT_OF_VALUE(number) #number
#define TUNABLES                                                                                   \
        "GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.top_pad=" TEXT_OF(JIT_WORKER_MALLOC_STEP)

static int divide_memory(size_t shares)
{
        struct rlimit limit;
        if (shares < 2 || getrlimit(RLIMIT_DATA, &limit) < 0 || limit.rlim_max == RLIM_INFINITY)
                return 0;
        limit.rlim_cur = limit.rlim_max /= shares;
        return setrlimit(RLIMIT_DATA, &limit);
}

__attribute__((noreturn)) static void become(const char *program, char *const *argv, int input,
        int output, int messages, size_t shares, pid_t parent)
{
        static char *const environment[] = {(char *)TUNABLES, NULL};
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent ||
                divide_memory(shares) < 0 || (input >= 0 && dup2(input, STDIN_FILENO) < 0) ||
                dup2(output, STDOUT_FILENO) < 0 || dup2(messages, STDERR_FILENO) < 0)
                _exit(126);
        execve(program, argv, environment);
        dprintf(STDERR_FILENO, "error: cannot run %s: %s\n", program, strerror(errno));
        _exit(127);
}

/* Reads to the end of FD, passes it on and returns the beginning, terminated. */
static char *drain(int fd)
{
        char *text = calloc(1, MESSAGES_MAX + 1), rest[4096];
        size_t used = 0;
        for (;;) {
                int full = !text || used == MESSAGES_MAX;
                char *to = full ? rest : text + used;
                ssize_t n = read(fd, to, full ? sizeof rest : MESSAGES_MAX - used);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return text;
                if (full)
                        continue;
                (void)!write(STDERR_FILENO, to, (size_t)n);
                used += (size_t)n;
        }
}

/* "/proc/self/fd/4(src/force.c)" tells a person less than "(src/force.c)". */
static void drop_descriptors(char *text)
{
        static const char prefix[] = "/proc/self/fd/";
        for (char *at; (at = strstr(text, prefix));) {
                char *end = at + strlen(prefix);
                end += strspn(end, "0123456789");
                memmove(at, end, strlen(end) + 1);
        }
}

/* The first error in MESSAGES and the line that tells where, on one line. */
static char *pick_error(const char *messages)
{
        const char *start = messages ? strstr(messages, "rror: ") : NULL;
        if (!start)
                start = messages ? strstr(messages, "LLVM ERROR") : NULL;
        else
                start += strlen("rror: ");
        if (!start)
                return NULL;
        char *text = strndup(start, 600);
        if (!text)
                return NULL;
        char *end = strchr(text, '\n');
        if (end && strncmp(end, "\n>>>", 4) == 0)
                end = strchr(end + 1, '\n');
        if (end)
                *end = '\0';
        jit_archive_restore_slashes(text);
        drop_descriptors(text);
        for (char *c = text; *c; c++)
                if (iscntrl((unsigned char)*c))
                        *c = ' ';
        return text;
}

/* The words that LLVM, libstdc++ and ld.so find for a lack of memory; a thread that cannot be
 * started lacks that of its stack. */
static bool speaks_of_memory(const char *messages)
{
        return strstr(messages, "out of memory") || strstr(messages, "bad_alloc") ||
               strstr(messages, "annot allocate memory") ||
               strstr(messages, "Resource temporarily unavailable") ||
               strstr(messages, "failed to map segment");
}

/* NAME is how PROGRAM is called. */
static int judge(int status, const char *name, const char *messages, char **ret_reason)
{
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        _cleanup_free_ char *error = pick_error(messages);
        int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        int r = -EBADMSG;
        if (number == SIGKILL || (messages && speaks_of_memory(messages)))
                r = -ENOMEM;
        if (number == SIGXCPU)
                r = -ETIMEDOUT;
        int n = r == -ENOMEM      ? asprintf(ret_reason, "%s ran out of memory", name)
                : r == -ETIMEDOUT ? asprintf(ret_reason, "%s used up its CPU time", name)
                : error           ? asprintf(ret_reason, "%s", error)
                : number          ? asprintf(ret_reason, "%s died of signal %d (%s)", name, number,
                                            strsignal(number))
                                  : asprintf(ret_reason, "%s ended with status %d", name,
                                            WEXITSTATUS(status));
        if (n < 0)
                *ret_reason = NULL;
        return r;
}

int jit_worker_run_start(const char *program, char *const *argv, int input, int output,
        size_t shares, struct jit_worker_running *ret)
{
        int ends[2];
        if (input >= 0 && lseek(input, 0, SEEK_SET) < 0 && errno != ESPIPE)
                return -errno;
        if (ftruncate(output, 0) < 0 || lseek(output, 0, SEEK_SET) < 0 ||
                pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        pid_t self = getpid(), pid = fork();
        if (pid == 0)
                become(program, argv, input, output, ends[1], shares, self);
        int error = errno;
        close(ends[1]);
        if (pid < 0) {
                close(ends[0]);
                return -error;
        }
        *ret = (struct jit_worker_running){.name = argv[0], .pid = pid, .messages = ends[0]};
        return 0;
}

int jit_worker_run_end(struct jit_worker_running *running, char **ret_reason)
{
        int status;
        *ret_reason = NULL;
        _cleanup_free_ char *messages = drain(running->messages);
        close(running->messages);
        while (waitpid(running->pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return judge(status, running->name, messages, ret_reason);
}

int jit_worker_run(const char *program, char *const *argv, int input, int output, char **ret_reason)
{
        struct jit_worker_running running;
        *ret_reason = NULL;
        int r = jit_worker_run_start(program, argv, input, output, 1, &running);
        return r < 0 ? r : jit_worker_run_end(&running, ret_reason);
}
