/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the worker: programs run to their end, their stderr drained and capped. */
#ifndef JIT_WORKER_RUN_H
#define JIT_WORKER_RUN_H

#include <sys/types.h>

struct jit_worker_running {
        const char *name; /* argv[0], borrowed */
        pid_t pid;
        int messages; /* reading end of its stderr */
};

/* Starts PROGRAM with ARGV, descriptor INPUT (-1: /dev/null) as its stdin, rewound unless it is a
 * pipe, and OUTPUT as its stdout, rewound and emptied. It dies with us, and may have one of SHARES of
 * our memory. */
int jit_worker_run_start(const char *program, char *const *argv, int input, int output,
        size_t shares, struct jit_worker_running *ret);

/* Waits for its end. What it writes to stderr goes to ours, up to 64 KiB; the rest is dropped. 0,
 * or -EBADMSG (it failed by itself, or crashed), -ENOMEM, -ETIMEDOUT (CPU time), and a sentence
 * made of its first error (the caller frees it). */
int jit_worker_run_end(struct jit_worker_running *running, char **ret_reason);

/* Both, with all of our memory. */
int jit_worker_run(
        const char *program, char *const *argv, int input, int output, char **ret_reason);

#endif
