/* SPDX-License-Identifier: Apache-2.0 */
/* Every denial and every allowance of a box, tried for real in a process of its own; as whoever
 * runs the tests, as an ordinary user, and as root of a user namespace. */
#include "fmt_cleanup.h"
#include "fmt_confine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#define NOBODY 65534

static char scratch[] = "/tmp/xaasfs-confine-XXXXXX";
static char elsewhere[] = "/tmp/xaasfs-confine-XXXXXX";
static char kept_file[sizeof(elsewhere) + 16];
static int open_file = -1;  /* opened before the box closed */
static int open_memfd = -1; /* likewise */

static const char *const toolchain[] = {
        "/bin", "/usr", "/lib", "/lib64", "/proc/cpuinfo", "/no/such/path", NULL};

static const struct fmt_confinement reader = {.cpu_seconds = 60, .memory_limit = 1ULL << 30};
static const struct fmt_confinement worker = {.readable = toolchain,
        .writable = scratch,
        .may_exec = true,
        .file_limit = 1 << 20,
        .memory_limit = 1ULL << 33,
        .cpu_seconds = 60};

/* ---- what is tried: each returns true if it could be done ---- */

static bool can_open(const char *path, int flags)
{
        _cleanup_close_ int fd = open(path, flags | O_CLOEXEC, 0600);
        return fd >= 0;
}

static bool read_shadow(void)
{
        return can_open("/etc/shadow", O_RDONLY);
}

static bool read_passwd(void)
{
        return can_open("/etc/passwd", O_RDONLY);
}

static bool read_other_memory(void)
{
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/mem", (int)getppid());
        return can_open(path, O_RDONLY);
}

static bool list_root(void)
{
        return can_open("/", O_RDONLY | O_DIRECTORY);
}

static bool write_elsewhere(void)
{
        char path[sizeof(elsewhere) + 16];
        snprintf(path, sizeof(path), "%s/new", elsewhere);
        return can_open(path, O_WRONLY | O_CREAT);
}

static bool truncate_elsewhere(void)
{
        return truncate(kept_file, 0) == 0;
}

static bool remove_elsewhere(void)
{
        return unlink(kept_file) == 0;
}

static bool chmod_elsewhere(void)
{
        return chmod(kept_file, 0777) == 0;
}

static bool chmod_open_file(void)
{
        return fchmod(open_file, 0777) == 0;
}

static bool link_into_scratch(void)
{
        char path[sizeof(scratch) + 16];
        snprintf(path, sizeof(path), "%s/linked", scratch);
        return link(kept_file, path) == 0;
}

static bool any_socket(void)
{
        static const int families[] = {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, AF_PACKET};
        int pair[2];

        for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
                if (socket(families[i], SOCK_STREAM, 0) >= 0 ||
                        socket(families[i], SOCK_RAW, 0) >= 0)
                        return true;
        }
        return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0;
}

static int open_socket = -1; /* made before the box closed */

static bool connect_open_socket(void)
{
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return connect(open_socket, (struct sockaddr *)&address, sizeof(address)) == 0 ||
               errno == ECONNREFUSED;
}

static bool trace_parent(void)
{
        return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0 ||
               ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool read_parent(void)
{
        char byte;
        struct iovec to = {&byte, 1};
        struct iovec from = {&scratch, 1};
        return syscall(SYS_process_vm_readv, getppid(), &to, 1UL, &from, 1UL, 0UL) == 1;
}

static bool signal_parent(void)
{
        return kill(getppid(), 0) == 0;
}

static bool any_mount(void)
{
        return mount("none", scratch, "tmpfs", 0, NULL) == 0 || umount(scratch) == 0 ||
               chroot(scratch) == 0;
}

static bool any_namespace(void)
{
        return unshare(CLONE_NEWUSER) == 0 || unshare(CLONE_NEWNS) == 0 ||
               syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL) >= 0;
}

static bool kernel_doors(void)
{
        return syscall(SYS_bpf, 0, NULL, 0) >= 0 || errno != ENOSYS ||
               syscall(SYS_io_uring_setup, 1, NULL) >= 0 || errno != ENOSYS ||
               syscall(SYS_keyctl, 0, 0, 0, 0, 0) >= 0 || errno != ENOSYS ||
               syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0) >= 0 || errno != ENOSYS ||
               syscall(SYS_userfaultfd, 0) >= 0 || errno != ENOSYS ||
               syscall(SYS_clone3, NULL, 0) >= 0 || errno != ENOSYS;
}

static bool leave_group(void)
{
        return setsid() >= 0 || setpgid(0, 0) == 0;
}

static bool any_capability(void)
{
        for (int capability = 0; capability < 41; capability++) {
                if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1)
                        return true;
        }
        return syscall(SYS_setgroups, 0, NULL) == 0 || sethostname("x", 1) == 0;
}

static bool raise_limit(void)
{
        struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};
        return setrlimit(RLIMIT_CPU, &more) == 0;
}

static bool run(const char *path, const char *argument)
{
        int status;
        pid_t child = fork();

        if (child < 0)
                return false;
        if (child == 0) {
                execl(path, path, argument, (char *)NULL);
                _exit(126);
        }
        return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool fork_child(void)
{
        int status;
        pid_t child = fork();

        if (child == 0)
                _exit(0);
        return child > 0 && waitpid(child, &status, 0) == child;
}

static bool exec_here(void)
{
        execl("/bin/false", "false", (char *)NULL); /* ends with 1, as does an attempt that can */
        return false;
}

static bool exec_tool(void)
{
        return run("/bin/true", NULL);
}

static bool exec_elsewhere(void)
{
        char path[sizeof(elsewhere) + 16];
        snprintf(path, sizeof(path), "%s/program", elsewhere);
        return run(path, NULL);
}

static bool exec_scratch(void)
{
        char path[sizeof(scratch) + 16];
        snprintf(path, sizeof(path), "%s/program", scratch);
        return run(path, NULL);
}

static bool tool_reads_passwd(void)
{
        return run("/bin/cat", "/etc/passwd");
}

static bool tool_reads_toolchain(void)
{
        return run("/bin/cat", "/proc/cpuinfo");
}

static bool use_scratch(void)
{
        char path[sizeof(scratch) + 16];
        char to[sizeof(scratch) + 16];
        snprintf(path, sizeof(path), "%s/folder", scratch);
        snprintf(to, sizeof(to), "%s/folder/file", scratch);
        if (mkdir(path, 0700) < 0 || !can_open(to, O_RDWR | O_CREAT | O_TRUNC))
                return false;
        snprintf(path, sizeof(path), "%s/moved", scratch);
        if (rename(to, path) < 0 || truncate(path, 3) < 0 || unlink(path) < 0)
                return false;
        snprintf(path, sizeof(path), "%s/folder", scratch);
        return rmdir(path) == 0;
}

static bool write_too_much(void)
{
        char path[sizeof(scratch) + 16];
        snprintf(path, sizeof(path), "%s/large", scratch);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        signal(SIGXFSZ, SIG_IGN);
        bool done = fd < 0 || ftruncate(fd, 2 << 20) == 0;
        unlink(path);
        return done;
}

static bool reopen_memfd(void)
{
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", open_memfd);
        return can_open(path, O_RDWR);
}

static bool reopen_file(void)
{
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", open_file);
        return can_open(path, O_RDONLY);
}

static bool use_open_descriptors(void)
{
        char byte;
        _cleanup_close_ int fd = (int)syscall(SYS_memfd_create, "x", 1U);

        if (pread(open_file, &byte, 1, 0) != 1 || byte != 'k' || fd < 0)
                return false;
        void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, open_memfd, 0);
        return map != MAP_FAILED && ftruncate(fd, 10) == 0 && write(fd, "x", 1) == 1;
}

static void *nothing(void *argument)
{
        return argument;
}

static bool start_thread(void)
{
        pthread_t thread;
        return pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0;
}

static bool narrower_box(void)
{
        return fmt_confine(&reader) == 0 && !can_open("/proc/cpuinfo", O_RDONLY);
}

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
        {"worker removes a file", &worker, remove_elsewhere, false},
        {"worker changes a mode", &worker, chmod_elsewhere, false},
        {"worker changes a mode by descriptor", &worker, chmod_open_file, false},
        {"worker links a file into its folder", &worker, link_into_scratch, false},
        {"worker makes a socket", &worker, any_socket, false},
        {"worker connects an open socket", &worker, connect_open_socket, false},
        {"worker traces its parent", &worker, trace_parent, false},
        {"worker reads its parent's memory", &worker, read_parent, false},
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
                connect_open_socket, signal_parent, link_into_scratch};
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
        static const char *const left[] = {"program", "kept", "linked", "large"};
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
