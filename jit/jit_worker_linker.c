/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_worker_linker.h"

#include "fmt_cleanup.h"
#include "fmt_whole.h"
#include "jit_recipe.h"
#include "jit_worker_job.h"

#include <fcntl.h>
#include <string.h>

int jit_worker_linker_start(
        const char *program, const char *threads, struct jit_worker_linker *ret)
{
        char option[32];
        /* Without an emulation in front ld.lld would look for one in the response file, and a pipe
         * can be read only once. */
        char *const argv[] = {(char *)"ld.lld", (char *)"-m", (char *)JIT_LINK_EMULATION, option,
                (char *)"@/proc/self/fd/0", NULL};
        int ends[2];
        snprintf(option, sizeof option, "--threads=%s", threads);
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        int r = jit_worker_run_start(program, argv, ends[0], JIT_WORKER_OUTPUT, 1, &ret->running);
        close(ends[0]);
        if (r < 0)
                close(ends[1]);
        else
                ret->line = ends[1];
        return r;
}

int jit_worker_linker_run(struct jit_worker_linker *linker, char *const *argv, char **ret_reason)
{
        _cleanup_free_ char *text = NULL;
        *ret_reason = NULL;
        int r = jit_response_write(argv + 1, &text);
        /* One that is gone already (-EPIPE) says below why. */
        if (r == 0)
                r = fmt_write_whole(linker->line, text, strlen(text));
        jit_worker_linker_done(linker);
        int end = jit_worker_run_end(&linker->running, ret_reason);
        if (r == 0 || r == -EPIPE)
                return end;
        /* What it says of a line cut short is not why. */
        free(steal_pointer(ret_reason));
        return r;
}

void jit_worker_linker_done(struct jit_worker_linker *linker)
{
        if (linker->line >= 0)
                close(linker->line);
        linker->line = -1;
}
