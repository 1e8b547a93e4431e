/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the worker: one program run to its end, its stderr drained and capped. */
#ifndef JIT_WORKER_RUN_H
#define JIT_WORKER_RUN_H

/* Runs PROGRAM with ARGV, descriptor INPUT (-1: /dev/null) as its stdin, rewound, and OUTPUT as its
 * stdout, rewound and emptied. What it
 * writes to stderr goes to ours, up to 64 KiB; the rest is dropped. 0, or -EBADMSG (it failed by
 * itself, or crashed), -ENOMEM, -ETIMEDOUT (CPU time), and a sentence made of its first error
 * (the caller frees it). It dies with us. */
int jit_worker_run(
        const char *program, char *const *argv, int input, int output, char **ret_reason);

#endif
