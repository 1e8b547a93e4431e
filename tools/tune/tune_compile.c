/* SPDX-License-Identifier: Apache-2.0 */
#include "tune.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_strings.h"
#include "jit_choice.h"
#include "prewarm/prewarm.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static int list_paths(const struct tune_request *request, char ***ret)
{
        int r = fmt_strings_append(ret, request->program);
        for (char **path = request->with; r == 0 && path && *path; path++)
                r = fmt_strings_append(ret, *path);
        return r;
}

/* A session that knows the policy, with the programs marked that it shall compile. */
static int begin(struct tune *tune, const struct jit_policy *policy, struct prewarm *ret)
{
        const struct jit_options how = {
                .variant = tune->request->variant, .wish = {.has_policy = true, .policy = *policy}};
        _cleanup_(fmt_strings_freep) char **paths = NULL;
        int r = list_paths(tune->request, &paths);

        if (r == 0)
                r = prewarm_begin(&tune->ground, &how, ret);
        return r < 0 ? r : prewarm_select(ret, (const char *const *)paths);
}

/* ---- which programs ---- */

static int add_program(struct tune *tune, const struct prewarm_program *program)
{
        struct tune_program *added = &tune->programs[tune->n_programs];

        added->path = strdup(program->entry->path);
        if (!added->path)
                return -ENOMEM;
        jit_program_choice_name(program->loaded, &added->choice_name);
        tune->n_programs++;
        return 0;
}

/* The one that was named first, then what it needs. */
static int add_programs(struct tune *tune, struct prewarm *prewarm)
{
        struct prewarm_program *named = prewarm_find(prewarm, tune->request->program);
        int r = 0;

        if (!named) {
                fmt_error("cannot tune %s: it is no portable object of %s; `xaas inspect %s` lists "
                          "those that are",
                        tune->request->program, tune->request->image, tune->request->image);
                return -ENOENT;
        }
        tune->programs = calloc(prewarm->n_wanted, sizeof(*tune->programs));
        if (!tune->programs)
                return -ENOMEM;
        for (size_t i = 0; r == 0 && i < prewarm->n_programs; i++)
                if (prewarm->programs[i].state == PREWARM_WAITING)
                        r = prewarm_load(prewarm, &prewarm->programs[i]);
        if (r < 0)
                return r; /* which has been said */
        if (jit_program_unsupported(named->loaded)) {
                fmt_error("cannot tune %s: it %s; only its generic build can run here",
                        tune->request->program, jit_program_unsupported(named->loaded));
                return -ENOTSUP;
        }
        r = add_program(tune, named);
        for (size_t i = 0; r == 0 && i < prewarm->n_programs; i++) {
                struct prewarm_program *program = &prewarm->programs[i];
                if (program->state == PREWARM_WAITING && program != named)
                        r = add_program(tune, program);
        }
        return r;
}

int tune_find_programs(struct tune *tune)
{
        const struct jit_policy usual = JIT_POLICY_DEFAULT;
        _cleanup_(prewarm_done) struct prewarm prewarm = {0};
        int r = begin(tune, &usual, &prewarm);
        return r < 0 ? r : add_programs(tune, &prewarm);
}

/* ---- compiling ---- */

static int add_code(struct fmt_digest_state *state, int fd)
{
        struct stat st;
        void *code;
        int r;

        if (fstat(fd, &st) < 0)
                return -errno;
        code = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (code == MAP_FAILED)
                return -errno;
        r = fmt_digest_update(state, code, (size_t)st.st_size);
        munmap(code, (size_t)st.st_size);
        return r;
}

static int add_result(const struct prewarm *prewarm, const struct prewarm_program *program,
        struct fmt_digest_state *state, char **ret_reason)
{
        _cleanup_close_ int fd = -1;
        int r;

        /* What this target cannot run is served as it is, by every policy. */
        if (program->state == PREWARM_UNWANTED || program->state == PREWARM_UNSUPPORTED)
                return 0;
        if (program->state == PREWARM_FAILED) {
                if (asprintf(ret_reason, "%s cannot be compiled: %s", program->entry->path,
                            program->reason) < 0)
                        *ret_reason = NULL;
                return -EPROTO;
        }
        r = jit_session_peek(prewarm->session, program->loaded, &fd);
        return r < 0 ? r : add_code(state, fd);
}

static int add_results(
        const struct prewarm *prewarm, struct tune_candidate *candidate, char **ret_reason)
{
        struct fmt_digest_state *state;
        int r = fmt_digest_begin(&state);

        if (r < 0)
                return r;
        for (size_t i = 0; r == 0 && i < prewarm->n_programs; i++)
                r = add_result(prewarm, &prewarm->programs[i], state, ret_reason);
        if (r == 0)
                return fmt_digest_finish(state, &candidate->code);
        fmt_digest_abandon(state);
        return r;
}

int tune_compile(struct tune *tune, struct tune_candidate *candidate, char **ret_reason)
{
        _cleanup_(prewarm_done) struct prewarm prewarm = {0};
        int r = begin(tune, &candidate->policy, &prewarm);

        *ret_reason = NULL;
        if (r == 0)
                r = prewarm_run(&prewarm, tune->ground.stop_fd);
        return r < 0 ? r : add_results(&prewarm, candidate, ret_reason);
}
