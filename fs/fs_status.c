/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_status.h"

#include "fs_portable.h"
#include "fs_statistics.h"

#include "fmt_cleanup.h"
#include "fmt_json.h"
#include "fmt_log.h"
#include "fmt_status.h"

#include <inttypes.h>
#include <string.h>
#include <sys/resource.h>

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
        put_number(bytes, "replied", fs_statistics_bytes_replied(fs->statistics));
        put_number(cache, "hits", blocks->hits);
        put_number(cache, "waits", blocks->waits);
        put_number(cache, "misses", blocks->misses);
        put_number(cache, "decompressed", blocks->makes);
        put_number(cache, "decompressed_again", counts.made_again);
        put_number(cache, "failed", blocks->failures);
        put_number(cache, "evicted", blocks->evictions);
        put_number(cache, "bytes_held", blocks->bytes);
        put_number(ahead, "decompressed", blocks->ahead);
        put_number(ahead, "used", blocks->ahead_used);
        put_number(ahead, "evicted_unused", blocks->ahead_unused);
        put(status, "bytes", bytes);
        put(status, "blocks", cache);
        put(status, "read_ahead", ahead);
}

static char *render(const struct fs *fs, size_t *ret_size)
{
        _cleanup_(fmt_json_decrefp) json_t *status = json_object();
        put(status, "version", json_string(XAASFS_VERSION));
        put(status, "image", describe_image(fs));
        put_seconds(status, "uptime_seconds", fs_statistics_uptime(fs->statistics));
        put(status, "process", describe_process());
        put(status, "requests", describe_requests(fs->statistics));
        describe_data(fs, status);
        char *text = json_dumps(status, JSON_COMPACT | JSON_REAL_PRECISION(15));
        *ret_size = text != NULL ? strlen(text) : 0;
        return text;
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
        _cleanup_free_ char *text = render(fs, &size);
        if (text == NULL)
                fuse_reply_err(req, ENOMEM);
        else if (size > out_size)
                fuse_reply_err(req, EMSGSIZE);
        else
                fuse_reply_ioctl(req, (int)size, text, size);
}
