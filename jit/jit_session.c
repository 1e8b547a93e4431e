/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_session_internal.h"

#include "fmt_cleanup.h"
#include "fmt_cores.h"
#include "fmt_log.h"
#include "fmt_memory.h"
#include "jit_clock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>

/* A program that failed is tried again only after this long: nanoseconds. What may be the machine's
 * fault of the moment gets another try at once, the first time. */
#define RETRY_NS (UINT64_C(60) * 1000000000u)

/* A request that waits for a job. */
struct waiter {
        jit_callback *callback;
        void *context;
        struct waiter *next;
};

/* One key's compile. Queued -> running -> answered (its file is there, being published) -> gone;
 * whoever asks before it is gone waits with the others. */
struct jit_job {
        struct jit_program *program;
        struct waiter *waiters;
        struct jit_board board;
        uint64_t queued_ns;
        bool started;
        bool compiles;   /* started, and not yet answered */
        bool is_awaited; /* somebody asked to be told */
        bool is_for_later;
        int result_fd; /* what the waiters got, while it is being published; -1 before */
        struct jit_job *next;
};

struct jit_failure {
        struct fmt_digest key;
        int error;
        unsigned in_a_row;
        char *reason;
        uint64_t at_ns;
        struct jit_failure *next;
};

/* ---- failures, remembered (under the lock) ---- */

static struct jit_failure *find_failure(struct jit_session *session, const struct fmt_digest *key)
{
        for (struct jit_failure *failure = session->failures; failure; failure = failure->next)
                if (fmt_digest_equal(&failure->key, key))
                        return failure;
        return NULL;
}

/* Somebody killed the worker, memory or disk or descriptors were short. */
static bool may_pass(int error)
{
        return error == -ENOMEM || error == -ENOSPC || error == -EMFILE || error == -ENFILE ||
               error == -EAGAIN;
}

static bool is_final(const struct jit_failure *failure)
{
        return failure->error < 0 && jit_now_ns() - failure->at_ns < RETRY_NS &&
               (failure->in_a_row > 1 || !may_pass(failure->error));
}

static void remember_outcome(struct jit_session *session, const struct jit_program *program,
        const struct jit_result *result)
{
        struct jit_failure *failure = find_failure(session, &program->keys[0]);
        if (result->error == -ECANCELED || (result->error == 0 && !failure))
                return;
        if (!failure) {
                failure = calloc(1, sizeof *failure);
                if (!failure)
                        return;
                failure->key = program->keys[0];
                failure->next = session->failures;
                session->failures = failure;
        }
        free(failure->reason);
        failure->in_a_row = result->error < 0 ? failure->in_a_row + 1 : 0;
        failure->error = result->error;
        failure->reason = result->reason ? strdup(result->reason) : NULL;
        failure->at_ns = jit_now_ns();
}

/* ---- jobs ---- */

static struct jit_job *find_job(struct jit_session *session, const struct fmt_digest *key)
{
        for (struct jit_job *job = session->jobs; job; job = job->next)
                if (fmt_digest_equal(&job->program->keys[0], key))
                        return job;
        return NULL;
}

/* What somebody waits for, then what somebody soon may, then what only a later open will get. */
static int urgency(const struct jit_job *job)
{
        return job->is_awaited ? 2 : job->is_for_later ? 0 : 1;
}

/* The oldest of the most urgent jobs. NULL: as many compile as may. What nobody waits for does not
 * keep those waiting who do: one of theirs may start beside it. */
static struct jit_job *find_unstarted(struct jit_session *session)
{
        struct jit_job *best = NULL;
        unsigned all = 0, awaited = 0;
        for (struct jit_job *job = session->jobs; job; job = job->next) {
                all += job->compiles;
                awaited += job->compiles && job->is_awaited;
                if (!job->started && (!best || urgency(job) > urgency(best)))
                        best = job;
        }
        if (best && !session->is_held &&
                (best->is_awaited ? awaited : all) < session->options.workers)
                return best;
        return NULL;
}

static void answer(struct waiter *waiters, const struct jit_result *result)
{
        for (struct waiter *waiter = waiters, *next; waiter; waiter = next) {
                next = waiter->next;
                if (waiter->callback)
                        waiter->callback(waiter->context, result);
                free(waiter);
        }
}

/* Takes the waiters off JOB; where LAST, the job too, so that nobody can join it any more. */
static struct waiter *detach_waiters(struct jit_session *session, struct jit_job *job, bool last)
{
        pthread_mutex_lock(&session->lock);
        struct waiter *waiters = steal_pointer(&job->waiters);
        struct jit_job **link = &session->jobs;
        while (last && *link != job)
                link = &(*link)->next;
        if (last)
                *link = job->next;
        pthread_mutex_unlock(&session->lock);
        return waiters;
}

static void free_job(struct jit_job *job)
{
        if (job->result_fd >= 0)
                close(job->result_fd);
        jit_board_done(&job->board);
        jit_program_free(job->program);
        free(job);
}

/* Answers without a compile. */
static void refuse(struct jit_session *session, struct jit_job *job, int error, const char *reason)
{
        struct jit_result result = {.error = error, .reason = reason, .fd = -1};
        answer(detach_waiters(session, job, true), &result);
        free_job(job);
}

static void carry_out(struct jit_session *session, struct jit_job *job, unsigned threads)
{
        const struct jit_compile_terms terms = {.threads = threads,
                .queued_ns = job->queued_ns,
                .in_background = job->is_for_later,
                .board = &job->board};
        struct jit_compile *compile;
        int r = jit_compile_run(session, job->program, &terms, &compile);
        pthread_mutex_lock(&session->lock);
        session->n_active--;
        job->compiles = false;
        pthread_cond_signal(&session->work);
        pthread_mutex_unlock(&session->lock);
        if (r < 0) {
                refuse(session, job, r, "out of memory");
                return;
        }
        const struct jit_result *result = jit_compile_result(compile);
        pthread_mutex_lock(&session->lock);
        remember_outcome(session, job->program, result);
        if (result->error == 0)
                job->result_fd = fcntl(result->fd, F_DUPFD_CLOEXEC, 3);
        pthread_mutex_unlock(&session->lock);
        answer(detach_waiters(session, job, false), result);
        if (result->error < 0) {
                answer(detach_waiters(session, job, true), result);
                jit_compile_end(compile);
                free_job(job);
                return;
        }
        /* Latecomers may still have joined before the result stood there for jit_session_lookup. */
        struct jit_result late = {.fd = job->result_fd, .from_cache = true};
        if (late.fd < 0) {
                late.error = -EMFILE;
                late.reason = "too many open files";
        }
        jit_compile_end(compile);
        answer(detach_waiters(session, job, true), &late);
        free_job(job);
}

/* Cores are shared out among what runs and what waits; the output does not depend on it. */
static unsigned share_of_threads(const struct jit_session *session)
{
        const unsigned most = session->options.workers;
        unsigned jobs = session->n_active < most ? session->n_active : most;
        unsigned share = session->options.threads / (jobs ? jobs : 1);
        return share ? share : 1;
}

/* Waits for a job. NULL: the session ends. */
static struct jit_job *next_job(struct jit_session *session, unsigned *ret_threads,
        bool *ret_cancelled, struct jit_failure *ret_failure)
{
        pthread_mutex_lock(&session->lock);
        struct jit_job *job;
        while (!(job = find_unstarted(session)) && !session->ending)
                pthread_cond_wait(&session->work, &session->lock);
        if (job) {
                job->started = true;
                *ret_threads = share_of_threads(session);
                *ret_cancelled = session->cancelled;
                struct jit_failure *failure = find_failure(session, &job->program->keys[0]);
                *ret_failure = (struct jit_failure){0};
                if (failure && is_final(failure)) {
                        ret_failure->error = failure->error;
                        ret_failure->reason = strdup(failure->reason ? failure->reason : "failed");
                }
                job->compiles = !*ret_cancelled && ret_failure->error == 0;
                if (!job->compiles)
                        session->n_active--;
        }
        pthread_mutex_unlock(&session->lock);
        return job;
}

static void *work(void *context)
{
        struct jit_session *session = context;
        struct jit_failure failure;
        struct jit_job *job;
        unsigned threads;
        bool cancelled;
        /* What it reads for workers is memory of theirs. */
        if (session->options.cores && jit_cores_bind(session->options.cores) < 0)
                fmt_warning("compiles cannot be kept on cores %s; mount the image again",
                        jit_cores_text(session->options.cores));
        while ((job = next_job(session, &threads, &cancelled, &failure))) {
                if (cancelled)
                        refuse(session, job, -ECANCELED, "the mount is ending");
                else if (failure.error < 0)
                        refuse(session, job, failure.error, failure.reason);
                else
                        carry_out(session, job, threads);
                free(failure.reason);
        }
        return NULL;
}

static struct jit_job *add_job(struct jit_session *session, const struct jit_program *program,
        bool for_later, struct jit_job *job)
{
        job->result_fd = -1;
        job->program = jit_program_reference(program);
        job->is_for_later = for_later;
        job->queued_ns = jit_now_ns();
        jit_board_init(&job->board, &program->policy, job->queued_ns);
        struct jit_job **end = &session->jobs;
        while (*end)
                end = &(*end)->next;
        *end = job;
        session->n_active++;
        return job;
}

static int request(struct jit_session *session, const struct jit_program *program, bool for_later,
        jit_callback *callback, void *context)
{
        if (program->unsupported)
                return -ENOTSUP;
        _cleanup_free_ struct waiter *waiter = calloc(1, sizeof *waiter);
        _cleanup_free_ struct jit_job *fresh = calloc(1, sizeof *fresh);
        if (!waiter || !fresh)
                return -ENOMEM;
        pthread_mutex_lock(&session->lock);
        if (session->ending) {
                pthread_mutex_unlock(&session->lock);
                return -ECANCELED;
        }
        struct jit_job *job = find_job(session, &program->keys[0]);
        if (!job)
                job = add_job(session, program, for_later, steal_pointer(&fresh));
        job->is_awaited |= callback != NULL;
        if (!job->started)
                job->is_for_later &= for_later;
        pthread_cond_signal(&session->work);
        waiter->callback = callback;
        waiter->context = context;
        waiter->next = job->waiters;
        job->waiters = steal_pointer(&waiter);
        pthread_mutex_unlock(&session->lock);
        return 0;
}

int jit_session_request(struct jit_session *session, const struct jit_program *program,
        jit_callback *callback, void *context)
{
        return request(session, program, false, callback, context);
}

int jit_session_request_for_later(struct jit_session *session, const struct jit_program *program)
{
        return request(session, program, true, NULL, NULL);
}

void jit_session_hold(struct jit_session *session)
{
        pthread_mutex_lock(&session->lock);
        session->is_held = true;
        pthread_mutex_unlock(&session->lock);
}

void jit_session_release(struct jit_session *session)
{
        pthread_mutex_lock(&session->lock);
        session->is_held = false;
        pthread_cond_broadcast(&session->work);
        pthread_mutex_unlock(&session->lock);
}

/* The result of a job that is still being published: -ENOENT if there is none. */
static int take_unpublished(
        struct jit_session *session, const struct jit_program *program, int *ret_fd)
{
        int r = -ENOENT;
        pthread_mutex_lock(&session->lock);
        const struct jit_job *job = find_job(session, &program->keys[0]);
        if (job && job->result_fd >= 0) {
                *ret_fd = fcntl(job->result_fd, F_DUPFD_CLOEXEC, 3);
                r = *ret_fd < 0 ? -errno : 0;
        }
        pthread_mutex_unlock(&session->lock);
        return r;
}

int jit_session_lookup(struct jit_session *session, const struct jit_program *program, int *ret_fd)
{
        if (take_unpublished(session, program, ret_fd) < 0)
                return jit_program_lookup(session, program, ret_fd);
        cache_count(session->cache, CACHE_HITS, 1);
        return 0;
}

int jit_session_peek(struct jit_session *session, const struct jit_program *program, int *ret_fd)
{
        int r = take_unpublished(session, program, ret_fd);
        return r == -ENOENT ? jit_program_peek(session, program, ret_fd) : r;
}

int jit_session_progress(
        struct jit_session *session, const struct jit_program *program, struct jit_progress *ret)
{
        pthread_mutex_lock(&session->lock);
        struct jit_job *job = find_job(session, &program->keys[0]);
        if (job)
                jit_board_read(&job->board, ret);
        pthread_mutex_unlock(&session->lock);
        return job ? 0 : -ENOENT;
}

enum jit_state jit_session_state(
        struct jit_session *session, const struct jit_program *program, char **ret_reason)
{
        enum jit_state state = JIT_IDLE;
        if (ret_reason)
                *ret_reason = NULL;
        pthread_mutex_lock(&session->lock);
        const struct jit_failure *failure = find_failure(session, &program->keys[0]);
        if (find_job(session, &program->keys[0])) {
                state = JIT_RUNNING;
        } else if (failure && failure->error < 0) {
                state = JIT_FAILED;
                if (ret_reason && failure->reason)
                        *ret_reason = strdup(failure->reason);
        }
        pthread_mutex_unlock(&session->lock);
        return state;
}

/* ---- the session itself ---- */

static void fill_in_defaults(struct jit_options *options)
{
        struct fmt_cores allowed;
        uint64_t memory = fmt_memory_allowed();
        fmt_cores_describe(&allowed);
        if (options->cores) {
                const uint64_t near = jit_cores_memory(options->cores);
                const unsigned n = jit_cores_count(options->cores);
                allowed.usable = allowed.quota > 0 && allowed.quota < n ? allowed.quota : n;
                memory = near < memory ? near : memory;
        }
        if (options->threads == 0)
                options->threads = allowed.usable;
        if (options->workers == 0)
                options->workers = options->threads;
        if (options->deadline_s == 0)
                options->deadline_s = 1800;
        if (options->memory_limit == 0)
                options->memory_limit = memory / 4 * 3;
}

static int list_scopes(struct jit_session *session)
{
        const struct fmt_manifest *manifest = session->manifest;
        session->n_scopes = 1 + manifest->n_trusted;
        session->scopes = calloc(session->n_scopes, sizeof *session->scopes);
        if (!session->scopes)
                return -ENOMEM;
        fmt_bundle_root(session->bundle, &session->scopes[0]);
        for (size_t i = 0; i < manifest->n_trusted; i++)
                session->scopes[1 + i] = manifest->trusted[i];
        return 0;
}

static int start_threads(struct jit_session *session)
{
        /* One more, for what is waited for (find_unstarted). */
        const unsigned n = session->options.workers + 1;
        session->threads = calloc(n, sizeof *session->threads);
        if (!session->threads)
                return -ENOMEM;
        for (; session->n_threads < n; session->n_threads++) {
                int r = pthread_create(&session->threads[session->n_threads], NULL, work, session);
                if (r != 0)
                        return session->n_threads > 0 ? 0 : -r;
        }
        return 0;
}

static int set_up(struct jit_session *session, const struct jit_options *options)
{
        int r = jit_toolchain_find(options->libexec, options->linker, &session->toolchain);
        if (r == 0)
                r = jit_target_describe(session->target, &session->target_text);
        if (r == 0)
                r = list_scopes(session);
        if (r == 0 && options->variant && !(session->variant = strdup(options->variant)))
                r = -ENOMEM;
        session->stop_fd = eventfd(0, EFD_CLOEXEC);
        if (r == 0 && session->stop_fd < 0)
                r = -errno;
        return r == 0 ? start_threads(session) : r;
}

int jit_session_new(const struct jit_options *options, struct jit_spawner *spawner,
        struct cache *cache, const struct jit_target *target, const struct fmt_bundle *bundle,
        const struct fmt_manifest *manifest, struct jit_session **ret)
{
        struct jit_session *session = calloc(1, sizeof *session);
        if (!session)
                return -ENOMEM;
        session->options = *options;
        fill_in_defaults(&session->options);
        session->spawner = spawner;
        session->cache = cache;
        session->target = target;
        session->bundle = bundle;
        session->manifest = manifest;
        session->stop_fd = -1;
        pthread_mutex_init(&session->lock, NULL);
        pthread_cond_init(&session->work, NULL);
        fmt_budget_init(&session->memory, session->options.memory_limit);
        int r = set_up(session, options);
        if (r < 0) {
                jit_session_free(session, false);
                return r;
        }
        *ret = session;
        return 0;
}

const struct jit_options *jit_session_options(const struct jit_session *session)
{
        return &session->options;
}

static void free_failures(struct jit_failure *failures)
{
        for (struct jit_failure *failure = failures, *next; failure; failure = next) {
                next = failure->next;
                free(failure->reason);
                free(failure);
        }
}

void jit_session_free(struct jit_session *session, bool finish)
{
        if (!session)
                return;
        pthread_mutex_lock(&session->lock);
        session->ending = true;
        session->cancelled = !finish;
        pthread_cond_broadcast(&session->work);
        pthread_mutex_unlock(&session->lock);
        if (!finish && session->stop_fd >= 0)
                eventfd_write(session->stop_fd, 1);
        if (!finish)
                fmt_budget_call_off(&session->memory);
        for (unsigned i = 0; i < session->n_threads; i++)
                pthread_join(session->threads[i], NULL);
        if (session->stop_fd >= 0)
                close(session->stop_fd);
        free(session->threads);
        free_failures(session->failures);
        pthread_cond_destroy(&session->work);
        pthread_mutex_destroy(&session->lock);
        fmt_budget_done(&session->memory);
        jit_toolchain_free(session->toolchain);
        free(session->target_text);
        free(session->variant);
        free(session->scopes);
        free(session);
}
