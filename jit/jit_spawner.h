/* SPDX-License-Identifier: Apache-2.0 */
/* Starts confined processes from a process that has many threads.
 *
 * The spawner is a small single-threaded child, forked before its parent has threads, locks or
 * descriptors that must not leak. It forks and execs on request, reports each child's end, and
 * kills all of them and exits when its parent is gone (it holds one end of a socket; its parent may
 * fork to the background, the spawner stays with whoever holds the other end).
 *
 * Each child leads a session and process group of its own, which is killed as a whole: by
 * jit_child_kill, when the child itself has ended, and when nobody holds its handle any more. The
 * kernel's out-of-memory killer prefers children to everything else. */
#ifndef JIT_SPAWNER_H
#define JIT_SPAWNER_H

#include "jit_cores.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define JIT_SPAWNER_MAX_FDS 64

struct jit_spawner;

/* Call while single-threaded. It and all that it starts stay on CORES, where that is not NULL. */
int jit_spawner_start(const struct jit_cores *cores, struct jit_spawner **ret);
/* Ends it and every child that still runs; returns when they are gone. Handles of children stay
 * valid until they are waited for. */
void jit_spawner_stop(struct jit_spawner *spawner);

struct jit_child;

/* Execs PATH (absolute) with ARGV (at most 64 KiB in all) in the folder / and an environment of its
 * own making (PATH, LANG=C only). FDS[i] becomes descriptor i in the child (0, 1, 2 included; -1:
 * /dev/null; at most 64); everything else is closed, no signal is blocked or ignored. Thread-safe.
 * The descriptors stay the caller's. 0, or why the exec failed (-ENOENT, -EACCES, …); -E2BIG,
 * -EINVAL; -ECHILD: the spawner itself was killed. */
int jit_spawner_run(struct jit_spawner *spawner, const char *path, char *const *argv,
        const int *fds, size_t n_fds, struct jit_child **ret);

/* A descriptor that polls readable when the child has ended. Borrowed. */
int jit_child_fd(const struct jit_child *child);
pid_t jit_child_pid(const struct jit_child *child);
/* Safe from any thread while another waits, and after the child has ended. */
void jit_child_kill(struct jit_child *child);

/* Waits at most TIMEOUT_MS (-1: for ever), kills it at the end of that time. 0 and the wait
 * status (as waitpid gives it); -ETIMEDOUT after killing it; -ECHILD if the spawner itself was
 * killed (the child then is dead, too). Frees CHILD. */
int jit_child_wait(struct jit_child *child, int timeout_ms, int *ret_status);

#endif
