/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_worker_retarget.h"

#include "fmt_cleanup.h"
#include "jit_archive.h"
#include "jit_bitcode_protocol.h"
#include "jit_worker_run.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#define _cleanup_file_ _cleanup_(jit_worker_file_done)
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

static bool must_be_rewritten(const struct fmt_input *input)
{
        return input && input->kind == FMT_INPUT_MODULE &&
               (input->module.has_extras || input->module.captured_only);
}

/* Writes a question for each module of ARCHIVE that must be rewritten. */
static int ask(const struct fmt_variant *variant, const struct jit_worker_file *archive, bool lazy,
        int questions, size_t *n)
{
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
                if (!must_be_rewritten(input))
                        continue;
                struct jit_bitcode_question question = {
                        .flags = input->module.captured_only ? JIT_BITCODE_CAPTURED_ONLY : 0,
                        .data = member.data,
                        .size = member.size};
                r = jit_bitcode_ask(questions, &question);
                (*n)++;
        }
        return r;
}

/* The answers, taken one after the other while both archives are written again. */
struct answers {
        struct view view;
        size_t offset;
        char **ret_reason;
};

static int replace_by_answer(
        void *context, const struct fmt_input *input, void **ret_data, size_t *ret_size)
{
        struct answers *answers = context;
        struct jit_bitcode_answer answer;
        if (!must_be_rewritten(input))
                return 0;
        int r = jit_bitcode_next_answer(
                answers->view.data, answers->view.size, &answers->offset, &answer);
        if (r == 0 || (r > 0 && answer.error < 0)) {
                const char *reason = r ? answer.reason : "no answer";
                int size = r ? (int)answer.reason_size : (int)strlen(reason);
                if (asprintf(answers->ret_reason, "%s cannot be rewritten for the target: %.*s",
                            input->name, size, reason) < 0)
                        *answers->ret_reason = NULL;
                return -EBADMSG;
        }
        if (r < 0)
                return r;
        *ret_data = malloc(answer.size + 1);
        if (!*ret_data)
                return -ENOMEM;
        memcpy(*ret_data, answer.data, answer.size);
        *ret_size = answer.size;
        return 1;
}

/* Names the module at which xaas-bitcode ended before its time. */
static int blame(const struct jit_worker_parts *parts, int answers, char **ret_reason)
{
        _cleanup_view_ struct view view = {0};
        struct jit_bitcode_answer answer;
        size_t offset = 0, n = 0;
        if (jit_bitcode_map(answers, &view.data, &view.size) < 0)
                return -EBADMSG;
        while (jit_bitcode_next_answer(view.data, view.size, &offset, &answer) > 0)
                n++;
        for (int lazy = 0; lazy < 2; lazy++) {
                for (size_t i = 0; i < parts->variant->n_inputs; i++) {
                        const struct fmt_input *input = &parts->variant->inputs[i];
                        if (input->lazy != lazy || !must_be_rewritten(input) || n-- > 0)
                                continue;
                        char *why = *ret_reason;
                        if (asprintf(ret_reason, "%s cannot be rewritten for the target: %s",
                                    input->name, why ? why : "no answer") < 0)
                                *ret_reason = NULL;
                        free(why);
                        return -EBADMSG;
                }
        }
        return -EBADMSG;
}

static int take_answers(struct jit_worker_parts *parts, int fd, char **ret_reason)
{
        struct answers answers = {.ret_reason = ret_reason};
        struct jit_worker_file inputs = {.fd = -1}, lazy = {.fd = -1};
        struct jit_worker_change change = {.replace = replace_by_answer, .context = &answers};
        int r = jit_bitcode_map(fd, &answers.view.data, &answers.view.size);
        if (r == 0)
                r = jit_worker_rewrite(parts->variant, &parts->inputs, false, &change, &inputs);
        if (r == 0 && parts->lazy.fd >= 0)
                r = jit_worker_rewrite(parts->variant, &parts->lazy, true, &change, &lazy);
        unmap(&answers.view);
        if (r < 0) {
                jit_worker_file_done(&inputs);
                jit_worker_file_done(&lazy);
                return r;
        }
        jit_worker_file_done(&parts->inputs);
        jit_worker_file_done(&parts->lazy);
        parts->inputs = inputs;
        parts->lazy = lazy;
        return 0;
}

int jit_worker_retarget(const char *program, struct jit_worker_parts *parts, char **ret_reason)
{
        _cleanup_file_ struct jit_worker_file questions = {.fd = -1}, answers = {.fd = -1};
        _cleanup_free_ char *tune = NULL, *features = NULL;
        size_t n = 0;
        int r = jit_worker_file_new("questions", &questions);
        if (r == 0)
                r = ask(parts->variant, &parts->inputs, false, questions.fd, &n);
        if (r == 0)
                r = ask(parts->variant, &parts->lazy, true, questions.fd, &n);
        if (r < 0 || n == 0)
                return r;
        r = jit_worker_file_new("answers", &answers);
        if (r < 0)
                return r;
        if (asprintf(&tune, "--tune=%s", parts->job.tune) < 0 ||
                asprintf(&features, "--features=%s", parts->job.features) < 0)
                return -ENOMEM;
        char *argv[] = {(char *)JIT_BITCODE_PROGRAM, (char *)"retarget", tune, features, NULL};
        r = jit_worker_run(program, argv, questions.fd, answers.fd, ret_reason);
        if (r == -EBADMSG)
                return blame(parts, answers.fd, ret_reason);
        return r < 0 ? r : take_answers(parts, answers.fd, ret_reason);
}
