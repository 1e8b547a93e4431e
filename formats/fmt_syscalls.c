/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_syscalls.h"

#include "fmt_cleanup.h"

#include <fcntl.h>
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
static const int computing[] = {SCMP_SYS(arch_prctl), SCMP_SYS(brk), SCMP_SYS(clock_getres),
        SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(close), SCMP_SYS(close_range),
        SCMP_SYS(copy_file_range), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(exit),
        SCMP_SYS(exit_group), SCMP_SYS(fadvise64), SCMP_SYS(fallocate), SCMP_SYS(fdatasync),
        SCMP_SYS(flock), SCMP_SYS(fstat), SCMP_SYS(fstatfs), SCMP_SYS(fsync), SCMP_SYS(ftruncate),
        SCMP_SYS(futex), SCMP_SYS(getcpu), SCMP_SYS(getegid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
        SCMP_SYS(getgroups), SCMP_SYS(getpgid), SCMP_SYS(getpgrp), SCMP_SYS(getpid),
        SCMP_SYS(getppid), SCMP_SYS(getrandom), SCMP_SYS(getresgid), SCMP_SYS(getresuid),
        SCMP_SYS(getrlimit), SCMP_SYS(getrusage), SCMP_SYS(gettid), SCMP_SYS(gettimeofday),
        SCMP_SYS(getuid), SCMP_SYS(lseek), SCMP_SYS(madvise), SCMP_SYS(membarrier),
        SCMP_SYS(memfd_create), SCMP_SYS(mincore), SCMP_SYS(mlock), SCMP_SYS(mmap),
        SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(msync), SCMP_SYS(munlock), SCMP_SYS(munmap),
        SCMP_SYS(nanosleep), SCMP_SYS(newfstatat), SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(poll),
        SCMP_SYS(ppoll), SCMP_SYS(prctl), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(pselect6),
        SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(read), SCMP_SYS(readv),
        SCMP_SYS(restart_syscall), SCMP_SYS(rseq), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigpending),
        SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigtimedwait),
        SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_yield), SCMP_SYS(select), SCMP_SYS(sendfile),
        SCMP_SYS(set_robust_list), SCMP_SYS(set_tid_address), SCMP_SYS(setrlimit),
        SCMP_SYS(sigaltstack), SCMP_SYS(statx), SCMP_SYS(sysinfo), SCMP_SYS(time), SCMP_SYS(times),
        SCMP_SYS(umask), SCMP_SYS(uname), SCMP_SYS(write), SCMP_SYS(writev)};

/* Names of files; which of them may be opened is Landlock's business. */
static const int naming[] = {SCMP_SYS(access), SCMP_SYS(chdir), SCMP_SYS(faccessat),
        SCMP_SYS(faccessat2), SCMP_SYS(fchdir), SCMP_SYS(getcwd), SCMP_SYS(getdents64),
        SCMP_SYS(lstat), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(readlink),
        SCMP_SYS(readlinkat), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2),
        SCMP_SYS(rmdir), SCMP_SYS(stat), SCMP_SYS(statfs), SCMP_SYS(unlink), SCMP_SYS(unlinkat)};

/* To whoever Landlock lets them: Linux 6.12 and later. */
static const int signalling[] = {SCMP_SYS(kill), SCMP_SYS(tgkill), SCMP_SYS(tkill)};

/* Children, and what a child needs to put itself into a narrower box. Neither setsid nor setpgid:
 * a box must not leave the process group by which it is ended. */
static const int spawning[] = {SCMP_SYS(capget), SCMP_SYS(capset), SCMP_SYS(execve),
        SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(landlock_add_rule),
        SCMP_SYS(landlock_create_ruleset), SCMP_SYS(landlock_restrict_self), SCMP_SYS(seccomp),
        SCMP_SYS(vfork), SCMP_SYS(wait4), SCMP_SYS(waitid)};

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

static int allow_value(scmp_filter_ctx filter, int call, unsigned position, unsigned long value)
{
        struct scmp_arg_cmp is = {.arg = position, .op = SCMP_CMP_EQ, .datum_a = value};

        return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &is);
}

/* A process that cannot have children may signal nobody but itself: abort, raise. */
static int allow_own_signals(scmp_filter_ctx filter)
{
        unsigned long self = (unsigned long)getpid();
        int r = allow_value(filter, SCMP_SYS(tgkill), 0, self);

        return r == 0 ? allow_value(filter, SCMP_SYS(kill), 0, self) : r;
}

static int allow_guarded(scmp_filter_ctx filter)
{
        /* isatty and its kin; no ioctl that changes anything but the descriptor itself. */
        static const unsigned long ioctls[] = {TCGETS, TIOCGWINSZ, FIONREAD, FIOCLEX, FIONCLEX};
        /* Not F_SETOWN and F_SETSIG: they send signals to others. */
        static const unsigned long fcntls[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL,
                F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW,
                F_ADD_SEALS, F_GET_SEALS, F_GETPIPE_SZ};
        int r = allow_value(filter, SCMP_SYS(prlimit64), 0, 0); /* of itself */

        for (size_t i = 0; i < sizeof(ioctls) / sizeof(ioctls[0]) && r == 0; i++)
                r = allow_value(filter, SCMP_SYS(ioctl), 1, ioctls[i]);
        for (size_t i = 0; i < sizeof(fcntls) / sizeof(fcntls[0]) && r == 0; i++)
                r = allow_value(filter, SCMP_SYS(fcntl), 1, fcntls[i]);
        return r;
}

static int allow_flags(
        scmp_filter_ctx filter, int call, unsigned position, int looked_at, int wanted)
{
        struct scmp_arg_cmp flags = {.arg = position,
                .op = SCMP_CMP_MASKED_EQ,
                .datum_a = (scmp_datum_t)looked_at,
                .datum_b = (scmp_datum_t)wanted};

        return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &flags);
}

/* Before Linux 6.2 Landlock does not see truncation, so O_TRUNC goes only with what it does see:
 * opening for writing. For the same reason there is no truncate, nor openat2, whose flags a filter
 * cannot read. */
static int allow_open(scmp_filter_ctx filter, int call, unsigned position)
{
        int r = allow_flags(filter, call, position, O_TRUNC, 0);

        if (r == 0)
                r = allow_flags(filter, call, position, O_TRUNC | O_ACCMODE, O_TRUNC | O_WRONLY);
        if (r == 0)
                r = allow_flags(filter, call, position, O_TRUNC | O_ACCMODE, O_TRUNC | O_RDWR);
        return r;
}

static int allow_names(scmp_filter_ctx filter)
{
        int r = allow_list(filter, naming, sizeof(naming) / sizeof(naming[0]));

        if (r == 0)
                r = allow_open(filter, SCMP_SYS(openat), 2);
        return r == 0 ? allow_open(filter, SCMP_SYS(open), 1) : r;
}

static int allow_children(scmp_filter_ctx filter, bool signals_stay)
{
        int r = allow_list(filter, spawning, sizeof(spawning) / sizeof(spawning[0]));

        if (r == 0 && signals_stay)
                r = allow_list(filter, signalling, sizeof(signalling) / sizeof(signalling[0]));
        return r;
}

static int fill(
        scmp_filter_ctx filter, const struct fmt_confinement *confinement, bool signals_stay)
{
        bool names = confinement->readable || confinement->writable;
        int r = allow_list(filter, computing, sizeof(computing) / sizeof(computing[0]));

        if (r == 0)
                r = allow_clone(filter, confinement->may_exec);
        if (r == 0)
                r = allow_guarded(filter);
        if (r == 0 && names)
                r = allow_names(filter);
        if (r == 0 && confinement->may_exec)
                r = allow_children(filter, signals_stay);
        else if (r == 0)
                r = allow_own_signals(filter);
        return r;
}

int fmt_syscalls_restrict(const struct fmt_confinement *confinement, bool signals_stay)
{
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));

        if (!filter)
                return -ENOMEM;
        int r = fill(filter, confinement, signals_stay);
        if (r == 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        return r;
}
