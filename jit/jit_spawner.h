/* SPDX-License-Identifier: Apache-2.0 */
/* Starts confined processes from a process that has many threads.
 *
 * The spawner is a small single-threaded child, forked before its parent has threads, locks or
 * descriptors that must not leak. It forks and execs on request, reports each child's end, and
 * kills all of them and exits when its parent is gone. */
#ifndef JIT_SPAWNER_H
#define JIT_SPAWNER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct jit_spawner;

/* Call while single-threaded. */
int jit_spawner_start(struct jit_spawner **ret);
/* Ends it and every child that still runs. */
void jit_spawner_stop(struct jit_spawner *spawner);

struct jit_child;

/* Execs PATH with ARGV and an environment of its own making (PATH, LANG=C only). FDS[i] becomes
 * descriptor i in the child (0, 1, 2 included; -1: /dev/null; at most 64); everything else is closed. Thread-safe.
 * The descriptors stay the caller's. */
int jit_spawner_run(struct jit_spawner *spawner, const char *path, char *const *argv,
        const int *fds, size_t n_fds, struct jit_child **ret);

/* A descriptor that polls readable when the child has ended. Borrowed. */
int jit_child_fd(const struct jit_child *child);
pid_t jit_child_pid(const struct jit_child *child);
void jit_child_kill(struct jit_child *child);

/* Waits at most TIMEOUT_MS (-1: for ever), kills it at the end of that time. 0 and the wait
 * status (as waitpid gives it); -ETIMEDOUT after killing it. Frees CHILD. */
int jit_child_wait(struct jit_child *child, int timeout_ms, int *ret_status);

#endif
