/* SPDX-License-Identifier: Apache-2.0 */
/* From a program record to its native ELF: key, cache, compile once, publish.
 *
 * What the mount and `xaas prewarm` share. A session belongs to one image, one target and one
 * cache; its jobs run on its own threads, which do nothing but wait for confined workers and move bytes. The
 * life of a request:
 *
 *     jit_session_lookup   hit: the descriptor, at once
 *          | miss
 *     jit_session_request  parks the caller's callback on the job of that key; the job takes the
 *                          node-wide lock, looks again, reads and verifies the blobs, runs the
 *                          worker, checks, pads, answers all callbacks, then publishes
 *
 * A job belongs to the key, not to a request: a thousand requests are one compile, and nobody's
 * leaving ends it. */
#ifndef JIT_SESSION_H
#define JIT_SESSION_H

#include "cache_store.h"
#include "fmt_bundle.h"
#include "fmt_manifest.h"
#include "fmt_record.h"
#include "jit_counting.h"
#include "jit_host.h"
#include "jit_policy.h"
#include "jit_profile.h"
#include "jit_progress.h"
#include "jit_spawner.h"

struct jit_session;

struct jit_options {
        unsigned threads;         /* of all workers together; 0: as many as there are cores for us */
        unsigned workers;         /* at the same time; 0: chosen from threads. One more for who
                                     waits while nobody waits for those */
        unsigned deadline_s;      /* one compile may take this long; 0: 1800 */
        uint64_t memory_limit;    /* bytes, of all workers together; 0: 3/4 of what there is for us */
        const struct jit_cores *cores; /* that the spawner was given, or NULL; borrowed */
        const char *variant;      /* -o variant=, or NULL */
        struct jit_wish wish;     /* without one: as was chosen for each program (jit_choice.h),
                                     else JIT_POLICY_DEFAULT */
        const struct jit_counting *counting; /* which programs count how often their code runs, or
                                                NULL; borrowed as long as the session */
        const char *libexec;      /* folder of xaas-worker and xaas-bitcode; NULL: built in, or $XAASFS_LIBEXEC */
        const char *linker;       /* ld.lld; NULL: found at build time, or $XAASFS_LLD */
};

/* SPAWNER, CACHE, TARGET, BUNDLE and MANIFEST are borrowed and must outlive the session. Starts threads. */
int jit_session_new(const struct jit_options *options, struct jit_spawner *spawner,
        struct cache *cache, const struct jit_target *target, const struct fmt_bundle *bundle,
        const struct fmt_manifest *manifest, struct jit_session **ret);

/* What it was told, with what stands for 0 filled in; strings are not to be used. */
const struct jit_options *jit_session_options(const struct jit_session *session);

/* Lets running jobs end (FINISH) or kills them; every callback is answered (-ECANCELED). */
void jit_session_free(struct jit_session *session, bool finish);

/* One portable object with everything that is known before it is compiled: variant chosen, key
 * computed. Immutable, thread-safe. */
struct jit_program;
int jit_program_load(struct jit_session *session, const struct fmt_program *program,
        struct jit_program **ret);
/* The same, compiled in the shortest time (jit_policy_fast): for who cannot wait. */
int jit_program_load_fast(struct jit_session *session, const struct fmt_program *program,
        struct jit_program **ret);
void jit_program_free(struct jit_program *program);
const struct fmt_variant *jit_program_variant(const struct jit_program *program);
const struct jit_policy *jit_program_policy(const struct jit_program *program);
/* The name under which a policy is chosen for it (jit_choice.h). */
void jit_program_choice_name(const struct jit_program *program, struct fmt_digest *ret);
/* The profile it is compiled with, or NULL. */
const struct jit_profile *jit_program_profile(const struct jit_program *program);
/* The name of its profile, whether it has one or not (jit_profile.h). */
void jit_program_profile_name(const struct jit_program *program, struct fmt_digest *ret);
void jit_program_key(const struct jit_program *program, struct fmt_digest *ret);
/* NULL if this host can run some variant, else why not: "needs avx512f". Then only the baseline can be served. */
const char *jit_program_unsupported(const struct jit_program *program);

/* A cache hit: a read-only descriptor of a file of exactly the promised size; -ENOENT. Counts. */
int jit_session_lookup(struct jit_session *session, const struct jit_program *program,
        int *ret_fd);
/* The same without counting, for those who only want to know. */
int jit_session_peek(struct jit_session *session, const struct jit_program *program, int *ret_fd);

/* Of what the cache has of PROGRAM: how well the profile fit that it was compiled with, as text for
 * people, which the caller frees. -ENOENT: it is not there, or was compiled without. */
int jit_session_profile_fit(
        struct jit_session *session, const struct jit_program *program, char **ret);
/* Whether it counts how often its code runs (jit_counting.h). */
bool jit_program_counts(const struct jit_program *program);

/* How long each step took, nanoseconds of wall time. */
struct jit_phases {
        uint64_t wait;     /* for a thread and for the node-wide lock */
        uint64_t start;    /* starting and confining the worker */
        uint64_t read;     /* reading, decompressing and verifying blobs */
        uint64_t retarget; /* rewriting modules that have features of their own */
        uint64_t link;     /* ld.lld: ThinLTO and link */
        uint64_t check;
        uint64_t publish;  /* copy into the cache; fsync and link happen after the answer */
};

struct jit_result {
        int error;             /* 0; -ECANCELED, -ENOSPC, -ENOMEM, -ETIMEDOUT, -EBADMSG, … */
        const char *reason;    /* sentence, valid during the callback; NULL if error is 0 */
        int fd;                /* read-only, promised size; borrowed during the callback: dup it. -1 on error */
        bool from_cache;       /* another process was quicker */
        struct jit_phases phases;
};
typedef void jit_callback(void *context, const struct jit_result *result);

/* CALLBACK runs exactly once, on a session thread (or before return only with a negative return
 * value: then never). NULL callback: start it and do not tell; then it comes after all that somebody
 * waits for. */
int jit_session_request(struct jit_session *session, const struct jit_program *program,
        jit_callback *callback, void *context);

/* The same without telling, for nobody who is there now: it comes after everything else, and once it
 * runs it leaves the cores to whoever else wants them. */
int jit_session_request_for_later(struct jit_session *session, const struct jit_program *program);

/* Between these, jobs that are asked for wait to be started until all are there: threads are shared out
 * among those that are known, and whoever began too early would have too many. */
void jit_session_hold(struct jit_session *session);
void jit_session_release(struct jit_session *session);

/* Whether a job for PROGRAM runs or waits; ret_reason (optional, caller frees) is why its last
 * attempt in this session failed. */
enum jit_state { JIT_IDLE, JIT_RUNNING, JIT_FAILED };
enum jit_state jit_session_state(struct jit_session *session, const struct jit_program *program,
        char **ret_reason);
/* How far its job is. -ENOENT: none runs or waits. */
int jit_session_progress(struct jit_session *session, const struct jit_program *program,
        struct jit_progress *ret);

#endif
