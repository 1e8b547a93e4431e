/* SPDX-License-Identifier: Apache-2.0 */
/* What test_confine tries inside a box; each attempt returns true if it could be done. */
#ifndef CONFINE_ATTEMPTS_H
#define CONFINE_ATTEMPTS_H

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

static char scratch[] = "/tmp/xaasfs-confine-XXXXXX";
static char elsewhere[] = "/tmp/xaasfs-confine-XXXXXX";
static char kept_file[sizeof(elsewhere) + 16];
static char readable_file[sizeof(elsewhere) + 16];
static int open_file = -1;  /* opened before the box closed */
static int open_memfd = -1; /* likewise */

static const char *const toolchain[] = {
        "/bin", "/usr", "/lib", "/lib64", "/proc/cpuinfo", "/no/such/path", readable_file, NULL};

static const struct fmt_confinement reader = {.cpu_seconds = 60, .memory_limit = 1ULL << 30};
static const struct fmt_confinement worker = {.readable = toolchain,
        .writable = scratch,
        .may_exec = true,
        .file_limit = 1 << 20,
        .memory_limit = 1ULL << 33,
        .cpu_seconds = 60};

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

static bool truncate_readable(void)
{
        /* Access mode 3 is neither reading nor writing to Landlock. */
        return can_open(readable_file, O_RDONLY | O_TRUNC) ||
               can_open(readable_file, O_ACCMODE | O_TRUNC);
}

static bool append_to_readable(void)
{
        return can_open(readable_file, O_WRONLY | O_APPEND);
}

static bool read_readable(void)
{
        return can_open(readable_file, O_RDONLY);
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

/* A pipe that signals its owner when there is something to read. */
static bool signal_parent_through_pipe(void)
{
        int ends[2];
        return pipe(ends) == 0 && fcntl(ends[0], F_SETSIG, SIGUSR1) == 0 &&
               fcntl(ends[0], F_SETOWN, getppid()) == 0;
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
        if (rename(to, path) < 0 || !can_open(path, O_WRONLY | O_TRUNC) || unlink(path) < 0)
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

#endif
