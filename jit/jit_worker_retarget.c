/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_worker_retarget.h"

#include "fmt_cleanup.h"
#include "jit_archive.h"
#include "jit_bitcode_protocol.h"
#include "jit_worker_run.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define _cleanup_view_ _cleanup_(unmap)

struct view {
        const void *data;
        size_t size;
};

static void unmap(struct view *view)
{
        if (view->data)
                munmap((void *)view->data, view->size);
}

static bool must_be_rewritten(const struct jit_worker_parts *parts, const struct fmt_input *input)
{
        return input && input->kind == FMT_INPUT_MODULE &&
               (input->module.has_extras || input->module.captured_only ||
                       parts->job.policy.lto == JIT_LTO_FULL || parts->profile.fd >= 0 ||
                       parts->runtime.fd >= 0);
}

/* ---- batches ---- */

/* A process should have this much bitcode to rewrite, or starting it costs more than it saves. */
#define BATCH_SIZE (UINT64_C(512) << 10)

/* One process and what it is asked. The Kth module that must be rewritten is in batch K modulo
 * their number. */
struct batch {
        struct jit_worker_file questions, answers;
        struct jit_worker_running running;
        bool is_running;
        struct view view; /* of the answers */
        size_t offset;    /* of the next answer */
};

struct batches {
        const struct fmt_variant *variant;
        const struct jit_worker_parts *parts;
        struct jit_worker_profiled *profiled;
        struct batch *all;
        size_t n;
        size_t next; /* module to be asked about or answered */
        char **ret_reason;
};

static size_t choose_number(const struct jit_worker_parts *parts)
{
        uint64_t size = 0;
        for (size_t i = 0; i < parts->variant->n_inputs; i++)
                if (must_be_rewritten(parts, &parts->variant->inputs[i]))
                        size += parts->variant->inputs[i].size;
        if (size == 0)
                return 0;
        uint64_t n = 1 + size / BATCH_SIZE;
        return n < parts->job.threads ? n : parts->job.threads;
}

static int open_batches(struct batches *batches)
{
        int r = 0;
        batches->all = calloc(batches->n + 1, sizeof *batches->all);
        if (!batches->all)
                return -ENOMEM;
        for (size_t i = 0; i < batches->n; i++)
                batches->all[i].questions.fd = batches->all[i].answers.fd = -1;
        for (size_t i = 0; i < batches->n && r == 0; i++) {
                r = jit_worker_file_new("questions", &batches->all[i].questions);
                if (r == 0)
                        r = jit_worker_file_new("answers", &batches->all[i].answers);
        }
        return r;
}

static void close_batches(struct batches *batches)
{
        for (size_t i = 0; batches->all && i < batches->n; i++) {
                struct batch *batch = &batches->all[i];
                char *reason = NULL;
                if (batch->is_running)
                        (void)jit_worker_run_end(&batch->running, &reason);
                free(reason);
                unmap(&batch->view);
                jit_worker_file_done(&batch->questions);
                jit_worker_file_done(&batch->answers);
        }
        free(batches->all);
}

static struct batch *next_batch(struct batches *batches)
{
        return &batches->all[batches->next++ % batches->n];
}

/* Writes a question for each module of ARCHIVE that must be rewritten. */
static int ask(struct batches *batches, const struct jit_worker_file *archive, bool lazy)
{
        const struct fmt_variant *variant = batches->variant;
        _cleanup_view_ struct view view = {0};
        struct jit_archive_member member;
        size_t cursor = 0;
        int r = archive->fd < 0 ? 0 : jit_bitcode_map(archive->fd, &view.data, &view.size);
        for (size_t i = 0; i < variant->n_inputs && r == 0 && view.data; i++) {
                const struct fmt_input *input = &variant->inputs[i];
                if (input->lazy != lazy)
                        continue;
                int more = jit_archive_next(view.data, view.size, &cursor, &member);
                if (more <= 0)
                        return more < 0 ? more : -EBADMSG;
                if (!must_be_rewritten(batches->parts, input))
                        continue;
                struct jit_bitcode_question question = {
                        .flags = input->module.captured_only ? JIT_BITCODE_CAPTURED_ONLY : 0,
                        .data = member.data,
                        .size = member.size};
                r = jit_bitcode_ask(next_batch(batches)->questions.fd, &question);
        }
        return r;
}

/* ---- answers ---- */

static int refuse(const struct fmt_input *input, const char *why, size_t size, char **ret_reason)
{
        if (asprintf(ret_reason, "%s cannot be rewritten for the target: %.*s", input->name,
                    (int)size, why) < 0)
                *ret_reason = NULL;
        return -EBADMSG;
}

static int replace_by_answer(
        void *context, const struct fmt_input *input, void **ret_data, size_t *ret_size)
{
        struct batches *batches = context;
        struct jit_bitcode_answer answer;
        static const char none[] = "no answer";
        if (!must_be_rewritten(batches->parts, input))
                return 0;
        struct batch *batch = next_batch(batches);
        int r = jit_bitcode_next_answer(
                batch->view.data, batch->view.size, &batch->offset, &answer);
        if (r == 0)
                return refuse(input, none, strlen(none), batches->ret_reason);
        if (r > 0 && answer.error == -ENOMEM)
                return -ENOMEM;
        if (r > 0 && answer.error < 0)
                return refuse(input, answer.reason, answer.reason_size, batches->ret_reason);
        if (r < 0)
                return r;
        batches->profiled->functions += answer.functions;
        batches->profiled->profiled += answer.profiled;
        batches->profiled->changed += answer.changed;
        batches->profiled->unreadable += (answer.flags & JIT_BITCODE_PROFILE_UNREADABLE) != 0;
        *ret_data = malloc(answer.size + 1);
        if (!*ret_data)
                return -ENOMEM;
        memcpy(*ret_data, answer.data, answer.size);
        *ret_size = answer.size;
        return 1;
}

static int take_answers(struct batches *batches, struct jit_worker_parts *parts)
{
        struct jit_worker_file inputs = {.fd = -1}, lazy = {.fd = -1};
        batches->next = 0;
        int r = jit_worker_rewrite(parts, false, replace_by_answer, batches, &inputs);
        if (r == 0 && parts->lazy.fd >= 0)
                r = jit_worker_rewrite(parts, true, replace_by_answer, batches, &lazy);
        if (r < 0) {
                jit_worker_parts_return(parts, &inputs);
                return r;
        }
        jit_worker_file_done(&parts->inputs);
        jit_worker_file_done(&parts->lazy);
        parts->inputs = inputs;
        parts->lazy = lazy;
        return 0;
}

/* Names the module at which batch INDEX ended before its time; WHY is how. */
static int blame(struct batches *batches, size_t index, char *why)
{
        struct batch *batch = &batches->all[index];
        struct jit_bitcode_answer answer;
        size_t offset = 0, answered = 0, k = 0;
        while (jit_bitcode_next_answer(batch->view.data, batch->view.size, &offset, &answer) > 0)
                answered++;
        for (int lazy = 0; lazy < 2; lazy++) {
                for (size_t i = 0; i < batches->variant->n_inputs; i++) {
                        const struct fmt_input *input = &batches->variant->inputs[i];
                        if (input->lazy != lazy || !must_be_rewritten(batches->parts, input) ||
                                k++ != index + answered * batches->n)
                                continue;
                        const char *text = why ? why : "no answer";
                        int r = refuse(input, text, strlen(text), batches->ret_reason);
                        free(why);
                        return r;
                }
        }
        *batches->ret_reason = why;
        return -EBADMSG;
}

/* ---- all of it ---- */

static int run_batches(struct batches *batches, const char *program, char *const *argv)
{
        int r = 0;
        for (size_t i = 0; i < batches->n && r == 0; i++) {
                struct batch *batch = &batches->all[i];
                r = jit_worker_run_start(program, argv, batch->questions.fd, batch->answers.fd,
                        batches->n, &batch->running);
                batch->is_running = r == 0;
        }
        for (size_t i = 0; i < batches->n && r == 0; i++) {
                struct batch *batch = &batches->all[i];
                char *why = NULL;
                r = jit_worker_run_end(&batch->running, &why);
                batch->is_running = false;
                int mapped =
                        jit_bitcode_map(batch->answers.fd, &batch->view.data, &batch->view.size);
                if (r == -EBADMSG)
                        r = blame(batches, i, why);
                else if (r < 0)
                        *batches->ret_reason = why;
                if (r == 0)
                        r = mapped;
        }
        return r;
}

/* What xaas-bitcode is told. The caller frees ARGV with fmt_strings_free. */
static int write_arguments(const struct jit_worker_parts *parts, char ***argv)
{
        _cleanup_free_ char *tune = NULL, *features = NULL, *profile = NULL;
        if (asprintf(&tune, "--tune=%s", parts->job.tune) < 0 ||
                asprintf(&features, "--features=%s", parts->job.features) < 0 ||
                asprintf(&profile, "--profile=%s", parts->profile.path) < 0)
                return -ENOMEM;
        int r = fmt_strings_append(argv, JIT_BITCODE_PROGRAM);
        if (r == 0)
                r = fmt_strings_append(argv, "retarget");
        if (r == 0)
                r = fmt_strings_append(argv, tune);
        if (r == 0)
                r = fmt_strings_append(argv, features);
        if (r == 0 && parts->job.policy.lto == JIT_LTO_FULL)
                r = fmt_strings_append(argv, "--full-lto");
        if (r == 0 && parts->runtime.fd >= 0)
                r = fmt_strings_append(argv, "--count");
        else if (r == 0 && parts->profile.fd >= 0)
                r = fmt_strings_append(argv, profile);
        return r;
}

/* With N processes at the same time. */
static int retarget(const char *program, struct jit_worker_parts *parts, size_t n,
        struct jit_worker_profiled *ret_profiled, char **ret_reason)
{
        _cleanup_(close_batches) struct batches batches = {.variant = parts->variant,
                .parts = parts,
                .profiled = ret_profiled,
                .n = n,
                .ret_reason = ret_reason};
        _cleanup_(fmt_strings_freep) char **argv = NULL;
        *ret_profiled = (struct jit_worker_profiled){0};
        int r = open_batches(&batches);
        if (r == 0)
                r = ask(&batches, &parts->inputs, false);
        if (r == 0)
                r = ask(&batches, &parts->lazy, true);
        if (r == 0)
                r = write_arguments(parts, &argv);
        if (r == 0)
                r = run_batches(&batches, program, argv);
        return r < 0 ? r : take_answers(&batches, parts);
}

int jit_worker_retarget(const char *program, struct jit_worker_parts *parts,
        struct jit_worker_profiled *ret_profiled, char **ret_reason)
{
        const size_t n = choose_number(parts);
        *ret_profiled = (struct jit_worker_profiled){0};
        if (n == 0)
                return 0;
        int r = retarget(program, parts, n, ret_profiled, ret_reason);
        if (r != -ENOMEM || n == 1)
                return r;
        /* One module may need more than its process's part of the memory. */
        free(*ret_reason);
        *ret_reason = NULL;
        return retarget(program, parts, 1, ret_profiled, ret_reason);
}
