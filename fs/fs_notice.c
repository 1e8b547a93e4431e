/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_notice.h"

#include "fs_program_tier.h"
#include "fs_terminal.h"
#include "fs_watch.h"

#include "fmt_json.h"

#include <inttypes.h>

/* From when on one wonders. */
#define WONDER_NS UINT64_C(2000000000)

/* Terminals in one sweep; the others come in the next. */
#define MOST_NOTICES 16

/* A path of an image may be 4 KiB long, and this is to be a line. */
#define MOST_PATH 200

struct notice {
        pid_t pid;
        uid_t user;
        dev_t terminal;
        uint64_t waited; /* nanoseconds */
};

static bool is_told(const struct fs_program *program, dev_t terminal)
{
        const struct fs_waiter *waiter;
        TAILQ_FOREACH(waiter, &program->waiters, in_list)
        {
                if (waiter->is_told && waiter->terminal == terminal)
                        return true;
        }
        return false;
}

/* With the lock held: whom to tell, *N of them, once each. Ranks of a job share a terminal. */
static uint64_t choose(
        struct fs_program *program, uint64_t now, struct notice notices[MOST_NOTICES], unsigned *n)
{
        struct fs_waiter *waiter;
        uint64_t again = FS_WATCH_NEVER;
        TAILQ_FOREACH(waiter, &program->waiters, in_list)
        {
                if (waiter->is_told)
                        continue;
                if (waiter->arrived + WONDER_NS > now) {
                        again = waiter->arrived + WONDER_NS;
                        break; /* those behind came later */
                }
                if (*n == MOST_NOTICES)
                        return now;
                const struct fuse_ctx *context = fuse_req_ctx(waiter->req);
                waiter->terminal = fs_terminal_of(context->pid);
                if (waiter->terminal != 0 && !is_told(program, waiter->terminal))
                        notices[(*n)++] = (struct notice){.pid = context->pid,
                                .user = context->uid,
                                .terminal = waiter->terminal,
                                .waited = now - waiter->arrived};
                waiter->is_told = true;
        }
        return again;
}

static void write_notice(
        const struct notice *notice, const char *path, const struct jit_progress *progress)
{
        char line[512], modules[64] = "";
        if (progress->modules > 1)
                snprintf(modules, sizeof modules, ", %zu of %zu modules", progress->compiled,
                        progress->modules);
        /* Both, since the terminal may be in raw mode. */
        snprintf(line, sizeof line,
                "xaasfs: compiling /%.*s for this machine: %s%s, %" PRIu64 " s so far\r\n",
                MOST_PATH, path, jit_step_name(progress->step), modules,
                notice->waited / UINT64_C(1000000000));
        fs_terminal_write(notice->pid, notice->terminal, notice->user, line);
}

uint64_t fs_notice_waiters(struct fs_program *program, uint64_t now)
{
        struct notice notices[MOST_NOTICES];
        struct fs_program_opens opens;
        unsigned n = 0;
        /* Names drive no terminal, whatever the image says. */
        if (!program->shared->notifies || !fmt_json_string_is_clean(program->entry->path))
                return FS_WATCH_NEVER;
        pthread_mutex_lock(&program->lock);
        const uint64_t again = choose(program, now, notices, &n);
        pthread_mutex_unlock(&program->lock);
        if (n > 0)
                fs_program_opens(program, &opens);
        /* Where nothing compiles any more, the answer is on its way. */
        for (unsigned i = 0; i < n && opens.compiles; i++)
                write_notice(&notices[i], program->entry->path, &opens.progress);
        return again;
}
