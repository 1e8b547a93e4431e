/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_program.h"

#include "fs_notice.h"
#include "fs_options.h"
#include "fs_program_tier.h"
#include "fs_statistics.h"
#include "fs_watch.h"

#include "fmt_cleanup.h"

#include <string.h>

/* How often those are looked at who were interrupted by something harmless. */
#define INTERRUPTED_NS UINT64_C(100000000)

int fs_program_new(struct fs_programs *shared, fmt_inode inode, const struct fmt_program *entry,
        struct fs_program **ret)
{
        struct fs_program *program = calloc(1, sizeof *program);
        if (program == NULL)
                return -ENOMEM;
        program->shared = shared;
        program->inode = inode;
        program->entry = entry;
        program->backing_fd = -1;
        TAILQ_INIT(&program->waiters);
        pthread_mutex_init(&program->lock, NULL);
        *ret = program;
        return 0;
}

void fs_program_free(struct fs_program *program)
{
        if (program == NULL)
                return;
        jit_program_free(program->loaded);
        jit_program_free(program->fast);
        fmt_close_fd(&program->backing_fd);
        free(program->baseline_reason);
        free(program->failure);
        pthread_mutex_destroy(&program->lock);
        free(program);
}

fmt_inode fs_program_inode(const struct fs_program *program)
{
        return program->inode;
}

const struct fmt_program *fs_program_entry(const struct fs_program *program)
{
        return program->entry;
}

int fs_program_load(struct fs_program *program, const struct jit_program **ret)
{
        pthread_mutex_lock(&program->lock);
        int error = fs_tier_load(program);
        *ret = program->loaded;
        pthread_mutex_unlock(&program->lock);
        return error;
}

bool fs_program_is_first(struct fs_program *program)
{
        return !atomic_flag_test_and_set(&program->asked);
}

/* With the lock held. Whoever opens what was compiled fast asks for the rest. */
static void start(struct fs_program *program)
{
        const struct jit_program *first = program->fast != NULL ? program->fast : program->loaded;
        if (!fs_tier_is_cached(program, program->loaded) && !fs_tier_is_cached(program, first))
                jit_session_request(program->shared->session, first, NULL, NULL);
}

void fs_program_start(struct fs_program *program)
{
        pthread_mutex_lock(&program->lock);
        if (program->tier == FS_TIER_NONE && !program->compiling && program->failure == NULL &&
                fs_tier_load(program) == 0 && jit_program_unsupported(program->loaded) == NULL)
                start(program);
        pthread_mutex_unlock(&program->lock);
}

/* ---- answering ---- */

/* Without the lock. */
static void leave(struct fs_program *program)
{
        pthread_mutex_lock(&program->lock);
        const bool poke = fs_tier_leave(program);
        pthread_mutex_unlock(&program->lock);
        if (poke)
                fs_watch_poke(program->shared->watch);
}

/* Without the lock, for an open that joined if ERROR is 0. */
static void reply(
        struct fs_program *program, fuse_req_t req, const struct fuse_file_info *fi, int error)
{
        if (error < 0) {
                fuse_reply_err(req, -error);
                return;
        }
        /* The opener is gone: no release will come. */
        if (fuse_reply_open(req, fi) == -ENOENT)
                leave(program);
}

static void note_answer(const struct fs_waiter *waiter, int error)
{
        struct fs_statistics *statistics = waiter->program->shared->fs->statistics;
        fs_statistics_late(statistics, FS_OPEN, waiter->arrived);
        if (error == -EINTR)
                fs_statistics_add(statistics, FS_OPENS_KILLED, 1);
}

/* Without the lock: nobody else has WAITER any more. */
static void answer(struct fs_waiter *waiter, int error)
{
        /* Waits for an interruption that is being handled right now. */
        fuse_req_interrupt_func(waiter->req, NULL, NULL);
        note_answer(waiter, error);
        reply(waiter->program, waiter->req, &waiter->fi, error);
        free(waiter);
}

/* With the lock held: takes all waiters off the list, as opens of the present tier unless ERROR. */
static void take_waiters(struct fs_program *program, int error, struct fs_waiter_list *ret)
{
        TAILQ_INIT(ret);
        TAILQ_CONCAT(ret, &program->waiters, in_list);
        struct fs_waiter *waiter;
        TAILQ_FOREACH(waiter, ret, in_list)
        {
                waiter->parked = false;
                if (error == 0)
                        fs_tier_join(program, &waiter->fi);
        }
}

static void answer_all(struct fs_waiter_list *list, int error)
{
        struct fs_waiter *waiter, *next;
        for (waiter = TAILQ_FIRST(list); waiter != NULL; waiter = next) {
                next = TAILQ_NEXT(waiter, in_list);
                answer(waiter, error);
        }
}

/* ---- waiting ---- */

/* libfuse calls this while it holds the request, on some other thread. */
static void on_interrupt(fuse_req_t req, void *context)
{
        struct fs_waiter *waiter = context;
        struct fs_program *program = waiter->program;
        pthread_mutex_lock(&program->lock);
        waiter->interrupted = true;
        const bool parked = waiter->parked;
        const bool killed = parked && fs_waiter_is_killed(waiter);
        if (killed) {
                TAILQ_REMOVE(&program->waiters, waiter, in_list);
                waiter->parked = false;
        }
        pthread_mutex_unlock(&program->lock);
        if (killed) {
                note_answer(waiter, -EINTR);
                fuse_reply_err(req, EINTR);
                free(waiter);
        } else if (parked) {
                fs_watch_poke(program->shared->watch);
        }
}

/* With the lock held. */
static void enlist(struct fs_program *program, struct fs_waiter *waiter)
{
        const uint64_t patience = program->shared->patience_ns;
        if (TAILQ_EMPTY(&program->waiters))
                program->patience_ends =
                        patience == FS_PATIENCE_FOREVER || !program->entry->baseline
                                ? FS_WATCH_NEVER
                                : fs_watch_now() + patience;
        waiter->parked = true;
        TAILQ_INSERT_TAIL(&program->waiters, waiter, in_list);
}

/* Takes or chooses the tier and joins it. With the lock held. */
static int try_open(struct fs_program *program, fuse_req_t req, struct fuse_file_info *fi)
{
        int error = fs_tier_resume(program) == 0 ? 0 : fs_tier_choose(program, req);
        if (error == 0)
                fs_tier_join(program, fi);
        return error;
}

static void park(struct fs_program *program, fuse_req_t req, const struct fuse_file_info *fi)
{
        struct fs_waiter *waiter = calloc(1, sizeof *waiter);
        if (waiter == NULL) {
                fuse_reply_err(req, ENOMEM);
                return;
        }
        waiter->program = program;
        waiter->req = req;
        waiter->fi = *fi;
        waiter->arrived = fs_statistics_defer();
        /* Not under the lock, which the handler takes; so the compile may be over by now. */
        fuse_req_interrupt_func(req, on_interrupt, waiter);
        pthread_mutex_lock(&program->lock);
        int error = try_open(program, req, &waiter->fi);
        const bool watched = waiter->interrupted || program->shared->notifies ||
                             program->shared->patience_ns != FS_PATIENCE_FOREVER;
        if (error == -EINPROGRESS)
                enlist(program, waiter);
        pthread_mutex_unlock(&program->lock);
        /* From here on a listed waiter belongs to whoever takes it. */
        if (error != -EINPROGRESS)
                answer(waiter, error);
        else if (watched)
                fs_watch_poke(program->shared->watch);
}

void fs_program_open(struct fs_program *program, fuse_req_t req, const struct fuse_file_info *fi)
{
        struct fuse_file_info mine = *fi;
        pthread_mutex_lock(&program->lock);
        int error = try_open(program, req, &mine);
        pthread_mutex_unlock(&program->lock);
        if (error == -EINPROGRESS)
                park(program, req, fi);
        else
                reply(program, req, &mine, error);
}

void fs_program_release(struct fs_program *program, fuse_req_t req)
{
        leave(program);
        fuse_reply_err(req, 0);
}

/* With the lock held: takes those who are being killed off the list. When to look again. */
static uint64_t take_killed(struct fs_program *program, uint64_t now, struct fs_waiter_list *ret)
{
        struct fs_waiter *waiter, *next;
        uint64_t again = FS_WATCH_NEVER;
        for (waiter = TAILQ_FIRST(&program->waiters); waiter != NULL; waiter = next) {
                next = TAILQ_NEXT(waiter, in_list);
                if (!waiter->interrupted)
                        continue;
                again = now + INTERRUPTED_NS;
                if (fs_waiter_is_killed(waiter)) {
                        TAILQ_REMOVE(&program->waiters, waiter, in_list);
                        waiter->parked = false;
                        TAILQ_INSERT_TAIL(ret, waiter, in_list);
                }
        }
        return again;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
        return a < b ? a : b;
}

uint64_t fs_program_sweep(struct fs_program *program, uint64_t now)
{
        struct fs_waiter_list killed = TAILQ_HEAD_INITIALIZER(killed);
        struct fs_waiter_list served = TAILQ_HEAD_INITIALIZER(served);
        pthread_mutex_lock(&program->lock);
        uint64_t again = take_killed(program, now, &killed);
        if (!TAILQ_EMPTY(&program->waiters) && program->patience_ends <= now &&
                fs_tier_use_baseline(
                        program, "it is being compiled and -o patience= has run out") == 0)
                take_waiters(program, 0, &served);
        if (!TAILQ_EMPTY(&program->waiters) && program->patience_ends > now)
                again = earlier(again, program->patience_ends);
        const bool lingers = program->tier == FS_TIER_NATIVE && program->opens == 0;
        if (lingers && program->linger_ends <= now) {
                fs_tier_end(program);
        } else if (lingers) {
                atomic_store(&program->shared->anyone_lingers, true);
                again = earlier(again, program->linger_ends);
        }
        pthread_mutex_unlock(&program->lock);
        answer_all(&killed, -EINTR);
        answer_all(&served, 0);
        return earlier(again, fs_notice_waiters(program, now));
}

/* ---- the session's answer ---- */

/* With the lock held. The session has told the log. */
static void note_outcome(struct fs_program *program, const struct jit_result *result)
{
        free(program->failure);
        program->failure = NULL;
        if (result->error < 0)
                program->failure =
                        strdup(result->reason != NULL ? result->reason : strerror(-result->error));
}

/* With the lock held: whoever waits gets the result of a compile as TIER. */
static int use_result(
        struct fs_program *program, enum fs_tier tier, const struct jit_result *result)
{
        const struct fs_waiter *first = TAILQ_FIRST(&program->waiters);
        if (first == NULL || result->error < 0)
                return result->error;
        int fd = fcntl(result->fd, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? -errno : fs_tier_use_compiled(program, tier, fd, first->req);
}

void fs_program_compiled(void *context, const struct jit_result *result)
{
        struct fs_program *program = context;
        struct fs_waiter_list list;
        pthread_mutex_lock(&program->lock);
        program->compiling = false;
        note_outcome(program, result);
        int error = use_result(program, FS_TIER_NATIVE, result);
        if (error < 0 && !TAILQ_EMPTY(&program->waiters))
                error = fs_tier_use_baseline(
                        program, program->failure != NULL ? program->failure : strerror(-error));
        take_waiters(program, error, &list);
        pthread_mutex_unlock(&program->lock);
        answer_all(&list, error);
}

/* With the lock held: the full compile takes the place of the fast one, which failed with ERROR. What
 * those who wait get; -EINPROGRESS: they wait on. */
static int replace_fast(struct fs_program *program, int error)
{
        const bool waits = !TAILQ_EMPTY(&program->waiters);
        if (error == -ECANCELED)
                return waits ? fs_tier_use_baseline(program, "the mount is ending") : error;
        fs_tier_forget_fast(program);
        if (waits)
                return fs_tier_request(program);
        fs_tier_request_full(program);
        return error;
}

void fs_program_compiled_fast(void *context, const struct jit_result *result)
{
        struct fs_program *program = context;
        struct fs_waiter_list list = TAILQ_HEAD_INITIALIZER(list);
        pthread_mutex_lock(&program->lock);
        program->compiling = false;
        int error = use_result(program, FS_TIER_FAST, result);
        if (error == 0)
                fs_tier_request_full(program);
        else
                error = replace_fast(program, error);
        if (error != -EINPROGRESS)
                take_waiters(program, error, &list);
        pthread_mutex_unlock(&program->lock);
        answer_all(&list, error);
}
