/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "prewarm.h"

#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* What session threads and the main thread share. */
struct run {
        struct prewarm *prewarm;
        pthread_mutex_t lock;
        int done_fd; /* eventfd: an answer has come */
        size_t n_asked;
        size_t n_answered;
        const char *last; /* path of the latest answer */
};

struct question {
        struct run *run;
        struct prewarm_program *program;
};

static void set_failed(struct prewarm_program *program, const char *reason)
{
        program->state = PREWARM_FAILED;
        free(program->reason);
        program->reason = strdup(reason);
}

/* jit_callback, on a session thread */
static void answered(void *context, const struct jit_result *result)
{
        struct question *question = context;
        struct run *run = question->run;

        pthread_mutex_lock(&run->lock);
        if (result->error < 0)
                set_failed(question->program,
                        result->reason ? result->reason : strerror(-result->error));
        else
                question->program->state = result->from_cache ? PREWARM_CACHED : PREWARM_COMPILED;
        run->n_answered++;
        run->last = question->program->entry->path;
        eventfd_write(run->done_fd, 1);
        pthread_mutex_unlock(&run->lock);
}

/* An earlier program of the image that gives the same result: one compile serves both. */
static bool is_asked_already(const struct prewarm *prewarm, const struct prewarm_program *program)
{
        struct fmt_digest key, other;

        jit_program_key(program->loaded, &key);
        for (const struct prewarm_program *earlier = prewarm->programs; earlier < program;
                earlier++) {
                if (!earlier->loaded || earlier->state != PREWARM_WAITING)
                        continue;
                jit_program_key(earlier->loaded, &other);
                if (fmt_digest_equal(&key, &other))
                        return true;
        }
        return false;
}

/* Sorts out what needs no compile. Whether PROGRAM is still waiting. */
static bool needs_compile(struct prewarm *prewarm, struct prewarm_program *program)
{
        const char *unsupported;
        int fd, r;

        r = prewarm_load(prewarm, program);
        if (r < 0) {
                set_failed(program, "its program record cannot be read; pack the image again");
                return false;
        }
        unsupported = jit_program_unsupported(program->loaded);
        if (unsupported) {
                program->state = PREWARM_UNSUPPORTED;
                program->reason = strdup(unsupported);
                return false;
        }
        if (jit_session_lookup(prewarm->session, program->loaded, &fd) < 0)
                return true;
        close(fd);
        program->state = PREWARM_CACHED;
        return false;
}

static void show_progress(struct run *run)
{
        if (!isatty(STDERR_FILENO))
                return;
        pthread_mutex_lock(&run->lock);
        dprintf(STDERR_FILENO, "\r\033[Kcompiling %zu of %zu%s%s",
                run->n_answered < run->n_asked ? run->n_answered + 1 : run->n_asked, run->n_asked,
                run->last ? ", done: " : "", run->last ? run->last : "");
        pthread_mutex_unlock(&run->lock);
}

static void end_progress(void)
{
        if (isatty(STDERR_FILENO))
                dprintf(STDERR_FILENO, "\r\033[K");
}

static bool all_answered(struct run *run)
{
        bool all;

        pthread_mutex_lock(&run->lock);
        all = run->n_answered == run->n_asked;
        pthread_mutex_unlock(&run->lock);
        return all;
}

static int wait_for_answers(struct run *run, int stop_fd)
{
        struct pollfd fds[] = {
                {.fd = run->done_fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
        eventfd_t count;

        while (!all_answered(run)) {
                show_progress(run);
                if (poll(fds, 2, -1) < 0 && errno != EINTR)
                        return -errno;
                if (fds[1].revents)
                        return -ECANCELED;
                if (fds[0].revents)
                        eventfd_read(run->done_fd, &count);
        }
        return 0;
}

/* An answer comes before the result has its name in the cache: whether it got one is what counts
 * here. */
static void check_published(struct prewarm *prewarm, struct prewarm_program *program)
{
        int fd;

        while (jit_session_state(prewarm->session, program->loaded, NULL) == JIT_RUNNING)
                usleep(2000);
        if (jit_session_peek(prewarm->session, program->loaded, &fd) == 0)
                close(fd);
        else
                set_failed(program,
                        "it was compiled, but the cache did not keep it: there is not enough room");
}

/* Whoever has the same result as an earlier program shares its fate. */
static void settle_the_rest(struct prewarm *prewarm)
{
        for (size_t i = 0; i < prewarm->n_programs; i++) {
                struct prewarm_program *program = &prewarm->programs[i];
                int fd;
                if (program->state != PREWARM_WAITING)
                        continue;
                if (jit_session_peek(prewarm->session, program->loaded, &fd) == 0) {
                        close(fd);
                        program->state = PREWARM_CACHED;
                } else {
                        set_failed(program, "an equal program of this image failed");
                }
        }
}

static int ask(struct run *run, struct question *questions)
{
        struct prewarm *prewarm = run->prewarm;
        size_t n = 0;

        for (size_t i = 0; i < prewarm->n_programs; i++) {
                struct prewarm_program *program = &prewarm->programs[i];
                if (program->state == PREWARM_WAITING && needs_compile(prewarm, program) &&
                        !is_asked_already(prewarm, program))
                        questions[n++] = (struct question){.run = run, .program = program};
        }
        run->n_asked = n;
        jit_session_hold(prewarm->session);
        for (size_t i = 0; i < n; i++) {
                int r = jit_session_request(
                        prewarm->session, questions[i].program->loaded, answered, &questions[i]);
                if (r == 0)
                        continue;
                pthread_mutex_lock(&run->lock);
                set_failed(questions[i].program, strerror(-r));
                run->n_answered++;
                pthread_mutex_unlock(&run->lock);
        }
        jit_session_release(prewarm->session);
        return 0;
}

int prewarm_run(struct prewarm *prewarm, int stop_fd)
{
        _cleanup_free_ struct question *questions =
                calloc(prewarm->n_programs + 1, sizeof(*questions));
        _cleanup_close_ int done_fd = eventfd(0, EFD_CLOEXEC);
        struct run run = {.prewarm = prewarm, .done_fd = done_fd};
        int r;

        if (!questions)
                return -ENOMEM;
        if (done_fd < 0)
                return -errno;
        pthread_mutex_init(&run.lock, NULL);
        ask(&run, questions);
        r = wait_for_answers(&run, stop_fd);
        end_progress();
        if (r == 0) {
                for (size_t i = 0; i < run.n_asked; i++)
                        if (questions[i].program->state == PREWARM_COMPILED)
                                check_published(prewarm, questions[i].program);
                settle_the_rest(prewarm);
        } else {
                /* Every question is answered before its memory goes. */
                jit_session_free(prewarm->session, false);
                prewarm->session = NULL;
        }
        pthread_mutex_destroy(&run.lock);
        return r;
}
