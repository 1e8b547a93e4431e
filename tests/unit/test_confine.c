/* SPDX-License-Identifier: Apache-2.0 */
/* Every denial and every allowance of a box, tried for real in a process of its own; as whoever
 * runs the tests, as an ordinary user, and as root of a user namespace. */
#include "confine_attempts.h"

#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define NOBODY 65534

/* ---- who tries it ---- */

static void become_myself(void)
{
}

static void become_nobody(void)
{
        if (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
                _exit(77);
}

static void become_root_of_a_namespace(void)
{
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
                _exit(77);
}

struct identity {
        const char *name;
        void (*become)(void);
        unsigned ran;
};

static struct identity identities[] = {{"myself", become_myself, 0},
        {"an ordinary user", become_nobody, 0},
        {"root of a user namespace", become_root_of_a_namespace, 0}};

struct trial {
        const char *name;
        const struct fmt_confinement *box;
        bool (*attempt)(void);
        bool expected;
};

static const struct trial trials[] = {
        {"reader opens /etc/shadow", &reader, read_shadow, false},
        {"reader opens /etc/passwd", &reader, read_passwd, false},
        {"reader lists /", &reader, list_root, false},
        {"reader opens its parent's memory", &reader, read_other_memory, false},
        {"reader writes elsewhere", &reader, write_elsewhere, false},
        {"reader truncates a file", &reader, truncate_elsewhere, false},
        {"reader removes a file", &reader, remove_elsewhere, false},
        {"reader changes a mode", &reader, chmod_elsewhere, false},
        {"reader changes a mode by descriptor", &reader, chmod_open_file, false},
        {"reader makes a socket", &reader, any_socket, false},
        {"reader connects an open socket", &reader, connect_open_socket, false},
        {"reader traces its parent", &reader, trace_parent, false},
        {"reader reads its parent's memory", &reader, read_parent, false},
        {"reader signals its parent", &reader, signal_parent, false},
        {"reader signals through a pipe", &reader, signal_parent_through_pipe, false},
        {"reader mounts", &reader, any_mount, false},
        {"reader makes a namespace", &reader, any_namespace, false},
        {"reader calls bpf, io_uring, keyctl, perf", &reader, kernel_doors, false},
        {"reader leaves its group", &reader, leave_group, false},
        {"reader has capabilities", &reader, any_capability, false},
        {"reader raises a limit", &reader, raise_limit, false},
        {"reader forks", &reader, fork_child, false},
        {"reader execs", &reader, exec_here, false},
        {"reader reopens a file", &reader, reopen_file, false},
        {"reader uses open descriptors", &reader, use_open_descriptors, true},
        {"reader starts a thread", &reader, start_thread, true},

        {"worker opens /etc/shadow", &worker, read_shadow, false},
        {"worker opens /etc/passwd", &worker, read_passwd, false},
        {"worker lists /", &worker, list_root, false},
        {"worker opens its parent's memory", &worker, read_other_memory, false},
        {"worker writes elsewhere", &worker, write_elsewhere, false},
        {"worker truncates a file", &worker, truncate_elsewhere, false},
        {"worker truncates a readable file", &worker, truncate_readable, false},
        {"worker writes a readable file", &worker, append_to_readable, false},
        {"worker reads a readable file", &worker, read_readable, true},
        {"worker signals its parent", &worker, signal_parent, false},
        {"worker removes a file", &worker, remove_elsewhere, false},
        {"worker changes a mode", &worker, chmod_elsewhere, false},
        {"worker changes a mode by descriptor", &worker, chmod_open_file, false},
        {"worker links a file into its folder", &worker, link_into_scratch, false},
        {"worker makes a socket", &worker, any_socket, false},
        {"worker connects an open socket", &worker, connect_open_socket, false},
        {"worker traces its parent", &worker, trace_parent, false},
        {"worker reads its parent's memory", &worker, read_parent, false},
        {"worker signals through a pipe", &worker, signal_parent_through_pipe, false},
        {"worker mounts", &worker, any_mount, false},
        {"worker makes a namespace", &worker, any_namespace, false},
        {"worker calls bpf, io_uring, keyctl, perf", &worker, kernel_doors, false},
        {"worker leaves its group", &worker, leave_group, false},
        {"worker has capabilities", &worker, any_capability, false},
        {"worker raises a limit", &worker, raise_limit, false},
        {"worker execs a program elsewhere", &worker, exec_elsewhere, false},
        {"worker execs what it wrote", &worker, exec_scratch, false},
        {"worker's tool reads /etc/passwd", &worker, tool_reads_passwd, false},
        {"worker writes a file beyond its limit", &worker, write_too_much, false},
        {"worker reopens a file by descriptor", &worker, reopen_file, false},
        {"worker reopens a memfd", &worker, reopen_memfd, true},
        {"worker execs a tool", &worker, exec_tool, true},
        {"worker's tool reads /proc/cpuinfo", &worker, tool_reads_toolchain, true},
        {"worker uses its folder", &worker, use_scratch, true},
        {"worker uses open descriptors", &worker, use_open_descriptors, true},
        {"worker starts a thread", &worker, start_thread, true},
        {"worker enters a narrower box", &worker, narrower_box, true},
};

static int try_in_child(struct identity *who, const struct trial *trial)
{
        int status;
        pid_t child = fork();

        if (child == 0) {
                _cleanup_close_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
                dup2(null, STDOUT_FILENO);
                dup2(null, STDERR_FILENO);
                who->become();
                if (fmt_confine(trial->box) < 0)
                        _exit(3);
                _exit(trial->attempt() ? 1 : 0);
        }
        if (child < 0 || waitpid(child, &status, 0) != child)
                return -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run_trial(struct identity *who, const struct trial *trial)
{
        int outcome = try_in_child(who, trial);

        if (outcome == 77)
                return 0;
        who->ran++;
        if (outcome == (trial->expected ? 1 : 0))
                return 0;
        fprintf(stderr, "%s, as %s: got %d, expected %d\n", trial->name, who->name, outcome,
                trial->expected ? 1 : 0);
        return 1;
}

/* Outside a box the attempts must succeed, or their failure inside proves nothing. */
static int attempts_work_unconfined(void)
{
        static bool (*const attempts[])(void) = {list_root, read_passwd, fork_child, any_socket,
                exec_elsewhere, exec_scratch, reopen_file, leave_group, chmod_open_file,
                connect_open_socket, signal_parent, link_into_scratch, signal_parent_through_pipe};
        int failed = 0;

        for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
                int status;
                pid_t child = fork();
                if (child == 0)
                        _exit(attempts[i]() ? 0 : 1);
                if (waitpid(child, &status, 0) != child || status != 0) {
                        fprintf(stderr, "attempt %zu fails even without a box\n", i);
                        failed++;
                }
        }
        return failed;
}

/* The confined process must not outlive the one that started it. */
static int dies_with_parent(void)
{
        int ends[2];
        char byte;
        int status;

        if (pipe(ends) < 0)
                return 1;
        pid_t parent = fork();
        if (parent == 0) {
                pid_t child = fork();
                if (child == 0) {
                        if (fmt_confine(&reader) < 0 || write(ends[1], "c", 1) != 1)
                                _exit(1);
                        for (;;)
                                pause();
                }
                close(ends[1]);
                _exit(read(ends[0], &byte, 1) == 1 ? 0 : 1);
        }
        close(ends[1]);
        waitpid(parent, &status, 0);
        /* The child holds the last writing end: its death is the end of file. */
        int failed = status != 0 || read(ends[0], &byte, 1) != 0;
        close(ends[0]);
        if (failed)
                fprintf(stderr, "a confined process outlived its parent\n");
        return failed;
}

static int copy_program(const char *folder)
{
        char path[64];
        char buffer[65536];
        ssize_t n;
        snprintf(path, sizeof(path), "%s/program", folder);
        _cleanup_close_ int from = open("/bin/true", O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

        while ((n = read(from, buffer, sizeof(buffer))) > 0) {
                if (write(to, buffer, (size_t)n) != n)
                        return -1;
        }
        return from < 0 || to < 0 || n < 0 ? -1 : 0;
}

static int prepare(void)
{
        if (!mkdtemp(scratch) || !mkdtemp(elsewhere) || chmod(elsewhere, 0755) < 0 ||
                chmod(scratch, 0777) < 0 || copy_program(elsewhere) < 0 ||
                copy_program(scratch) < 0)
                return -1;
        snprintf(kept_file, sizeof(kept_file), "%s/kept", elsewhere);
        snprintf(readable_file, sizeof(readable_file), "%s/readable", elsewhere);
        close(open(readable_file, O_RDWR | O_CREAT | O_CLOEXEC, 0666));
        chmod(readable_file, 0666);
        open_file = open(kept_file, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        open_memfd = (int)syscall(SYS_memfd_create, "memfd", 1U);
        open_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        return write(open_file, "kept", 4) == 4 && fchmod(open_memfd, 0666) == 0 &&
                               ftruncate(open_memfd, 4096) == 0
                       ? 0
                       : -1;
}

static void tidy(void)
{
        static const char *const left[] = {"program", "kept", "linked", "large", "readable"};
        char path[64];

        for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
                snprintf(path, sizeof(path), "%s/%s", scratch, left[i]);
                unlink(path);
                snprintf(path, sizeof(path), "%s/%s", elsewhere, left[i]);
                unlink(path);
        }
        rmdir(scratch);
        rmdir(elsewhere);
}

static bool has_landlock(void)
{
        return syscall(SYS_landlock_create_ruleset, NULL, 0, 1U) > 0;
}

int main(void)
{
        int failed = 0;

        if (!has_landlock()) {
                printf("skipped: this kernel has no Landlock\n");
                return 77;
        }
        if (prepare() < 0) {
                perror("preparing");
                return 1;
        }
        failed += attempts_work_unconfined();
        for (size_t who = 0; who < sizeof(identities) / sizeof(identities[0]); who++) {
                for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++)
                        failed += run_trial(&identities[who], &trials[i]);
                printf("%u trials as %s\n", identities[who].ran, identities[who].name);
        }
        failed += dies_with_parent();
        tidy();
        return failed ? 1 : 0;
}
