/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_status.h"

#include "fs_portable.h"
#include "fs_statistics.h"
#include "fs_watch.h"

#include "fmt_cleanup.h"
#include "fmt_json.h"
#include "fmt_log.h"
#include "fmt_status.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

/* Compiles of which an answer tells. */
#define MOST_COMPILES 16

/* Adds VALUE, which it takes, under KEY; without memory the answer lacks it. */
static void put(json_t *object, const char *key, json_t *value)
{
        json_object_set_new(object, key, value);
}

static void put_number(json_t *object, const char *key, uint64_t value)
{
        put(object, key, json_integer((json_int_t)value));
}

/* Milliseconds are as exact as anybody reads them. */
static void put_seconds(json_t *object, const char *key, uint64_t nanoseconds)
{
        put(object, key, json_real((double)(nanoseconds / 1000000) / 1e3));
}

/* Names come from the image and from whoever mounted it: what could drive a terminal, or is no
 * UTF-8, is shown as question marks. */
static json_t *clean_string(const char *text)
{
        if (fmt_json_string_is_clean(text))
                return json_string(text);
        _cleanup_free_ char *copy = strdup(text);
        if (copy == NULL)
                return NULL;
        for (char *c = copy; *c != '\0'; c++)
                if (*c < ' ' || *c > '~')
                        *c = '?';
        return json_string(copy);
}

static json_t *describe_image(const struct fs *fs)
{
        struct fmt_squashfs_facts facts;
        json_t *image = json_object();
        fmt_squashfs_facts(fs->image, &facts);
        put(image, "path", clean_string(fs->path));
        put(image, "compressor", json_string(facts.compressor));
        put_number(image, "block_size", facts.block_size);
        put_number(image, "bytes", facts.image_size);
        put_number(image, "inodes", facts.inodes);
        return image;
}

/* The peak of what is in memory, bytes. Not that of getrusage(2), which a process inherits from who
 * started it. */
static uint64_t memory_peak(void)
{
        _cleanup_fclose_ FILE *file = fopen("/proc/self/status", "re");
        char line[128];
        uint64_t kib = 0;
        while (file != NULL && fgets(line, sizeof line, file) != NULL)
                if (sscanf(line, "VmHWM: %" SCNu64, &kib) == 1)
                        break;
        return kib * 1024;
}

static uint64_t nanoseconds_of(struct timeval time)
{
        return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_usec * 1000;
}

static json_t *describe_process(void)
{
        struct rusage used;
        json_t *process = json_object();
        getrusage(RUSAGE_SELF, &used);
        put_number(process, "pid", (uint64_t)getpid());
        put_seconds(process, "user_seconds", nanoseconds_of(used.ru_utime));
        put_seconds(process, "system_seconds", nanoseconds_of(used.ru_stime));
        put_number(process, "memory_peak_bytes", memory_peak());
        return process;
}

static json_t *describe_requests(const struct fs_statistics *statistics)
{
        json_t *requests = json_object();
        for (unsigned kind = 0; kind < FS_N_REQUESTS; kind++) {
                struct fs_request_sums sums;
                fs_statistics_sum(statistics, kind, &sums);
                json_t *request = json_object();
                put_number(request, "count", sums.count);
                put_number(request, "total_ns", sums.latencies.sum);
                put_number(request, "p50_ns", fs_histogram_quantile(&sums.latencies, 500));
                put_number(request, "p90_ns", fs_histogram_quantile(&sums.latencies, 900));
                put_number(request, "p99_ns", fs_histogram_quantile(&sums.latencies, 990));
                put_number(request, "max_ns", sums.latencies.largest);
                put(requests, fs_request_name(kind), request);
        }
        return requests;
}

static void describe_data(const struct fs *fs, json_t *status)
{
        struct fmt_squashfs_counts counts;
        fmt_squashfs_counts(fs->image, &counts);
        const struct fmt_block_counts *blocks = &counts.blocks;
        json_t *bytes = json_object(), *cache = json_object(), *ahead = json_object();
        put_number(bytes, "read_from_image", counts.bytes_read);
        put_number(bytes, "decompressed", blocks->bytes_made);
        put_number(bytes, "replied", fs_statistics_amount(fs->statistics, FS_BYTES_REPLIED));
        put_number(cache, "hits", blocks->hits);
        put_number(cache, "waits", blocks->waits);
        put_number(cache, "misses", blocks->misses);
        put_number(cache, "decompressed", blocks->makes);
        put_number(cache, "decompressed_again", counts.made_again);
        put_number(cache, "failed", blocks->failures);
        put_number(cache, "evicted", blocks->evictions);
        put_number(cache, "bytes_held", blocks->bytes);
        put_number(cache, "bytes_at_most", blocks->limit);
        put_number(ahead, "decompressed", blocks->ahead);
        put_number(ahead, "used", blocks->ahead_used);
        put_number(ahead, "evicted_unused", blocks->ahead_unused);
        put(status, "bytes", bytes);
        put(status, "blocks", cache);
        put(status, "read_ahead", ahead);
}

/* A program that is compiled or waits for that. */
struct compile {
        const char *path;
        uint64_t since; /* somebody waits, or else it was asked for: fs_watch_now */
        struct fs_program_opens opens;
};

/* Whether A is to be told before B: what is waited for first, and of those the longest. */
static bool goes_before(const struct compile *a, const struct compile *b)
{
        const bool a_waits = a->opens.waiting > 0, b_waits = b->opens.waiting > 0;
        return a_waits != b_waits ? a_waits : a->since < b->since;
}

/* *N of them so far, in order. The last one goes where there is no room. */
static void insert(struct compile *compiles, unsigned *n, const struct compile *compile)
{
        unsigned at = *n;
        while (at > 0 && goes_before(compile, &compiles[at - 1]))
                at--;
        if (at == MOST_COMPILES)
                return;
        *n += *n < MOST_COMPILES;
        memmove(&compiles[at + 1], &compiles[at], (*n - at - 1) * sizeof *compiles);
        compiles[at] = *compile;
}

static json_t *describe_compile(const struct compile *compile, uint64_t now)
{
        const struct jit_progress *progress = &compile->opens.progress;
        json_t *told = json_object();
        _cleanup_free_ char *path = NULL, *policy = NULL;
        if (asprintf(&path, "/%s", compile->path) < 0)
                path = NULL;
        put(told, "path", path != NULL ? clean_string(path) : NULL);
        put_number(told, "opens", compile->opens.waiting);
        put_seconds(told, "seconds", now > compile->since ? now - compile->since : 0);
        put(told, "phase", json_string(jit_step_name(progress->step)));
        if (compile->opens.compiles && jit_policy_format(&progress->policy, &policy) == 0)
                put(told, "policy", json_string(policy));
        if (progress->modules > 0) {
                put_number(told, "modules", progress->modules);
                put_number(told, "modules_compiled", progress->compiled);
                put_number(told, "modules_reusable", progress->reusable);
        }
        return told;
}

static json_t *describe_compiles(const struct compile *compiles, unsigned n)
{
        json_t *list = json_array();
        const uint64_t now = fs_watch_now();
        for (unsigned i = 0; i < n; i++)
                json_array_append_new(list, describe_compile(&compiles[i], now));
        return list;
}

/* False if PROGRAM neither is compiled nor waits for it. */
static bool find_compile(struct fs_program *program, struct compile *ret)
{
        ret->path = fs_program_entry(program)->path;
        fs_program_opens(program, &ret->opens);
        ret->since = ret->opens.waiting > 0 ? ret->opens.waits_since : ret->opens.progress.since_ns;
        /* The answer is on its way. */
        if (!ret->opens.compiles)
                ret->opens.progress.step = JIT_STEP_PUBLISHING;
        return ret->opens.compiles || ret->opens.waiting > 0;
}

static void describe_programs(const struct fs *fs, json_t *status)
{
        struct fs_program_opens sum = {0};
        struct compile compiles[MOST_COMPILES];
        unsigned n_told = 0, n_compiles = 0, n_waited_for = 0;
        const size_t n = fs->portable != NULL ? fs_portable_count(fs->portable) : 0;
        for (size_t i = 0; i < n; i++) {
                struct compile compile;
                if (find_compile(fs_portable_program(fs->portable, i), &compile)) {
                        insert(compiles, &n_told, &compile);
                        n_compiles++;
                }
                sum.native += compile.opens.native;
                sum.fast += compile.opens.fast;
                sum.baseline += compile.opens.baseline;
                sum.waiting += compile.opens.waiting;
                n_waited_for += compile.opens.waiting > 0;
        }
        json_t *files = json_object();
        /* Where nothing is compiled the kernel opens files without asking. Opens and releases that
         * come and go while they are added up may seem less than none. */
        const int64_t plain = (int64_t)fs_statistics_amount(fs->statistics, FS_PLAIN_OPENS);
        put(files, "plain",
                fs->skips_open ? json_null() : json_integer(plain > 0 ? (json_int_t)plain : 0));
        put_number(files, "native", sum.native);
        put_number(files, "fast", sum.fast);
        put_number(files, "baseline", sum.baseline);
        put_number(files, "waiting", sum.waiting);
        put(status, "open_files", files);
        put_number(status, "opens_killed", fs_statistics_amount(fs->statistics, FS_OPENS_KILLED));
        put_number(status, "programs", n);
        put_number(status, "programs_waited_for", n_waited_for);
        put_number(status, "programs_compiling", n_compiles);
        put(status, "compiles", describe_compiles(compiles, n_told));
}

/* What all compiles together may take. */
static json_t *describe_pool(const struct fs_portable *portable)
{
        const struct jit_options *options = fs_portable_pool(portable);
        json_t *pool = json_object();
        put_number(pool, "threads", options->threads);
        put_number(pool, "memory_bytes", options->memory_limit);
        if (options->cores != NULL)
                put(pool, "cores", json_string(jit_cores_text(options->cores)));
        return pool;
}

static void describe_passthrough(const struct fs *fs, json_t *status)
{
        const char *why_not = fs->portable != NULL ? fs_portable_no_passthrough(fs->portable)
                                                   : "nothing in the image is compiled";
        json_t *passthrough = json_object();
        put(passthrough, "active", json_boolean(why_not == NULL));
        if (why_not != NULL)
                put(passthrough, "reason", json_string(why_not));
        put(status, "passthrough", passthrough);
}

/* In as many bytes as fit into an answer: paths in an image can be long. NULL without memory. */
static char *dump(json_t *status, size_t most, size_t *ret_size)
{
        json_t *compiles = json_object_get(status, "compiles");
        for (;;) {
                char *text = json_dumps(status, JSON_COMPACT | JSON_REAL_PRECISION(15));
                *ret_size = text != NULL ? strlen(text) : 0;
                if (text == NULL || *ret_size <= most || json_array_size(compiles) == 0)
                        return text;
                free(text);
                json_array_remove(compiles, json_array_size(compiles) - 1);
        }
}

static char *render(const struct fs *fs, size_t most, size_t *ret_size)
{
        _cleanup_(fmt_json_decrefp) json_t *status = json_object();
        put(status, "version", json_string(XAASFS_VERSION));
        put(status, "image", describe_image(fs));
        put_seconds(status, "uptime_seconds", fs_statistics_uptime(fs->statistics));
        put(status, "process", describe_process());
        describe_passthrough(fs, status);
        if (fs->portable != NULL)
                put(status, "pool", describe_pool(fs->portable));
        describe_programs(fs, status);
        put(status, "requests", describe_requests(fs->statistics));
        describe_data(fs, status);
        return dump(status, most, ret_size);
}

void fs_ioctl(fuse_req_t req, fuse_ino_t inode, unsigned command, void *argument,
        struct fuse_file_info *fi, unsigned flags, const void *in, size_t in_size, size_t out_size)
{
        const struct fs *fs = fuse_req_userdata(req);
        (void)inode, (void)argument, (void)fi, (void)flags, (void)in, (void)in_size;
        if (command != FMT_STATUS_IOCTL) {
                fuse_reply_err(req, ENOTTY);
                return;
        }
        size_t size;
        _cleanup_free_ char *text = render(fs, out_size, &size);
        if (text == NULL)
                fuse_reply_err(req, ENOMEM);
        else if (size > out_size)
                fuse_reply_err(req, EMSGSIZE);
        else
                fuse_reply_ioctl(req, (int)size, text, size);
}
