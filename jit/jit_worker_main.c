/* SPDX-License-Identifier: Apache-2.0 */
/* xaas-worker: compiles and links one program in a box; jit_worker.h tells how it is spoken to.
 *
 * It holds no LLVM: ld.lld and xaas-bitcode are programs that it runs in the same box. What it
 * checks at the end is the file that the session will copy, byte for byte. */
#include "fmt_cleanup.h"
#include "fmt_confine.h"
#include "fmt_sanitizer.h"
#include "jit_check.h"
#include "jit_check_code.h"
#include "jit_clock.h"
#include "jit_link_map.h"
#include "jit_worker_blame.h"
#include "jit_worker_link.h"
#include "jit_worker_parts.h"
#include "jit_worker_report.h"
#include "jit_worker_retarget.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

/* ---- the box ---- */

#if FMT_SANITIZER
/* The search for leaks starts a process that reads /proc, which a confined process may not do. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
        return "detect_leaks=0";
}
#endif

/* Keeps to N of the cores that we may use; workers that do so at the same time begin at different
 * ones. Where that cannot be had, the system shares out its cores as it likes. */
static void keep_to_cores(unsigned long n)
{
        cpu_set_t allowed, ours;
        CPU_ZERO(&ours);
        if (n == 0 || sched_getaffinity(0, sizeof allowed, &allowed) < 0 ||
                n >= (unsigned long)CPU_COUNT(&allowed))
                return;
        for (size_t i = (size_t)getpid(); n > 0; i++) {
                const size_t unit = i % CPU_SETSIZE;
                if (!CPU_ISSET(unit, &allowed))
                        continue;
                CPU_SET(unit, &ours);
                n--;
        }
        (void)sched_setaffinity(0, sizeof ours, &ours);
}

static int limit_stacks(void)
{
        struct rlimit stack;
        if (getrlimit(RLIMIT_STACK, &stack) < 0)
                return -1;
        if (stack.rlim_max > JIT_WORKER_STACK)
                stack.rlim_max = JIT_WORKER_STACK;
        stack.rlim_cur = stack.rlim_max;
        return setrlimit(RLIMIT_STACK, &stack);
}

static int confine(char **argv)
{
        struct fmt_confinement box = {
                .readable = (const char *const *)argv + JIT_WORKER_ARG_LINKER,
                .writable = argv[JIT_WORKER_ARG_FOLDER],
                .may_exec = true,
                .data_limit = strtoull(argv[JIT_WORKER_ARG_MEMORY], NULL, 10),
                .memory_limit = strtoull(argv[JIT_WORKER_ARG_ADDRESSES], NULL, 10),
                .file_limit = strtoull(argv[JIT_WORKER_ARG_FILE], NULL, 10),
                .cpu_seconds = strtoull(argv[JIT_WORKER_ARG_CPU], NULL, 10),
        };
        if (limit_stacks() < 0)
                return -errno;
        /* What we start needs neither the job nor the report. */
        static const int ours[] = {JIT_WORKER_JOB, JIT_WORKER_REPORT, JIT_WORKER_GO};
        for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
                if (fcntl(ours[i], F_SETFD, FD_CLOEXEC) < 0)
                        return -errno;
        /* Too large a file is a failed write, not a death; so is a linker that is gone. */
        signal(SIGXFSZ, SIG_IGN);
        signal(SIGPIPE, SIG_IGN);
        return fmt_confine(&box);
}

/* ---- the check ---- */

/* No instruction that the target lacks, other than where a function asked for it. */
static int check_code(
        const struct jit_worker_parts *parts, const char *folder, struct jit_worker_report *report)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_(jit_link_map_done) struct jit_link_map map = {0};
        struct jit_code_finding finding;
        char path[PATH_MAX];
        size_t size = 0;
        snprintf(path, sizeof path, "%s/map", folder);
        int r = jit_worker_read(path, &text, &size);
        if (r == 0)
                r = jit_link_map_parse(text, size, parts->variant, &map);
        if (r == 0)
                r = jit_check_code(
                        JIT_WORKER_OUTPUT, parts->job.features, map.ranges, map.n, &finding);
        if (r >= 0)
                report->swept = finding.swept;
        if (r == -EBADMSG)
                report->reason = strdup("the result's code cannot be found in it");
        if (r <= 0)
                return r;
        if (asprintf(&report->reason,
                    "the code made of %s holds %s at %#jx, which needs %s; the target does not "
                    "have it",
                    finding.origin ? finding.origin : "the linker", finding.mnemonic,
                    (uintmax_t)finding.address, finding.feature) < 0)
                report->reason = NULL;
        return -EBADMSG;
}

static int check(
        const struct jit_worker_parts *parts, const char *folder, struct jit_worker_report *report)
{
        int r = jit_check_file(JIT_WORKER_OUTPUT, parts->variant, parts->job.size,
                &report->elf_size, &report->reason);
        return r < 0 ? r : check_code(parts, folder, report);
}

/* ---- the work ---- */

static int link_and_check(const struct jit_worker_tools *tools,
        const struct jit_worker_parts *parts, bool small, struct jit_worker_report *report,
        bool *ret_linked)
{
        struct jit_worker_linked linked;
        free(steal_pointer(&report->reason));
        report->link_ns = 0;
        jit_worker_report_tell(report, JIT_WORKER_REPORT);
        int r = jit_worker_link(tools, parts, small, &linked, &report->reason);
        report->link_ns = jit_now_ns();
        report->compiled = linked.compiled;
        report->opt = linked.opt;
        *ret_linked = r == 0;
        jit_worker_report_tell(report, JIT_WORKER_REPORT);
        if (r == 0)
                r = check(parts, tools->folder, report);
        report->check_ns = jit_now_ns();
        return r;
}

/* Whether REASON tells where the fault lies: in symbols (">>> referenced by"), or in a module. */
static bool names_culprit(const struct fmt_variant *variant, const char *reason)
{
        if (strstr(reason, ">>>"))
                return true;
        for (size_t i = 0; i < variant->n_inputs; i++)
                if (strstr(reason, variant->inputs[i].name))
                        return true;
        return false;
}

/* Puts the module that is to blame in front of the reason, if one is. */
static void name_culprit(
        const char *linker, const struct jit_worker_parts *parts, struct jit_worker_report *report)
{
        char *why = report->reason;
        if (why && names_culprit(parts->variant, why))
                return;
        const char *culprit = jit_worker_blame(linker, parts);
        if (!culprit)
                return;
        if (asprintf(&report->reason, "module %s: %s", culprit, why ? why : "cannot be compiled") <
                0)
                report->reason = NULL;
        free(why);
}

/* A profile may come from anywhere: what cannot be rewritten with it is rewritten without. */
static int retarget(
        const char *bitcode, struct jit_worker_parts *parts, struct jit_worker_report *report)
{
        int r = jit_worker_retarget(bitcode, parts, &report->profile, &report->reason);
        if (r < 0 && parts->profile.fd >= 0) {
                free(steal_pointer(&report->reason));
                jit_worker_file_done(&parts->profile);
                r = jit_worker_retarget(bitcode, parts, &report->profile, &report->reason);
                report->profile.unreadable = report->modules;
        }
        report->retarget_ns = jit_now_ns();
        return r;
}

static int work(char **argv, struct jit_worker_report *report)
{
        _cleanup_(jit_worker_linker_done) struct jit_worker_linker waiting = JIT_WORKER_NO_LINKER;
        _cleanup_(jit_worker_parts_done) struct jit_worker_parts parts = JIT_WORKER_NO_PARTS;
        struct jit_worker_tools tools = {.linker = argv[JIT_WORKER_ARG_LINKER],
                .threads = argv[JIT_WORKER_ARG_THREADS],
                .waiting = &waiting,
                .folder = argv[JIT_WORKER_ARG_FOLDER]};
        keep_to_cores(strtoul(argv[JIT_WORKER_ARG_CORES], NULL, 10));
        /* Before it starts its linker, which inherits that. */
        (void)!nice(atoi(argv[JIT_WORKER_ARG_NICE]));
        int r = confine(argv);
        if (r < 0) {
                if (asprintf(&report->reason,
                            "this kernel cannot confine the compiler (%s); Landlock is needed",
                            strerror(-r)) < 0)
                        report->reason = NULL;
                return r;
        }
        report->start_ns = jit_now_ns();
        jit_worker_report_tell(report, JIT_WORKER_REPORT);
        r = jit_worker_parts_begin(strtoul(argv[JIT_WORKER_ARG_PARTS], NULL, 10), &parts);
        if (r == 0)
                r = jit_worker_linker_start(tools.linker, tools.threads, &waiting);
        if (r == 0)
                r = jit_worker_parts_load(&parts);
        if (r < 0)
                return r;
        for (size_t i = 0; i < parts.variant->n_inputs; i++)
                report->modules += parts.variant->inputs[i].kind == FMT_INPUT_MODULE;
        r = retarget(argv[JIT_WORKER_ARG_BITCODE], &parts, report);
        if (r < 0)
                return r;
        bool linked = false;
        r = link_and_check(&tools, &parts, false, report, &linked);
        if (r == -EFBIG)
                r = link_and_check(&tools, &parts, true, report, &linked);
        if (r == -EBADMSG && !linked)
                name_culprit(tools.linker, &parts, report);
        return r;
}

int main(int argc, char **argv)
{
        struct jit_worker_report report = {0};
        if (argc <= JIT_WORKER_ARG_READABLE || fcntl(JIT_WORKER_GO, F_GETFD) < 0) {
                fprintf(stderr, "xaas-worker: is started by xaasfs and by `xaas prewarm`; "
                                "mount an image to see it work\n");
                return 64;
        }
        report.error = work(argv, &report);
        if (report.error < 0 && !report.reason)
                report.reason = strdup(strerror(-report.error));
        return jit_worker_report_write(&report, JIT_WORKER_REPORT) < 0;
}
