/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker is told besides its inputs.
 *
 * Its box stands on its command line, because it confines itself before it reads anything:
 *     xaas-worker FOLDER CORES MEMORY ADDRESSES FILE CPU NICE PARTS THREADS LINKER BITCODE READABLE…
 * with FOLDER the one it may write into, CORES how many it keeps to (0: all that it may use), MEMORY
 * (private and writable), ADDRESSES, FILE and CPU the limits of each process (bytes, and seconds; 0:
 * none), NICE what is added to its nice value, PARTS how many files it hands to its linker besides
 * those that it gets (stubs, files of options, JIT_WORKER_OWN_PARTS), THREADS how many that has, LINKER
 * and BITCODE the programs it may run, READABLE what those read. The rest is the member "job" of
 * descriptor 3: lines "key value". */
#ifndef JIT_WORKER_JOB_H
#define JIT_WORKER_JOB_H

#include "jit_policy.h"

#include <stddef.h>
#include <stdint.h>

enum jit_worker_fd {
        JIT_WORKER_OUTPUT = 1,
        JIT_WORKER_MESSAGES = 2,
        JIT_WORKER_JOB = 3,
        JIT_WORKER_INPUTS = 4,
        JIT_WORKER_LAZY = 5,
        JIT_WORKER_REPORT = 6,
        JIT_WORKER_GO = 7,
        JIT_WORKER_N_FDS
};

enum jit_worker_argument {
        JIT_WORKER_ARG_FOLDER = 1,
        JIT_WORKER_ARG_CORES,
        JIT_WORKER_ARG_MEMORY,
        JIT_WORKER_ARG_ADDRESSES,
        JIT_WORKER_ARG_FILE,
        JIT_WORKER_ARG_CPU,
        JIT_WORKER_ARG_NICE,
        JIT_WORKER_ARG_PARTS,
        JIT_WORKER_ARG_THREADS,
        JIT_WORKER_ARG_LINKER,
        JIT_WORKER_ARG_BITCODE,
        JIT_WORKER_ARG_READABLE, /* and all that follow */
};

/* Files that the worker itself may write for its linker: both archives of inputs once more, and the
 * object that counts. */
#define JIT_WORKER_OWN_PARTS 3

/* Bytes of stack for each thread: what is customary, whatever limit we inherit. */
#define JIT_WORKER_STACK (UINT64_C(8) << 20)

/* Bytes by which malloc grows in what it starts, for each thread. */
#define JIT_WORKER_MALLOC_STEP 4194304

/* Subfolders of FOLDER where ld.lld leaves results of single modules: those of the first attempt,
 * among seeds, and those of the second. */
#define JIT_WORKER_RESULTS "cache"
#define JIT_WORKER_SIMPLE_RESULTS "cache-simple"

struct jit_worker_job {
        char *triple;
        char *tune;     /* policy.tune where it has one */
        char *features; /* what the code generator is told: policy's preferences included */
        struct jit_policy policy;
        bool has_policy; /* decoding met one */
        uint64_t size; /* promised, bytes */
        unsigned threads;
        /* It counts how often its code runs; or NULL, both (jit_profile_runtime.c). */
        char *counts_folder; /* where to */
        char *counts_stem;   /* names of files begin with it */
};

/* The caller frees *ret_text. */
int jit_worker_job_encode(const struct jit_worker_job *job, char **ret_text);
/* TEXT need not be terminated. -EBADMSG if something is missing. */
int jit_worker_job_decode(const char *text, size_t size, struct jit_worker_job *ret);
void jit_worker_job_done(struct jit_worker_job *job);

#endif
