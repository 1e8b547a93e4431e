/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_progress.h"

#include "fmt_cleanup.h"
#include "jit_worker_job.h"
#include "jit_worker_report.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

const char *jit_step_name(enum jit_step step)
{
        static const char *const names[] = {[JIT_STEP_QUEUED] = "queued",
                [JIT_STEP_ELSEWHERE] = "waiting for another process",
                [JIT_STEP_MEMORY] = "waiting for memory",
                [JIT_STEP_STARTING] = "starting",
                [JIT_STEP_READING] = "reading",
                [JIT_STEP_RETARGETING] = "retargeting",
                [JIT_STEP_LINKING] = "linking",
                [JIT_STEP_CHECKING] = "checking",
                [JIT_STEP_PUBLISHING] = "publishing"};
        return names[step];
}

/* ---- saying ---- */

void jit_board_init(struct jit_board *board, const struct jit_policy *policy, uint64_t since_ns)
{
        *board =
                (struct jit_board){.last = {.policy = *policy, .since_ns = since_ns}, .report = -1};
        pthread_mutex_init(&board->lock, NULL);
}

static void stop_following(struct jit_board *board)
{
        if (board->report >= 0)
                close(board->report);
        board->report = -1;
}

void jit_board_done(struct jit_board *board)
{
        stop_following(board);
        pthread_mutex_destroy(&board->lock);
}

void jit_board_set_step(struct jit_board *board, enum jit_step step)
{
        pthread_mutex_lock(&board->lock);
        stop_following(board);
        board->last.step = step;
        pthread_mutex_unlock(&board->lock);
}

void jit_board_set_modules(struct jit_board *board, size_t modules, size_t reusable)
{
        pthread_mutex_lock(&board->lock);
        board->last.modules = modules;
        board->last.reusable = reusable < modules ? reusable : modules;
        pthread_mutex_unlock(&board->lock);
}

void jit_board_follow(struct jit_board *board, int report, const char *folder)
{
        pthread_mutex_lock(&board->lock);
        stop_following(board);
        /* Without a descriptor to spare it stays at the step before. */
        board->report = fcntl(report, F_DUPFD_CLOEXEC, 3);
        snprintf(board->folder, sizeof board->folder, "%s", folder);
        pthread_mutex_unlock(&board->lock);
}

/* ---- reading ---- */

size_t jit_progress_count(const char *results)
{
        DIR *folder = opendir(results);
        size_t n = 0;
        for (struct dirent *entry; folder && (entry = readdir(folder));)
                n += entry->d_type == DT_REG && strncmp(entry->d_name, "llvmcache-", 10) == 0;
        if (folder)
                closedir(folder);
        return n;
}

/* Of the attempt that runs. */
static size_t count_compiled(const char *folder)
{
        char path[PATH_MAX + sizeof "/" JIT_WORKER_SIMPLE_RESULTS];
        snprintf(path, sizeof path, "%s/" JIT_WORKER_SIMPLE_RESULTS, folder);
        if (access(path, F_OK) < 0)
                snprintf(path, sizeof path, "%s/" JIT_WORKER_RESULTS, folder);
        return jit_progress_count(path);
}

/* The worker is not believed: all that its times decide is a word. */
static enum jit_step step_of(int fd, enum jit_step before)
{
        struct jit_worker_report report;
        if (jit_worker_report_read(fd, &report) < 0)
                return before;
        jit_worker_report_done(&report);
        return !report.start_ns      ? JIT_STEP_STARTING
               : !report.retarget_ns ? JIT_STEP_RETARGETING
               : !report.link_ns     ? JIT_STEP_LINKING
                                     : JIT_STEP_CHECKING;
}

void jit_board_read(struct jit_board *board, struct jit_progress *ret)
{
        pthread_mutex_lock(&board->lock);
        if (board->report >= 0) {
                const size_t n = count_compiled(board->folder);
                board->last.step = step_of(board->report, board->last.step);
                board->last.compiled = n < board->last.modules ? n : board->last.modules;
        }
        *ret = board->last;
        pthread_mutex_unlock(&board->lock);
}
