/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_bitcode.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "jit_bitcode_protocol.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* A batch is large enough for LLVM's start (30 ms) not to matter and small enough for all threads
 * to have work until the end. */
#define BATCH_MODULES 64
#define BATCH_BYTES (4U << 20)

/* A 6 MB module takes 0.8 s; a hundred times that is a hang. */
#ifndef TIMEOUT_BASE_MS
#define TIMEOUT_BASE_MS 60000
#endif
#define TIMEOUT_MS_PER_MIB 15000
#define MESSAGE_MAX 400 /* bytes of what the process said last */

struct run {
        struct jit_spawner *spawner;
        const struct jit_bitcode_input *inputs;
        size_t n;
        bool keep_debug;
        char *program;
        struct jit_bitcode_result *results;
        void (*progress)(void *context, size_t done, size_t total);
        void *context;

        pthread_mutex_t lock; /* of what follows, and held while progress runs */
        size_t next;          /* first input that no batch has taken */
        size_t done;
        int error; /* the processes could not be run at all */
};

void jit_bitcode_result_done(struct jit_bitcode_result *result)
{
        free(result->reason);
        free(result->data);
        free(result->facts.required);
        free(result->facts.extras);
        memset(result, 0, sizeof(*result));
}

static void advance(struct run *run, size_t n)
{
        pthread_mutex_lock(&run->lock);
        run->done += n;
        if (run->progress && n)
                run->progress(run->context, run->done, run->n);
        pthread_mutex_unlock(&run->lock);
}

/* ---- one process ---- */

/* What one process was asked, and how it ended. */
struct attempt {
        size_t first;
        size_t n;
        int answers;  /* memfd, what it answered */
        int messages; /* memfd, what it said on stderr */
        int status;
        bool late;
};

static int write_questions(const struct run *run, const struct attempt *attempt, int fd)
{
        for (size_t i = 0; i < attempt->n; i++) {
                const struct jit_bitcode_input *input = &run->inputs[attempt->first + i];
                struct jit_bitcode_question question = {.data = input->data, .size = input->size};
                int r = jit_bitcode_ask(fd, &question);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int timeout_of(const struct run *run, const struct attempt *attempt)
{
        size_t size = 0;

        for (size_t i = 0; i < attempt->n; i++)
                size += run->inputs[attempt->first + i].size;
        return TIMEOUT_BASE_MS + (int)(size >> 20) * TIMEOUT_MS_PER_MIB;
}

static int run_process(const struct run *run, struct attempt *attempt)
{
        _cleanup_close_ int questions = memfd_create("questions", MFD_CLOEXEC);
        char *const argv[] = {(char *)JIT_BITCODE_PROGRAM, (char *)"normalise",
                run->keep_debug ? (char *)"--keep-debug" : NULL, NULL};
        const int fds[] = {questions, attempt->answers, attempt->messages};
        struct jit_child *child;

        if (questions < 0)
                return -errno;
        int r = write_questions(run, attempt, questions);
        if (r == 0)
                r = jit_spawner_run(run->spawner, run->program, argv, fds, 3, &child);
        if (r < 0)
                return r;
        r = jit_child_wait(child, timeout_of(run, attempt), &attempt->status);
        attempt->late = r == -ETIMEDOUT;
        return attempt->late ? 0 : r;
}

/* ---- answers ---- */

static char *copy(const char *text, size_t size)
{
        return size ? strndup(text, size) : NULL;
}

/* Features come from a process that may have been taken over: names and signs only. */
static bool is_feature_text(const char *text, size_t size)
{
        return strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789.,+-_") >= size;
}

static int take_facts(const struct jit_bitcode_answer *answer, struct jit_bitcode_result *ret)
{
        ret->facts.has_extras = answer->flags & JIT_BITCODE_HAS_EXTRAS;
        ret->facts.captured_only = answer->flags & JIT_BITCODE_IS_CAPTURED_ONLY;
        ret->not_optimised = answer->flags & JIT_BITCODE_NOT_OPTIMISED;
        ret->facts.required = copy(answer->required, answer->required_size);
        ret->facts.extras = copy(answer->extras, answer->extras_size);
        if ((answer->required_size && !ret->facts.required) ||
                (answer->extras_size && !ret->facts.extras))
                return -ENOMEM;
        return (ret->facts.required &&
                       !is_feature_text(ret->facts.required, answer->required_size)) ||
                               (ret->facts.extras &&
                                       !is_feature_text(ret->facts.extras, answer->extras_size))
                       ? -EBADMSG
                       : 0;
}

static int take_answer(const struct jit_bitcode_answer *answer, struct jit_bitcode_result *ret)
{
        if (answer->error < 0) {
                ret->error = answer->error;
                ret->reason = strndup(answer->reason, answer->reason_size);
                return ret->reason ? 0 : -ENOMEM;
        }
        ret->data = malloc(answer->size + 1);
        if (!ret->data)
                return -ENOMEM;
        memcpy(ret->data, answer->data, answer->size);
        ret->size = answer->size;
        return take_facts(answer, ret);
}

/* Fills in the results of the questions that were answered; *ret_n is their number. What is cut off
 * or forged ends the row. */
static int take_answers(struct run *run, const struct attempt *attempt, size_t *ret_n)
{
        struct jit_bitcode_answer answer;
        const void *data;
        size_t size;
        size_t offset = 0;
        int r = jit_bitcode_map(attempt->answers, &data, &size);

        *ret_n = 0;
        if (r < 0)
                return r;
        while (*ret_n < attempt->n && jit_bitcode_next_answer(data, size, &offset, &answer) > 0) {
                struct jit_bitcode_result *result = &run->results[attempt->first + *ret_n];
                r = take_answer(&answer, result);
                if (r < 0) {
                        jit_bitcode_result_done(result);
                        break;
                }
                ++*ret_n;
        }
        if (data)
                munmap((void *)data, size);
        return r == -ENOMEM ? r : 0;
}

/* The last line that the process wrote, without control characters. */
static void last_words(int fd, char text[MESSAGE_MAX])
{
        off_t size = lseek(fd, 0, SEEK_END);
        off_t from = size > MESSAGE_MAX - 1 ? size - (MESSAGE_MAX - 1) : 0;
        ssize_t n = pread(fd, text, MESSAGE_MAX - 1, from);

        text[n > 0 ? n : 0] = 0;
        for (char *end = text + strlen(text); end > text && end[-1] == '\n'; end--)
                end[-1] = 0;
        char *line = strrchr(text, '\n');
        if (line)
                memmove(text, line + 1, strlen(line + 1) + 1);
        for (char *at = text; *at; at++) {
                if ((unsigned char)*at < ' ' || *at == 0x7f)
                        *at = '?';
        }
}

static int blame(const struct attempt *attempt, struct jit_bitcode_result *ret)
{
        char said[MESSAGE_MAX];
        int n;

        ret->error = -EBADMSG;
        last_words(attempt->messages, said);
        if (attempt->late)
                n = asprintf(&ret->reason, "LLVM did not come to an end with it");
        else if (WIFSIGNALED(attempt->status))
                n = asprintf(&ret->reason, "LLVM crashed on it (%s)",
                        strsignal(WTERMSIG(attempt->status)));
        else
                n = asprintf(&ret->reason, "LLVM gave up on it%s%s", *said ? ": " : "", said);
        if (n < 0)
                ret->reason = NULL;
        return n < 0 ? -ENOMEM : 0;
}

/* ---- batches ---- */

static int attempt_batch(struct run *run, struct attempt *attempt, size_t *ret_answered)
{
        _cleanup_close_ int answers = memfd_create("answers", MFD_CLOEXEC);
        _cleanup_close_ int messages = memfd_create("messages", MFD_CLOEXEC);

        if (answers < 0 || messages < 0)
                return -errno;
        attempt->answers = answers;
        attempt->messages = messages;
        int r = run_process(run, attempt);
        if (r < 0)
                return r;
        if (WIFEXITED(attempt->status) && WEXITSTATUS(attempt->status) == JIT_BITCODE_BOX_STATUS)
                return -EOPNOTSUPP;
        if (WIFEXITED(attempt->status) && WEXITSTATUS(attempt->status) == JIT_BITCODE_OUTPUT_STATUS)
                return -ENOSPC;
        r = take_answers(run, attempt, ret_answered);
        /* Alone with its module: whatever ended the process, that module did it. */
        if (r == 0 && *ret_answered == 0 && attempt->n == 1) {
                r = blame(attempt, &run->results[attempt->first]);
                *ret_answered = 1;
        }
        return r;
}

/* What the batch's process leaves unanswered is asked again: the module at which it ended alone
 * (memory that earlier ones used up must not count against it), then the rest. */
static int run_batch(struct run *run, size_t first, size_t n)
{
        bool alone = false;

        while (n > 0) {
                struct attempt attempt = {.first = first, .n = alone ? 1 : n};
                size_t answered = 0;
                int r = attempt_batch(run, &attempt, &answered);
                if (r < 0)
                        return r;
                advance(run, answered);
                first += answered;
                n -= answered;
                alone = answered < attempt.n;
        }
        return 0;
}

static bool take_batch(struct run *run, size_t *ret_first, size_t *ret_n)
{
        size_t bytes = 0;

        pthread_mutex_lock(&run->lock);
        *ret_first = run->next;
        while (!run->error && run->next < run->n && run->next - *ret_first < BATCH_MODULES &&
                bytes < BATCH_BYTES)
                bytes += run->inputs[run->next++].size;
        *ret_n = run->next - *ret_first;
        pthread_mutex_unlock(&run->lock);
        return *ret_n > 0;
}

static void *work(void *argument)
{
        struct run *run = argument;
        size_t first;
        size_t n;

        while (take_batch(run, &first, &n)) {
                int r = run_batch(run, first, n);
                if (r == 0)
                        continue;
                pthread_mutex_lock(&run->lock);
                if (!run->error)
                        run->error = r;
                pthread_mutex_unlock(&run->lock);
        }
        return NULL;
}

static void run_threads(struct run *run, unsigned threads)
{
        pthread_t others[64];
        unsigned n = 0;

        while (n + 1 < threads && n < sizeof(others) / sizeof(others[0]) &&
                pthread_create(&others[n], NULL, work, run) == 0)
                n++;
        work(run);
        while (n > 0)
                pthread_join(others[--n], NULL);
}

static const char *advice(int error)
{
        if (error == -EOPNOTSUPP)
                return "this needs a kernel with Landlock (Linux 5.13 or later)";
        if (error == -ENOENT || error == -EACCES)
                return "install xaasfs completely, or set XAASFS_LIBEXEC to the folder of its "
                       "companions";
        return "free some memory, or use fewer threads";
}

int jit_bitcode_normalise(struct jit_spawner *spawner, const struct jit_bitcode_input *inputs,
        size_t n, bool keep_debug, unsigned threads,
        void (*progress)(void *context, size_t done, size_t total), void *context,
        struct jit_bitcode_result *results)
{
        const char *libexec = getenv("XAASFS_LIBEXEC");
        struct run run = {.spawner = spawner,
                .inputs = inputs,
                .n = n,
                .keep_debug = keep_debug,
                .results = results,
                .progress = progress,
                .context = context};

        memset(results, 0, n * sizeof(*results));
        if (asprintf(&run.program, "%s/%s", libexec ? libexec : XAASFS_LIBEXECDIR,
                    JIT_BITCODE_PROGRAM) < 0)
                return -ENOMEM;
        pthread_mutex_init(&run.lock, NULL);
        run_threads(&run, threads);
        pthread_mutex_destroy(&run.lock);
        if (run.error)
                fmt_error("cannot read bitcode with %s: %s; %s", run.program, strerror(-run.error),
                        advice(run.error));
        free(run.program);
        if (run.error) {
                for (size_t i = 0; i < n; i++)
                        jit_bitcode_result_done(&results[i]);
        }
        return run.error;
}
