/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_session_internal.h"

#include "cache_modules.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_size.h"
#include "jit_clock.h"
#include "jit_memory.h"
#include "jit_scratch.h"
#include "jit_worker.h"
#include "jit_worker_job.h"

#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

/* While another process compiles the same program we look this often whether it is done: a
 * blocking lock could not be called off. Milliseconds. */
#define LOCK_POLL_MIN 1
#define LOCK_POLL_MAX 20

struct jit_compile {
        struct jit_session *session;
        const struct jit_program *program;
        struct jit_compile_terms terms;
        struct cache_lock *lock;
        struct jit_scratch *scratch;
        struct jit_worker *worker;
        struct jit_worker_order order; /* of the worker: lives as long */
        uint64_t memory;               /* bytes, taken of session->memory */
        void *profile;
        size_t profile_size;
        bool lacks_profile;             /* it was there when the program was loaded */
        char stem[FMT_DIGEST_HEX_SIZE]; /* of files with counts */
        struct jit_worker_report report;
        char **seed_folders;
        struct fmt_digest *modules; /* of the variant */
        size_t n_modules;
        int seeds;  /* results offered to the worker */
        int staged; /* what will be published: a file of the cache, or a memfd, or -1 */
        uint64_t began_ns, fed_ns;
        char *reason;
        struct jit_result result;
};

/* ---- the node-wide lock ---- */

static bool is_called_off(const struct jit_session *session, int wait_ms)
{
        struct pollfd stop = {.fd = session->stop_fd, .events = POLLIN};
        return poll(&stop, 1, wait_ms) > 0;
}

static int take_lock(struct jit_compile *compile)
{
        struct jit_session *session = compile->session;
        for (int wait_ms = LOCK_POLL_MIN;;) {
                int r = cache_lock_take(
                        session->cache, &compile->program->keys[0], false, &compile->lock);
                if (r != -EWOULDBLOCK)
                        return r;
                jit_board_set_step(compile->terms.board, JIT_STEP_ELSEWHERE);
                if (is_called_off(session, wait_ms))
                        return -ECANCELED;
                wait_ms = wait_ms < LOCK_POLL_MAX ? 2 * wait_ms : LOCK_POLL_MAX;
        }
}

/* ---- the worker ---- */

static int list_modules(struct jit_compile *compile)
{
        const struct fmt_variant *variant = compile->program->variant;
        compile->modules = calloc(variant->n_inputs + 1, sizeof *compile->modules);
        if (!compile->modules)
                return -ENOMEM;
        for (size_t i = 0; i < variant->n_inputs; i++)
                if (variant->inputs[i].kind == FMT_INPUT_MODULE)
                        compile->modules[compile->n_modules++] = variant->inputs[i].digest;
        return 0;
}

/* The worker may read the scopes that it may be seeded from, and no other image's. */
static int list_seed_folders(struct jit_compile *compile)
{
        struct jit_session *session = compile->session;
        _cleanup_free_ char *folder = NULL;
        int r = cache_modules_folder(session->cache, &folder);
        for (size_t i = 0; i < session->n_scopes && r == 0; i++) {
                char hex[FMT_DIGEST_HEX_SIZE], path[PATH_MAX];
                fmt_digest_to_hex(&session->scopes[i], hex);
                snprintf(path, sizeof path, "%s/%s", folder, hex);
                if (access(path, F_OK) == 0)
                        r = fmt_strings_append(&compile->seed_folders, path);
        }
        return r;
}

/* Without its profile it is compiled all the same, and only not kept under the name of what has it.
 */
static int load_profile(struct jit_compile *compile)
{
        const struct jit_program *program = compile->program;
        if (!program->has_profile)
                return 0;
        int r = program->is_shipped
                        ? fmt_bundle_read(compile->session->bundle, &program->profile.data,
                                  &compile->profile, &compile->profile_size)
                        : jit_profile_data(compile->session->cache, &program->profile.data,
                                  &compile->profile, &compile->profile_size);
        if (r < 0 && r != -ENOMEM) {
                fmt_warning("the profile of %s cannot be read: %s; it is compiled without; import "
                            "the profile again",
                        program->path, strerror(-r));
                compile->lacks_profile = true;
                return 0;
        }
        return r;
}

static void order_profile(struct jit_compile *compile)
{
        compile->order.profile = compile->profile;
        compile->order.profile_size = compile->profile_size;
        if (!compile->program->counts)
                return;
        fmt_digest_to_hex(&compile->program->profile_name, compile->stem);
        compile->order.counts_folder = compile->session->options.counting->folder;
        compile->order.counts_stem = compile->stem;
}

static int start_worker(struct jit_compile *compile)
{
        struct jit_session *session = compile->session;
        compile->order = (struct jit_worker_order){.variant = compile->program->variant,
                .target = compile->program->target,
                .toolchain = session->toolchain,
                .folder = jit_scratch_path(compile->scratch),
                .seeds = compile->seed_folders,
                .size = compile->program->size,
                .memory_limit = compile->memory,
                .deadline_s = session->options.deadline_s,
                .policy = &compile->program->policy,
                .threads = compile->terms.threads,
                .in_background = compile->terms.in_background};
        order_profile(compile);
        compile->began_ns = jit_now_ns();
        jit_board_set_step(compile->terms.board, JIT_STEP_STARTING);
        return jit_worker_start(session->spawner, &compile->order, &compile->worker);
}

/* Offers results of modules that this image, or one that it trusts, has compiled before. */
static int seed(struct jit_compile *compile)
{
        struct jit_session *session = compile->session;
        char folder[PATH_MAX];
        snprintf(folder, sizeof folder, "%s/" JIT_WORKER_RESULTS,
                jit_scratch_path(compile->scratch));
        if (mkdir(folder, 0700) < 0)
                return -errno;
        if (!compile->seed_folders)
                return 0;
        int n = cache_modules_seed(session->cache, session->scopes, session->n_scopes,
                compile->modules, compile->n_modules, folder);
        compile->seeds = n > 0 ? n : 0;
        return n < 0 ? n : 0;
}

/* Full LTO makes one module of all: how many there were says nothing of how far it is. */
static void tell_modules(const struct jit_compile *compile)
{
        const bool is_one = compile->program->policy.lto == JIT_LTO_FULL;
        jit_board_set_modules(
                compile->terms.board, is_one ? 0 : compile->n_modules, (size_t)compile->seeds);
}

static int feed(struct jit_compile *compile)
{
        const char *name = NULL;
        jit_board_set_step(compile->terms.board, JIT_STEP_READING);
        int r = jit_worker_feed(compile->worker, compile->session->bundle, &name);
        compile->fed_ns = jit_now_ns();
        if (r < 0 && name &&
                asprintf(&compile->reason, "%s cannot be read from the image (%s)", name,
                        r == -EFBIG
                                ? "all that it is made of takes more memory than compiles may use"
                                : strerror(-r)) < 0)
                compile->reason = NULL;
        return r;
}

static int run_worker(struct jit_compile *compile)
{
        uint64_t needed = 4 * compile->program->size + (UINT64_C(64) << 20);
        int r = jit_scratch_begin(compile->session->cache, needed, &compile->scratch);
        if (r == 0)
                r = list_modules(compile);
        if (r == 0)
                r = list_seed_folders(compile);
        if (r == 0)
                r = load_profile(compile);
        if (r == 0)
                r = start_worker(compile);
        if (r == -ECHILD)
                compile->reason = strdup("the process that starts compilers was killed; nothing "
                                         "more is compiled until the image is mounted again");
        if (r == 0)
                r = seed(compile);
        tell_modules(compile);
        if (r == 0)
                r = feed(compile);
        if (r < 0)
                return r;
        jit_board_follow(compile->terms.board, jit_worker_told(compile->worker),
                jit_scratch_path(compile->scratch));
        r = jit_worker_wait(compile->worker, compile->session->stop_fd, &compile->report);
        if (r < 0)
                compile->reason = steal_pointer(&compile->report.reason);
        if (r < 0 && fmt_log_wants(FMT_LOG_DEBUG)) {
                _cleanup_free_ char *messages = jit_worker_messages(compile->worker);
                fmt_debug("worker for %s: %s", compile->program->path, messages ? messages : "");
        }
        return r;
}

/* ---- its part of the memory ---- */

/* With as many threads as leave it within what there is. */
static uint64_t choose_memory(struct jit_compile *compile)
{
        const struct jit_program *program = compile->program;
        const uint64_t total = compile->session->memory.size;
        for (unsigned *threads = &compile->terms.threads;; *threads /= 2) {
                const uint64_t needed = jit_memory_estimate(
                        program->variant, &program->policy, program->size, *threads);
                if (needed <= total || *threads <= 1)
                        return needed <= total ? needed : total;
        }
}

static int take_memory(struct jit_compile *compile, uint64_t bytes)
{
        struct fmt_budget *memory = &compile->session->memory;
        compile->memory = fmt_budget_try(memory, bytes);
        if (compile->memory == 0) {
                jit_board_set_step(compile->terms.board, JIT_STEP_MEMORY);
                compile->memory = fmt_budget_take(memory, bytes);
        }
        return compile->memory > 0 ? 0 : -ECANCELED;
}

/* Ends the worker, and gives back what it had. */
static void end_worker(struct jit_compile *compile)
{
        jit_worker_free(steal_pointer(&compile->worker));
        if (compile->memory > 0)
                fmt_budget_return(&compile->session->memory, compile->memory);
        compile->memory = 0;
}

static void forget_attempt(struct jit_compile *compile)
{
        jit_board_set_step(compile->terms.board, JIT_STEP_MEMORY);
        end_worker(compile);
        jit_scratch_end(steal_pointer(&compile->scratch));
        jit_worker_report_done(&compile->report);
        fmt_strings_free(steal_pointer(&compile->seed_folders));
        free(steal_pointer(&compile->modules));
        free(steal_pointer(&compile->profile));
        free(steal_pointer(&compile->reason));
        compile->n_modules = 0;
        compile->seeds = 0;
}

static void explain_memory(struct jit_compile *compile)
{
        char size[FMT_SIZE_TEXT];
        char *reason = compile->reason;
        fmt_size_text(compile->session->memory.size, size);
        if (asprintf(&compile->reason,
                    "%s, although it was compiled alone and all compiles may use %s (jit_mem)",
                    reason ? reason : "it ran out of memory", size) < 0)
                compile->reason = NULL;
        free(reason);
}

/* What needs more than it was thought to is compiled once more with all there is, alone; and what
 * even then needs more, or was alone before, on one core, where it needs least. */
static int run_in_memory(struct jit_compile *compile)
{
        const uint64_t total = compile->session->memory.size;
        uint64_t bytes = choose_memory(compile);
        for (;;) {
                int r = take_memory(compile, bytes);
                if (r == 0)
                        r = run_worker(compile);
                if (r != -ENOMEM || compile->report.died)
                        return r;
                if (bytes == total && compile->terms.threads == 1) {
                        explain_memory(compile);
                        return r;
                }
                if (bytes == total)
                        compile->terms.threads = 1;
                bytes = total;
                forget_attempt(compile);
        }
}

/* ---- its result ---- */

static int copy_file(int from, int to, uint64_t size)
{
        off_t offset = 0;
        while ((uint64_t)offset < size) {
                ssize_t n = sendfile(to, from, &offset, size - (uint64_t)offset);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n == 0)
                        return -EIO;
        }
        return 0;
}

/* Copies the ELF into FD and pads it: nobody but us can have the copy open. */
static int fill(const struct jit_compile *compile, int fd)
{
        int r = copy_file(jit_worker_output(compile->worker), fd, compile->report.elf_size);
        if (r == 0 && ftruncate(fd, (off_t)compile->program->size) < 0)
                r = -errno;
        return r;
}

/* A program that the cache cannot take is served out of memory: its users lose nothing. */
static int stage(struct jit_compile *compile)
{
        struct jit_session *session = compile->session;
        int r = cache_stage(session->cache, compile->program->size, &compile->staged);
        if (r == 0)
                r = fill(compile, compile->staged);
        if (r == 0)
                return 0;
        if (compile->staged >= 0)
                close(steal_fd(&compile->staged));
        if (!atomic_exchange(&session->told_not_kept, true))
                fmt_warning("cannot keep compiled programs in %s: %s; they are served from "
                            "memory and compiled again by the next mount; make room, or choose "
                            "another cache folder",
                        cache_directory(session->cache), strerror(-r));
        compile->staged = memfd_create(compile->program->path, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        return compile->staged < 0 ? -errno : fill(compile, compile->staged);
}

static uint64_t since(uint64_t later, uint64_t earlier)
{
        return later > earlier ? later - earlier : 0;
}

static void measure(struct jit_compile *compile, uint64_t copying_ns)
{
        const struct jit_worker_report *report = &compile->report;
        struct jit_phases *phases = &compile->result.phases;
        uint64_t ready = report->start_ns > compile->fed_ns ? report->start_ns : compile->fed_ns;
        phases->start = since(report->start_ns, compile->began_ns);
        phases->read = since(compile->fed_ns, compile->began_ns);
        phases->retarget = since(report->retarget_ns, ready);
        phases->link = since(report->link_ns, report->retarget_ns);
        phases->check = since(report->check_ns, report->link_ns);
        phases->publish = since(jit_now_ns(), copying_ns);
}

static uint64_t count_reused(const struct jit_compile *compile)
{
        /* Full LTO has no results of single modules. */
        if (compile->seeds == 0 || compile->report.compiled > compile->n_modules ||
                compile->program->policy.lto == JIT_LTO_FULL)
                return 0;
        return compile->n_modules - compile->report.compiled;
}

/* One line where the profile did not fit as it is. */
static void tell_profile(const struct jit_compile *compile)
{
        const struct jit_worker_profiled *profile = &compile->report.profile;
        const char *path = compile->program->path;
        if (profile->unreadable > 0)
                fmt_warning("the profile of %s is none that this LLVM can read; it was compiled "
                            "without; make it again with `xaas profile`",
                        path);
        else if (profile->changed > 0 || (compile->profile && profile->profiled == 0))
                fmt_warning("the profile of %s is of another version of it: of %" PRIu64
                            " functions %" PRIu64 " have counts, %" PRIu64
                            " are others than those that were counted; make it again with `xaas "
                            "profile`",
                        path, profile->functions, profile->profiled, profile->changed);
}

static void tell_success(const struct jit_compile *compile)
{
        struct cache *cache = compile->session->cache;
        const struct jit_worker_report *report = &compile->report;
        const struct jit_phases *phases = &compile->result.phases;
        uint64_t reused = count_reused(compile);
        cache_count(cache, CACHE_COMPILES, 1);
        cache_count(cache, CACHE_MODULE_HITS, reused);
        cache_count(cache, CACHE_MODULE_MISSES, compile->n_modules - reused);
        if (report->opt < compile->program->policy.opt)
                fmt_warning("%s could be compiled at -O%u only; build it with -Og or report the "
                            "module that -v names",
                        compile->program->path, report->opt);
        tell_profile(compile);
        fmt_info("compiled %s for %s: %zu modules (%" PRIu64 " reused), %" PRIu64
                 " bytes in %.3f s (ms: wait %.1f, start %.1f, read %.1f, retarget %.1f, "
                 "link %.1f, check %.1f, publish %.1f)",
                compile->program->path, compile->program->target->label, compile->n_modules, reused,
                report->elf_size, (double)since(jit_now_ns(), compile->began_ns) / 1e9,
                (double)phases->wait / 1e6, (double)phases->start / 1e6, (double)phases->read / 1e6,
                (double)phases->retarget / 1e6, (double)phases->link / 1e6,
                (double)phases->check / 1e6, (double)phases->publish / 1e6);
}

static const char *what_comes_instead(const struct jit_compile *compile)
{
        if (compile->program->fast)
                return "it is compiled in full before it starts";
        if (compile->terms.in_background)
                return "what was compiled fast stays in use, see `xaas inspect`";
        if (compile->program->baseline)
                return "its generic version is used instead, see `xaas inspect`";
        return "try another -o target=, or pack the image with baselines";
}

static void tell_failure(struct jit_compile *compile, int error)
{
        const struct jit_program *program = compile->program;
        if (!compile->reason)
                compile->reason = strdup(strerror(-error));
        compile->result.error = error;
        compile->result.reason = compile->reason ? compile->reason : "out of memory";
        if (error == -ECANCELED)
                return;
        cache_count(compile->session->cache, CACHE_COMPILES_FAILED, 1);
        fmt_error("cannot compile %s for %s: %s; %s", program->path, program->target->label,
                compile->result.reason, what_comes_instead(compile));
}

static int compile_now(struct jit_compile *compile)
{
        int r = run_in_memory(compile);
        if (r < 0)
                return r;
        uint64_t copying = jit_now_ns();
        jit_board_set_step(compile->terms.board, JIT_STEP_PUBLISHING);
        r = stage(compile);
        if (r == 0)
                r = cache_reopen_readonly(compile->staged, &compile->result.fd);
        if (r < 0)
                return r;
        measure(compile, copying);
        return 0;
}

int jit_compile_run(struct jit_session *session, const struct jit_program *program,
        const struct jit_compile_terms *terms, struct jit_compile **ret)
{
        struct jit_compile *compile = calloc(1, sizeof *compile);
        if (!compile)
                return -ENOMEM;
        *compile = (struct jit_compile){.session = session,
                .program = program,
                .terms = *terms,
                .staged = -1,
                .result.fd = -1};
        int r = take_lock(compile);
        compile->result.phases.wait = since(jit_now_ns(), terms->queued_ns);
        if (r == 0) {
                r = jit_program_peek(session, program, &compile->result.fd);
                compile->result.from_cache = r == 0;
        }
        if (r == -ENOENT) {
                r = compile_now(compile);
                if (r == 0)
                        tell_success(compile);
        }
        if (r < 0)
                tell_failure(compile, r);
        *ret = compile;
        return 0;
}

const struct jit_result *jit_compile_result(const struct jit_compile *compile)
{
        return &compile->result;
}

/* ---- after the answer ---- */

/* What only the program itself went into may be used by every image that holds it; what module
 * results of a scope went into, only by who accepts that scope. */
static const struct fmt_digest *key_to_publish(const struct jit_compile *compile)
{
        const struct jit_program *program = compile->program;
        size_t index = compile->seeds > 0 ? 1 : 0;
        if (compile->report.opt != compile->program->policy.opt)
                index += program->n_keys / 2;
        return &program->keys[index];
}

/* "812 of 820 functions, 3 changed"; NULL: it was compiled without a profile. */
static char *summarise_profile(const struct jit_compile *compile)
{
        const struct jit_worker_profiled *profile = &compile->report.profile;
        char *text;
        int n;
        if (!compile->profile)
                return NULL;
        if (profile->unreadable > 0)
                n = asprintf(&text, "not readable");
        else
                n = asprintf(&text, "%" PRIu64 " of %" PRIu64 " functions, %" PRIu64 " changed",
                        profile->profiled, profile->functions, profile->changed);
        return n < 0 ? NULL : text;
}

static void publish(struct jit_compile *compile)
{
        struct jit_session *session = compile->session;
        _cleanup_free_ char *profile = summarise_profile(compile);
        struct cache_meta meta = {.program = compile->program->path,
                .target = compile->program->target_text,
                .policy = compile->program->policy_text,
                .profile = profile,
                .elf_size = compile->report.elf_size,
                .size = compile->program->size,
                .compile_ns = since(compile->report.check_ns, compile->began_ns)};
        int r = cache_publish(session->cache, key_to_publish(compile), compile->staged, &meta);
        if (r < 0 && r != -EROFS && !atomic_exchange(&session->told_not_kept, true))
                fmt_warning("cannot keep %s in %s: %s; it will be compiled again by the next "
                            "mount; make room, or choose another cache folder",
                        compile->program->path, cache_directory(session->cache), strerror(-r));
}

static void keep_modules(struct jit_compile *compile)
{
        struct jit_session *session = compile->session;
        char folder[PATH_MAX];
        unsigned fresh;
        if (compile->report.opt != compile->program->policy.opt || compile->n_modules == 0)
                return;
        snprintf(folder, sizeof folder, "%s/" JIT_WORKER_RESULTS,
                jit_scratch_path(compile->scratch));
        int r = cache_modules_import(session->cache, &session->scopes[0],
                &compile->program->keys[0], compile->modules, compile->n_modules, folder, &fresh);
        if (r < 0)
                fmt_debug("results of the modules of %s are not kept: %s", compile->program->path,
                        strerror(-r));
}

void jit_compile_end(struct jit_compile *compile)
{
        end_worker(compile);
        if (compile->result.error == 0 && !compile->result.from_cache) {
                if (!compile->lacks_profile)
                        publish(compile);
                cache_lock_release(steal_pointer(&compile->lock));
                keep_modules(compile);
        }
        jit_scratch_end(compile->scratch);
        if (compile->lock)
                cache_lock_release(compile->lock);
        if (compile->result.fd >= 0)
                close(compile->result.fd);
        if (compile->staged >= 0)
                close(compile->staged);
        jit_worker_report_done(&compile->report);
        fmt_strings_free(compile->seed_folders);
        free(compile->modules);
        free(compile->profile);
        free(compile->reason);
        free(compile);
}
