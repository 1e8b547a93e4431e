/* SPDX-License-Identifier: Apache-2.0 */
/* A box for a process that parses what nobody vouches for: image metadata, bitcode, ELF.
 *
 * Irrevocable, for the calling (single-threaded) process and everything it execs. Combines
 * no_new_privs, Landlock (every access right the kernel knows; the constants of ABI 7 are defined
 * here where the system's header lacks them), a seccomp filter (no sockets, no ptrace, no mount,
 * no keyrings, no bpf, no io_uring, no new namespaces …), resource limits, an empty capability
 * set and death with the parent. */
#ifndef FMT_CONFINE_H
#define FMT_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

struct fmt_confinement {
        const char *const *readable; /* folders and files that may be read and exec'd from; those
                                      * that do not exist are skipped; NULL-terminated, or NULL */
        const char *writable;        /* one folder for scratch files (no exec), or NULL */
        bool may_exec;               /* may exec what lies in readable, fork, and confine further */
        uint64_t memory_limit;       /* RLIMIT_AS in bytes, 0: none */
        uint64_t data_limit;         /* RLIMIT_DATA in bytes, 0: none */
        uint64_t file_limit;         /* RLIMIT_FSIZE in bytes, 0: none */
        uint64_t cpu_seconds;        /* RLIMIT_CPU, 0: none */
};

/* With neither readable nor writable nothing at all can be opened by name, not even a memfd through
 * /proc/self/fd; with either, memfds can (no rule needed). Names, sizes and times of other files
 * are not hidden from a box that may open something. A box cannot leave its process group.
 *
 * 0, or a negative errno: -EOPNOTSUPP where file access cannot be confined on this kernel (no
 * Landlock): the caller must then not go on. */
int fmt_confine(const struct fmt_confinement *confinement);

#endif
