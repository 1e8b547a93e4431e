/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the worker: ld.lld, started before it is known what it links.
 *
 * To load its libraries takes it 15 ms, a sixth of the link of a small program: time enough for the
 * inputs to be read and the parts of the job to be laid out. It then waits for its command line, which
 * comes as a response file through its stdin. */
#ifndef JIT_WORKER_LINKER_H
#define JIT_WORKER_LINKER_H

#include "jit_worker_run.h"

struct jit_worker_linker {
        struct jit_worker_running running;
        int line; /* writing end of its stdin; -1: none waits */
};

#define JIT_WORKER_NO_LINKER ((struct jit_worker_linker){.line = -1})

/* Starts PROGRAM, which writes to JIT_WORKER_OUTPUT, with THREADS, a number that everybody may see in the
 * list of processes. Of files in memory it will find those that are there now, whatever is written into
 * them later. */
int jit_worker_linker_start(
        const char *program, const char *threads, struct jit_worker_linker *ret);

/* Tells it ARGV (a linker's name first) and waits for its end; else as jit_worker_run_end. */
int jit_worker_linker_run(struct jit_worker_linker *linker, char *const *argv, char **ret_reason);

/* One that was told nothing has nothing to link, and ends. */
void jit_worker_linker_done(struct jit_worker_linker *linker);

#endif
