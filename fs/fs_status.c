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

/* Programs that are waited for, of which an answer tells. */
#define MOST_WAITS 16

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

/* A program that is waited for. */
struct wait {
        const char *path;
        struct fs_program_opens opens;
};

/* The longest waits first; *N of them so far. The shortest goes where there is no room. */
static void insert(struct wait *waits, unsigned *n, const struct wait *wait)
{
        unsigned at = *n;
        while (at > 0 && waits[at - 1].opens.waits_since > wait->opens.waits_since)
                at--;
        if (at == MOST_WAITS)
                return;
        *n += *n < MOST_WAITS;
        memmove(&waits[at + 1], &waits[at], (*n - at - 1) * sizeof *waits);
        waits[at] = *wait;
}

static json_t *describe_waits(const struct wait *waits, unsigned n)
{
        json_t *list = json_array();
        const uint64_t now = fs_watch_now();
        for (unsigned i = 0; i < n; i++) {
                json_t *wait = json_object();
                _cleanup_free_ char *path = NULL;
                if (asprintf(&path, "/%s", waits[i].path) < 0)
                        path = NULL;
                put(wait, "path", path != NULL ? clean_string(path) : NULL);
                put_number(wait, "opens", waits[i].opens.waiting);
                put_seconds(wait, "seconds", now - waits[i].opens.waits_since);
                put(wait, "phase", json_string(waits[i].opens.queued ? "queued" : "compiling"));
                json_array_append_new(list, wait);
        }
        return list;
}

static void describe_programs(const struct fs *fs, json_t *status)
{
        struct fs_program_opens sum = {0};
        struct wait waits[MOST_WAITS];
        unsigned n_waits = 0, n_waited_for = 0;
        const size_t n = fs->portable != NULL ? fs_portable_count(fs->portable) : 0;
        for (size_t i = 0; i < n; i++) {
                struct fs_program *program = fs_portable_program(fs->portable, i);
                struct wait wait = {.path = fs_program_entry(program)->path};
                fs_program_opens(program, &wait.opens);
                sum.native += wait.opens.native;
                sum.baseline += wait.opens.baseline;
                sum.waiting += wait.opens.waiting;
                n_waited_for += wait.opens.waiting > 0;
                if (wait.opens.waiting > 0)
                        insert(waits, &n_waits, &wait);
        }
        json_t *files = json_object();
        /* Where nothing is compiled the kernel opens files without asking. Opens and releases that
         * come and go while they are added up may seem less than none. */
        const int64_t plain = (int64_t)fs_statistics_amount(fs->statistics, FS_PLAIN_OPENS);
        put(files, "plain",
                fs->skips_open ? json_null() : json_integer(plain > 0 ? (json_int_t)plain : 0));
        put_number(files, "native", sum.native);
        put_number(files, "baseline", sum.baseline);
        put_number(files, "waiting", sum.waiting);
        put(status, "open_files", files);
        put_number(status, "opens_killed", fs_statistics_amount(fs->statistics, FS_OPENS_KILLED));
        put_number(status, "programs", n);
        put_number(status, "programs_waited_for", n_waited_for);
        put(status, "waits", describe_waits(waits, n_waits));
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
        json_t *waits = json_object_get(status, "waits");
        for (;;) {
                char *text = json_dumps(status, JSON_COMPACT | JSON_REAL_PRECISION(15));
                *ret_size = text != NULL ? strlen(text) : 0;
                if (text == NULL || *ret_size <= most || json_array_size(waits) == 0)
                        return text;
                free(text);
                json_array_remove(waits, json_array_size(waits) - 1);
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
