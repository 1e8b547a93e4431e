/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_worker.h"

#include "fmt_cleanup.h"
#include "jit_archive.h"
#include "jit_clock.h"
#include "jit_key.h"
#include "jit_worker_job.h"

#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define _cleanup_worker_ _cleanup_(free_worker)
#define _cleanup_writer_ _cleanup_(jit_archive_abandonp)
#define _cleanup_strings_ _cleanup_(fmt_strings_freep)

/* Of what a worker wrote to its stderr, this much of the end is kept. */
#define MESSAGES_MAX 16384

/* The nice value of what nobody waits for. A tenth of a core that others want, too: so that it
 * comes to an end beside a job that keeps all cores busy. */
#define BACKGROUND_NICE 10

struct jit_worker {
        const struct jit_worker_order *order;
        int fds[JIT_WORKER_N_FDS];
        struct jit_child *child; /* NULL once waited for */
        uint64_t deadline_ns;
};

static void free_worker(struct jit_worker **worker)
{
        jit_worker_free(*worker);
}

/* ---- starting ---- */

static int open_descriptors(struct jit_worker *worker)
{
        static const char *const names[JIT_WORKER_N_FDS] = {[JIT_WORKER_OUTPUT] = "output",
                [JIT_WORKER_MESSAGES] = "messages",
                [JIT_WORKER_JOB] = "job",
                [JIT_WORKER_INPUTS] = "inputs",
                [JIT_WORKER_LAZY] = "lazy",
                [JIT_WORKER_REPORT] = "report"};
        for (size_t i = 0; i < JIT_WORKER_N_FDS; i++)
                worker->fds[i] = -1;
        for (size_t i = 0; i < JIT_WORKER_N_FDS; i++) {
                if (!names[i])
                        continue;
                worker->fds[i] = memfd_create(names[i], MFD_CLOEXEC | MFD_ALLOW_SEALING);
                if (worker->fds[i] < 0)
                        return -errno;
        }
        worker->fds[JIT_WORKER_GO] = eventfd(0, EFD_CLOEXEC);
        return worker->fds[JIT_WORKER_GO] < 0 ? -errno : 0;
}

static int append_number(char ***argv, uint64_t number)
{
        char text[24];
        snprintf(text, sizeof text, "%" PRIu64, number);
        return fmt_strings_append(argv, text);
}

/* Of each thread, of which ld.lld has two for each that it is told to use and full LTO one for each
 * part, the stack counts as a whole although little of it is ever touched, and so does what malloc takes
 * at a time; and malloc reserves addresses for it, and for more if it must. */
#define THREAD_ADDRESSES (UINT64_C(192) << 20)
#define LIBRARY_ADDRESSES (UINT64_C(1) << 30)

static int append_memory(const struct jit_worker_order *order, char ***argv)
{
        const uint64_t threads = 2 * (uint64_t)order->threads +
                                 (order->policy->lto == JIT_LTO_FULL ? JIT_FULL_LTO_PARTS : 0);
        const uint64_t data =
                order->memory_limit + threads * (JIT_WORKER_STACK + JIT_WORKER_MALLOC_STEP);
        int r = append_number(argv, order->memory_limit ? data : 0);
        if (r == 0)
                r = append_number(argv,
                        order->memory_limit ? data + threads * THREAD_ADDRESSES + LIBRARY_ADDRESSES
                                            : 0);
        return r;
}

/* As many as jit_worker_job.h calls PARTS. */
static uint64_t count_parts(const struct fmt_variant *variant)
{
        uint64_t n = variant->n_stubs + JIT_WORKER_OWN_PARTS;
        for (size_t i = 0; i < variant->recipe.n_options; i++)
                n += variant->recipe.options[i].has_file;
        return n;
}

/* The box, as jit_worker_job.h lays it out. */
static int write_arguments(const struct jit_worker_order *order, char ***argv)
{
        /* A result larger than promised must still be linked to be known as too large. */
        uint64_t file_limit = 4 * order->size + (UINT64_C(256) << 20);
        uint64_t cpu_limit = (uint64_t)order->deadline_s * order->threads + 1;
        int r = fmt_strings_append(argv, "xaas-worker");
        if (r == 0)
                r = fmt_strings_append(argv, order->folder);
        /* ld.lld starts a thread for each part of full LTO, however many it is told to use. */
        if (r == 0)
                r = append_number(argv, order->policy->lto == JIT_LTO_FULL ? order->threads : 0);
        if (r == 0)
                r = append_memory(order, argv);
        if (r == 0)
                r = append_number(argv, file_limit);
        if (r == 0)
                r = append_number(argv, cpu_limit);
        if (r == 0)
                r = append_number(argv, order->in_background ? BACKGROUND_NICE : 0);
        if (r == 0)
                r = append_number(argv, count_parts(order->variant));
        if (r == 0)
                r = append_number(argv, order->threads);
        if (r == 0)
                r = fmt_strings_append(argv, order->toolchain->linker);
        if (r == 0)
                r = fmt_strings_append(argv, order->toolchain->bitcode);
        for (char **file = order->toolchain->readable; *file && r == 0; file++)
                r = fmt_strings_append(argv, *file);
        for (char *const *folder = order->seeds; folder && *folder && r == 0; folder++)
                r = fmt_strings_append(argv, *folder);
        return r;
}

int jit_worker_start(
        struct jit_spawner *spawner, const struct jit_worker_order *order, struct jit_worker **ret)
{
        _cleanup_worker_ struct jit_worker *worker = calloc(1, sizeof *worker);
        _cleanup_strings_ char **argv = NULL;
        if (!worker)
                return -ENOMEM;
        worker->order = order;
        worker->deadline_ns = jit_now_ns() + (uint64_t)order->deadline_s * 1000000000u;
        int r = open_descriptors(worker);
        if (r == 0)
                r = write_arguments(order, &argv);
        if (r == 0)
                r = jit_spawner_run(spawner, order->toolchain->worker, argv, worker->fds,
                        JIT_WORKER_N_FDS, &worker->child);
        if (r < 0)
                return r;
        *ret = steal_pointer(&worker);
        return 0;
}

/* ---- feeding ---- */

static int append_blob(struct jit_archive_writer *writer, const struct fmt_bundle *bundle,
        const struct fmt_digest *digest)
{
        _cleanup_free_ void *data = NULL;
        size_t size;
        int r = fmt_bundle_read(bundle, digest, &data, &size);
        return r < 0 ? r : jit_archive_append(writer, data, size);
}

/* All inputs that are lazy, or all that are not. */
static int feed_inputs(struct jit_worker *worker, const struct fmt_bundle *bundle, bool lazy,
        const char **ret_name)
{
        const struct fmt_variant *variant = worker->order->variant;
        _cleanup_free_ const char **names = calloc(variant->n_inputs + 1, sizeof *names);
        _cleanup_writer_ struct jit_archive_writer *writer = NULL;
        size_t n = 0;
        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < variant->n_inputs; i++)
                if (variant->inputs[i].lazy == lazy)
                        names[n++] = variant->inputs[i].name;
        if (lazy && n == 0)
                return 0;
        int fd = worker->fds[lazy ? JIT_WORKER_LAZY : JIT_WORKER_INPUTS];
        int r = jit_archive_begin(fd, names, n, &writer);
        for (size_t i = 0; i < variant->n_inputs && r == 0; i++) {
                const struct fmt_input *input = &variant->inputs[i];
                if (input->lazy != lazy)
                        continue;
                r = append_blob(writer, bundle, &input->digest);
                if (r < 0)
                        *ret_name = input->name;
        }
        return r < 0 ? r : jit_archive_end(steal_pointer(&writer));
}

/* Names of the members of descriptor 3, in the order of feed_job. */
static int name_members(const struct jit_worker_order *order, char ***names)
{
        const struct fmt_variant *variant = order->variant;
        char name[32];
        int r = fmt_strings_append(names, "job");
        if (r == 0)
                r = fmt_strings_append(names, "record");
        for (size_t i = 0; i < variant->n_stubs && r == 0; i++) {
                snprintf(name, sizeof name, "stub-%zu", i);
                r = fmt_strings_append(names, name);
        }
        for (size_t i = 0; i < variant->recipe.n_options && r == 0; i++) {
                if (!variant->recipe.options[i].has_file)
                        continue;
                snprintf(name, sizeof name, "file-%zu", i);
                r = fmt_strings_append(names, name);
        }
        if (r == 0 && order->profile)
                r = fmt_strings_append(names, "profile");
        return r;
}

static int append_description(
        struct jit_archive_writer *writer, const struct jit_worker_order *order)
{
        const struct jit_policy *policy = order->policy;
        _cleanup_free_ char *features = jit_policy_features(policy, order->target->features);
        struct jit_worker_job job = {.triple = order->target->triple,
                .tune = policy->tune[0] ? (char *)policy->tune : order->target->tune,
                .features = features,
                .policy = *policy,
                .size = order->size,
                .threads = order->threads,
                .counts_folder = (char *)order->counts_folder,
                .counts_stem = (char *)order->counts_stem};
        _cleanup_free_ char *text = NULL, *json = NULL;
        size_t json_size;
        if (!features)
                return -ENOMEM;
        int r = jit_worker_job_encode(&job, &text);
        if (r == 0)
                r = jit_archive_append(writer, text, strlen(text));
        if (r == 0)
                r = jit_key_variant_json(order->variant, &json, &json_size);
        if (r == 0)
                r = jit_archive_append(writer, json, json_size);
        return r;
}

static int feed_job(
        struct jit_worker *worker, const struct fmt_bundle *bundle, const char **ret_name)
{
        const struct fmt_variant *variant = worker->order->variant;
        _cleanup_strings_ char **names = NULL;
        _cleanup_writer_ struct jit_archive_writer *writer = NULL;
        int r = name_members(worker->order, &names);
        if (r == 0)
                r = jit_archive_begin(worker->fds[JIT_WORKER_JOB], (const char *const *)names,
                        fmt_strings_count(names), &writer);
        if (r == 0)
                r = append_description(writer, worker->order);
        for (size_t i = 0; i < variant->n_stubs && r == 0; i++) {
                r = append_blob(writer, bundle, &variant->stubs[i].digest);
                if (r < 0)
                        *ret_name = variant->stubs[i].soname;
        }
        for (size_t i = 0; i < variant->recipe.n_options && r == 0; i++) {
                const struct fmt_option *option = &variant->recipe.options[i];
                if (!option->has_file)
                        continue;
                r = append_blob(writer, bundle, &option->file);
                if (r < 0)
                        *ret_name = option->text;
        }
        if (r == 0 && worker->order->profile)
                r = jit_archive_append(writer, worker->order->profile, worker->order->profile_size);
        return r < 0 ? r : jit_archive_end(steal_pointer(&writer));
}

static int add_size(const struct fmt_bundle *bundle, const struct fmt_digest *digest,
        uint64_t *total, uint64_t most)
{
        struct fmt_blob_info info;
        int r = fmt_bundle_find(bundle, digest, &info);
        if (r < 0)
                return r;
        if (info.raw_size > most - *total)
                return -EFBIG;
        *total += info.raw_size;
        return 0;
}

/* What we hand over is our memory, not the worker's: a record may name a blob that is nothing but
 * zeroes a hundred thousand times. What the linker could not even map is not begun. */
static int check_total(const struct jit_worker_order *order, const struct fmt_bundle *bundle,
        const char **ret_name)
{
        const struct fmt_variant *variant = order->variant;
        uint64_t total = 0, most = order->memory_limit ? order->memory_limit : UINT64_MAX;
        int r = 0;
        for (size_t i = 0; i < variant->n_inputs && r == 0; i++) {
                *ret_name = variant->inputs[i].name;
                r = add_size(bundle, &variant->inputs[i].digest, &total, most);
        }
        for (size_t i = 0; i < variant->n_stubs && r == 0; i++) {
                *ret_name = variant->stubs[i].soname;
                r = add_size(bundle, &variant->stubs[i].digest, &total, most);
        }
        for (size_t i = 0; i < variant->recipe.n_options && r == 0; i++) {
                const struct fmt_option *option = &variant->recipe.options[i];
                *ret_name = option->text;
                r = option->has_file ? add_size(bundle, &option->file, &total, most) : 0;
        }
        return r;
}

/* Stubs are as much to decompress and to verify as modules are: two threads share it. */
struct feeding {
        struct jit_worker *worker;
        const struct fmt_bundle *bundle;
        const char *name;
        int error;
};

static void *feed_job_in_thread(void *context)
{
        struct feeding *feeding = context;
        feeding->error = feed_job(feeding->worker, feeding->bundle, &feeding->name);
        return NULL;
}

int jit_worker_feed(
        struct jit_worker *worker, const struct fmt_bundle *bundle, const char **ret_name)
{
        struct feeding job = {.worker = worker, .bundle = bundle};
        pthread_t thread;
        int r = check_total(worker->order, bundle, ret_name);
        if (r < 0)
                return r;
        *ret_name = NULL;
        bool apart = pthread_create(&thread, NULL, feed_job_in_thread, &job) == 0;
        if (!apart)
                feed_job_in_thread(&job);
        r = feed_inputs(worker, bundle, true, ret_name);
        if (r == 0)
                r = feed_inputs(worker, bundle, false, ret_name);
        if (apart)
                pthread_join(thread, NULL);
        if (r == 0 && job.error < 0) {
                r = job.error;
                *ret_name = job.name;
        }
        if (r < 0)
                return r;
        return eventfd_write(worker->fds[JIT_WORKER_GO], 1) < 0 ? -errno : 0;
}

/* ---- waiting ---- */

/* 0 when the child has ended, -ETIMEDOUT, -ECANCELED. */
static int await_end(struct jit_worker *worker, int stop_fd)
{
        struct pollfd polled[] = {{.fd = jit_child_fd(worker->child), .events = POLLIN},
                {.fd = stop_fd, .events = POLLIN}};
        for (;;) {
                uint64_t now = jit_now_ns();
                if (now >= worker->deadline_ns)
                        return -ETIMEDOUT;
                uint64_t left_ms = (worker->deadline_ns - now) / 1000000u + 1;
                int n = poll(polled, 2, left_ms < INT_MAX ? (int)left_ms : INT_MAX);
                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0 && polled[0].revents)
                        return 0;
                if (n > 0 && polled[1].revents)
                        return -ECANCELED;
        }
}

static int fail(struct jit_worker_report *report, int error, const char *reason)
{
        jit_worker_report_done(report);
        report->error = error;
        report->reason = strdup(reason);
        return error;
}

/* The last line of what the worker had to say, or NULL; points into MESSAGES. */
static const char *last_line(char *messages)
{
        if (!messages)
                return NULL;
        size_t size = strlen(messages);
        while (size > 0 && strchr(" \n", messages[size - 1]))
                messages[--size] = '\0';
        const char *line = strrchr(messages, '\n');
        line = line ? line + 1 : messages;
        return *line ? line : NULL;
}

/* Says in words how a worker without a proper report ended. */
static int explain_death(
        const struct jit_worker *worker, int status, struct jit_worker_report *report)
{
        char text[512];
        _cleanup_free_ char *messages = jit_worker_messages(worker);
        const char *line = last_line(messages);
        report->died = true;
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
                return fail(report, -ENOMEM, "the worker was killed, by lack of memory or by hand");
        if (WIFSIGNALED(status))
                snprintf(text, sizeof text, "the worker died of signal %d (%s)%s%s",
                        WTERMSIG(status), strsignal(WTERMSIG(status)), line ? ": " : "",
                        line ? line : "");
        else
                snprintf(text, sizeof text,
                        "the worker ended with status %d and without a report%s%s",
                        WEXITSTATUS(status), line ? ": " : "", line ? line : "");
        return fail(report, -EIO, text);
}

int jit_worker_wait(struct jit_worker *worker, int stop_fd, struct jit_worker_report *ret)
{
        int status = 0;
        *ret = (struct jit_worker_report){0};
        int ended = await_end(worker, stop_fd);
        if (ended < 0)
                jit_child_kill(worker->child);
        int r = jit_child_wait(steal_pointer(&worker->child), -1, &status);
        if (ended == -ETIMEDOUT)
                return fail(ret, ended, "the compile did not end before its deadline");
        if (ended < 0)
                return fail(ret, ended, "the compile was called off");
        if (r == 0)
                r = jit_worker_report_read(worker->fds[JIT_WORKER_REPORT], ret);
        if (r < 0)
                return fail(ret, r, strerror(-r));
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return explain_death(worker, status, ret);
        if (ret->error == 0 && ret->elf_size > worker->order->size)
                return fail(ret, -EIO, "the worker reported a size that cannot be");
        if (ret->error < 0 && !ret->reason)
                return fail(ret, ret->error, "the worker gave no reason");
        return ret->error;
}

int jit_worker_output(const struct jit_worker *worker)
{
        return worker->fds[JIT_WORKER_OUTPUT];
}

int jit_worker_told(const struct jit_worker *worker)
{
        return worker->fds[JIT_WORKER_REPORT];
}

char *jit_worker_messages(const struct jit_worker *worker)
{
        struct stat st;
        int fd = worker->fds[JIT_WORKER_MESSAGES];
        if (fstat(fd, &st) < 0)
                return NULL;
        off_t start = st.st_size > MESSAGES_MAX ? st.st_size - MESSAGES_MAX : 0;
        char *text = calloc(1, MESSAGES_MAX + 1);
        if (text && pread(fd, text, MESSAGES_MAX, start) < 0)
                *text = '\0';
        return text;
}

void jit_worker_free(struct jit_worker *worker)
{
        if (!worker)
                return;
        if (worker->child) {
                int status;
                jit_child_kill(worker->child);
                jit_child_wait(worker->child, -1, &status);
        }
        for (size_t i = 0; i < JIT_WORKER_N_FDS; i++)
                if (worker->fds[i] >= 0)
                        close(worker->fds[i]);
        free(worker);
}
