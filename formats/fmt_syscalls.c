/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_syscalls.h"

#include "fmt_cleanup.h"

#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#ifndef FIOCLEX
#include <linux/fs.h>
#endif

/* Computing, memory, threads, and descriptors that are open already. Gathered from what glibc,
 * ld.lld 19, libLLVM and the sanitizers' runtimes call, not from one run of one program. */
static const int computing[] = {
        SCMP_SYS(arch_prctl),
        SCMP_SYS(brk),
        SCMP_SYS(clock_getres),
        SCMP_SYS(clock_gettime),
        SCMP_SYS(clock_nanosleep),
        SCMP_SYS(close),
        SCMP_SYS(close_range),
        SCMP_SYS(copy_file_range),
        SCMP_SYS(dup),
        SCMP_SYS(dup2),
        SCMP_SYS(dup3),
        SCMP_SYS(exit),
        SCMP_SYS(exit_group),
        SCMP_SYS(fadvise64),
        SCMP_SYS(fallocate),
        SCMP_SYS(fcntl),
        SCMP_SYS(fdatasync),
        SCMP_SYS(flock),
        SCMP_SYS(fstat),
        SCMP_SYS(fstatfs),
        SCMP_SYS(fsync),
        SCMP_SYS(ftruncate),
        SCMP_SYS(futex),
        SCMP_SYS(getcpu),
        SCMP_SYS(getegid),
        SCMP_SYS(geteuid),
        SCMP_SYS(getgid),
        SCMP_SYS(getgroups),
        SCMP_SYS(getpgid),
        SCMP_SYS(getpgrp),
        SCMP_SYS(getpid),
        SCMP_SYS(getppid),
        SCMP_SYS(getrandom),
        SCMP_SYS(getresgid),
        SCMP_SYS(getresuid),
        SCMP_SYS(getrlimit),
        SCMP_SYS(getrusage),
        SCMP_SYS(gettid),
        SCMP_SYS(gettimeofday),
        SCMP_SYS(getuid),
        SCMP_SYS(lseek),
        SCMP_SYS(madvise),
        SCMP_SYS(membarrier),
        SCMP_SYS(memfd_create),
        SCMP_SYS(mincore),
        SCMP_SYS(mlock),
        SCMP_SYS(mmap),
        SCMP_SYS(mprotect),
        SCMP_SYS(mremap),
        SCMP_SYS(msync),
        SCMP_SYS(munlock),
        SCMP_SYS(munmap),
        SCMP_SYS(nanosleep),
        SCMP_SYS(newfstatat),
        SCMP_SYS(pipe),
        SCMP_SYS(pipe2),
        SCMP_SYS(poll),
        SCMP_SYS(ppoll),
        SCMP_SYS(prctl),
        SCMP_SYS(pread64),
        SCMP_SYS(preadv),
        SCMP_SYS(pselect6),
        SCMP_SYS(pwrite64),
        SCMP_SYS(pwritev),
        SCMP_SYS(read),
        SCMP_SYS(readv),
        SCMP_SYS(restart_syscall),
        SCMP_SYS(rseq),
        SCMP_SYS(rt_sigaction),
        SCMP_SYS(rt_sigpending),
        SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn),
        SCMP_SYS(rt_sigtimedwait),
        SCMP_SYS(sched_getaffinity),
        SCMP_SYS(sched_yield),
        SCMP_SYS(select),
        SCMP_SYS(sendfile),
        SCMP_SYS(set_robust_list),
        SCMP_SYS(set_tid_address),
        SCMP_SYS(setrlimit),
        SCMP_SYS(sigaltstack),
        SCMP_SYS(statx),
        SCMP_SYS(sysinfo),
        SCMP_SYS(time),
        SCMP_SYS(times),
        SCMP_SYS(umask),
        SCMP_SYS(uname),
        SCMP_SYS(write),
        SCMP_SYS(writev),
};

/* Names of files; which of them may be opened is Landlock's business. */
static const int naming[] = {
        SCMP_SYS(access),
        SCMP_SYS(chdir),
        SCMP_SYS(faccessat),
        SCMP_SYS(faccessat2),
        SCMP_SYS(fchdir),
        SCMP_SYS(getcwd),
        SCMP_SYS(getdents64),
        SCMP_SYS(lstat),
        SCMP_SYS(mkdir),
        SCMP_SYS(mkdirat),
        SCMP_SYS(open),
        SCMP_SYS(openat),
        SCMP_SYS(openat2),
        SCMP_SYS(readlink),
        SCMP_SYS(readlinkat),
        SCMP_SYS(rename),
        SCMP_SYS(renameat),
        SCMP_SYS(renameat2),
        SCMP_SYS(rmdir),
        SCMP_SYS(stat),
        SCMP_SYS(statfs),
        SCMP_SYS(truncate),
        SCMP_SYS(unlink),
        SCMP_SYS(unlinkat),
};

/* Children, and what a child needs to put itself into a narrower box. Neither setsid nor setpgid:
 * a box must not leave the process group by which it is ended. */
static const int spawning[] = {
        SCMP_SYS(capget),
        SCMP_SYS(capset),
        SCMP_SYS(execve),
        SCMP_SYS(execveat),
        SCMP_SYS(fork),
        SCMP_SYS(kill),
        SCMP_SYS(landlock_add_rule),
        SCMP_SYS(landlock_create_ruleset),
        SCMP_SYS(landlock_restrict_self),
        SCMP_SYS(pidfd_open),
        SCMP_SYS(pidfd_send_signal),
        SCMP_SYS(seccomp),
        SCMP_SYS(tgkill),
        SCMP_SYS(tkill),
        SCMP_SYS(vfork),
        SCMP_SYS(wait4),
        SCMP_SYS(waitid),
};

#define NEW_NAMESPACES                                                                             \
        (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | \
                CLONE_NEWCGROUP)

static int allow_list(scmp_filter_ctx filter, const int *calls, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
                /* -EDOM: this architecture never had that call. */
                if (r < 0 && r != -EDOM)
                        return r;
        }
        return 0;
}

/* clone3 keeps its flags behind a pointer that a filter cannot follow; it answers ENOSYS and the
 * C library takes clone. */
static int allow_clone(scmp_filter_ctx filter, bool may_exec)
{
        uint64_t looked_at = NEW_NAMESPACES | (may_exec ? 0 : CLONE_THREAD);

        return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                SCMP_A0(SCMP_CMP_MASKED_EQ, looked_at, may_exec ? 0 : CLONE_THREAD));
}

/* A process that cannot have children may signal nobody but itself: abort, raise. */
static int allow_own_signals(scmp_filter_ctx filter)
{
        scmp_datum_t self = (scmp_datum_t)getpid();
        int r = seccomp_rule_add(
                filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, self, 0));

        return r < 0 ? r
                     : seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1,
                               SCMP_A0(SCMP_CMP_EQ, self, 0));
}

static int allow_guarded(scmp_filter_ctx filter)
{
        /* isatty and its kin; no ioctl that changes anything but the descriptor itself. */
        static const unsigned long ioctls[] = {TCGETS, TIOCGWINSZ, FIONREAD, FIOCLEX, FIONCLEX};
        int r = seccomp_rule_add(
                filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_EQ, 0, 0));

        for (size_t i = 0; i < sizeof(ioctls) / sizeof(ioctls[0]) && r == 0; i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                        SCMP_A1(SCMP_CMP_EQ, ioctls[i], 0));
        return r;
}

static int fill(scmp_filter_ctx filter, const struct fmt_confinement *confinement)
{
        bool names = confinement->readable || confinement->writable;
        int r = allow_list(filter, computing, sizeof(computing) / sizeof(computing[0]));

        if (r == 0)
                r = allow_clone(filter, confinement->may_exec);
        if (r == 0)
                r = allow_guarded(filter);
        if (r == 0 && names)
                r = allow_list(filter, naming, sizeof(naming) / sizeof(naming[0]));
        if (r == 0 && confinement->may_exec)
                r = allow_list(filter, spawning, sizeof(spawning) / sizeof(spawning[0]));
        else if (r == 0)
                r = allow_own_signals(filter);
        return r;
}

int fmt_syscalls_restrict(const struct fmt_confinement *confinement)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));

        if (!filter)
                return -ENOMEM;
        int r = fill(filter, confinement);
        if (r == 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        return r;
}
