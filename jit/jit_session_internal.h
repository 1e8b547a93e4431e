/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a session share: jit_session.c (threads, jobs, waiters), jit_program.c (what
 * is known before a compile) and jit_compile.c (one compile from lock to publishing). */
#ifndef JIT_SESSION_INTERNAL_H
#define JIT_SESSION_INTERNAL_H

#include "fmt_budget.h"
#include "jit_session.h"
#include "jit_toolchain.h"

#include <pthread.h>
#include <stdatomic.h>

struct jit_job;
struct jit_failure;

struct jit_session {
        struct jit_options options; /* defaults filled in; strings not used after new */
        struct jit_spawner *spawner;
        struct cache *cache;
        const struct jit_target *target;
        const struct fmt_bundle *bundle;
        const struct fmt_manifest *manifest;
        struct jit_toolchain *toolchain;
        struct fmt_budget memory;  /* of all workers together */
        char *target_text;         /* jit_target_describe */
        char *variant;             /* wanted by name, or NULL */
        struct fmt_digest *scopes; /* the image's own root, then those it trusts */
        size_t n_scopes;
        int stop_fd; /* eventfd: readable once running compiles are called off */
        atomic_bool told_not_kept;

        pthread_mutex_t lock; /* all below */
        pthread_cond_t work;
        struct jit_job *jobs; /* every job that is not over, oldest first */
        struct jit_failure *failures;
        unsigned n_active; /* jobs that are queued or compile */
        bool ending, cancelled;
        bool is_held; /* no job is started */
        pthread_t *threads;
        unsigned n_threads;
};

/* ---- jit_program.c ---- */

struct jit_program {
        atomic_uint references; /* the owner's and those of jobs */
        char *path;
        uint64_t size; /* promised, bytes */
        bool baseline;
        bool fast; /* compiled by jit_policy_fast */
        struct fmt_record *record;
        const struct fmt_variant *variant;
        struct fmt_digest choice_name;
        struct jit_policy policy;
        struct fmt_digest profile_name;
        bool counts; /* how often its code runs, into the session's folder */
        bool has_profile;
        bool is_shipped; /* it lies in the image, and not in the cache */
        struct jit_profile profile;
        struct jit_target *own_target;   /* where the policy names one; else NULL */
        const struct jit_target *target; /* that, or the session's */
        char *target_text;               /* jit_target_describe of it */
        char *policy_text;               /* jit_policy_format */
        char *unsupported;               /* or NULL */
        /* Where a result may lie. keys[0]: nothing but the program itself went in; keys[1 + i]:
         * module results of scopes[i] did; behind those 1 + n_scopes the same again for what
         * could only be compiled at a lower level. */
        struct fmt_digest *keys;
        size_t n_keys;
        atomic_int found; /* index of the key that last was a hit, -1: none yet */
};

struct jit_program *jit_program_reference(const struct jit_program *program);

/* What the cache itself holds; jit_session_lookup and jit_session_peek also know what is still
 * being published. */
int jit_program_lookup(struct jit_session *session, const struct jit_program *program, int *ret_fd);
int jit_program_peek(struct jit_session *session, const struct jit_program *program, int *ret_fd);

/* ---- jit_compile.c ---- */

struct jit_compile;

struct jit_compile_terms {
        unsigned threads;
        uint64_t queued_ns;      /* CLOCK_MONOTONIC at the request */
        bool in_background;      /* behind whatever else wants to run */
        struct jit_board *board; /* where it says how far it is; borrowed until jit_compile_end */
};

/* Compiles PROGRAM unless another process has meanwhile: takes the node-wide lock, looks again, runs
 * a worker, copies its result into a file of the cache. The outcome, failure included, is in
 * jit_compile_result. */
int jit_compile_run(struct jit_session *session, const struct jit_program *program,
        const struct jit_compile_terms *terms, struct jit_compile **ret);
/* Borrowed; valid until jit_compile_end. */
const struct jit_result *jit_compile_result(const struct jit_compile *compile);
/* Gives the result its name in the cache, keeps what was learnt of modules, releases the lock. */
void jit_compile_end(struct jit_compile *compile);

#endif
