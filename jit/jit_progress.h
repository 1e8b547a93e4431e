/* SPDX-License-Identifier: Apache-2.0 */
/* How far a compile is. Who compiles says so on its board, and who asks reads it there.
 *
 * A board costs nothing until it is read: the steps inside of the worker are what its report has so
 * far, and the modules that are done are the files that ld.lld has left in its folder of results
 * (ThinLTO gives each its name when it is complete). */
#ifndef JIT_PROGRESS_H
#define JIT_PROGRESS_H

#include "jit_policy.h"

#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum jit_step {
        JIT_STEP_QUEUED,    /* no thread of the session is free */
        JIT_STEP_ELSEWHERE, /* another process compiles the same */
        JIT_STEP_MEMORY,    /* other compiles have the memory that it needs */
        JIT_STEP_STARTING,
        JIT_STEP_READING, /* its modules, from the image */
        JIT_STEP_RETARGETING,
        JIT_STEP_LINKING, /* ThinLTO included: most of the time */
        JIT_STEP_CHECKING,
        JIT_STEP_PUBLISHING,
};

/* For people: "waiting for another process". Static. */
const char *jit_step_name(enum jit_step step);

struct jit_progress {
        enum jit_step step;
        struct jit_policy policy; /* how it is compiled */
        uint64_t since_ns;        /* CLOCK_MONOTONIC: when it was asked for */
        size_t modules;           /* 0: cannot be told apart (full LTO), or not known yet */
        size_t compiled;          /* of those: now */
        size_t reusable;          /* of those, at most: results that earlier compiles left */
};

/* Thread-safe but for init and done. */
struct jit_board {
        pthread_mutex_t lock;
        struct jit_progress last; /* what was said; `compiled` is looked up */
        int report;               /* of the worker, -1: none */
        char folder[PATH_MAX];    /* its scratch folder */
};

void jit_board_init(struct jit_board *board, const struct jit_policy *policy, uint64_t since_ns);
void jit_board_done(struct jit_board *board);

void jit_board_set_step(struct jit_board *board, enum jit_step step);
void jit_board_set_modules(struct jit_board *board, size_t modules, size_t reusable);
/* From here on the step is what the worker's REPORT (copied) says, until another one is set. */
void jit_board_follow(struct jit_board *board, int report, const char *folder);

/* How many modules ld.lld has compiled whose results lie in RESULTS: what it took from elsewhere
 * are links there, what it compiled are files. */
size_t jit_progress_count(const char *results);

void jit_board_read(struct jit_board *board, struct jit_progress *ret);

#endif
