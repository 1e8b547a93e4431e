/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_worker_report.h"

#include "fmt_cleanup.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

/* More than any report has; what a worker writes beyond is not read. */
#define REPORT_MAX 8192

static const struct {
        const char *key;
        size_t offset;
} numbers[] = {
        {"elf", offsetof(struct jit_worker_report, elf_size)},
        {"modules", offsetof(struct jit_worker_report, modules)},
        {"compiled", offsetof(struct jit_worker_report, compiled)},
        {"start", offsetof(struct jit_worker_report, start_ns)},
        {"retarget", offsetof(struct jit_worker_report, retarget_ns)},
        {"link", offsetof(struct jit_worker_report, link_ns)},
        {"check", offsetof(struct jit_worker_report, check_ns)},
        {"swept", offsetof(struct jit_worker_report, swept)},
        {"functions", offsetof(struct jit_worker_report, profile.functions)},
        {"profiled", offsetof(struct jit_worker_report, profile.profiled)},
        {"changed", offsetof(struct jit_worker_report, profile.changed)},
        {"unreadable", offsetof(struct jit_worker_report, profile.unreadable)},
};
#define N_NUMBERS (sizeof numbers / sizeof numbers[0])

static uint64_t *number_of(const struct jit_worker_report *report, size_t i)
{
        return (uint64_t *)((char *)report + numbers[i].offset);
}

static size_t write_numbers(const struct jit_worker_report *report, char text[REPORT_MAX])
{
        size_t used = 0;
        for (size_t i = 0; i < N_NUMBERS; i++)
                used += (size_t)snprintf(text + used, REPORT_MAX - used, "%s %" PRIu64 "\n",
                        numbers[i].key, *number_of(report, i));
        return used + (size_t)snprintf(text + used, REPORT_MAX - used, "opt %u\n", report->opt);
}

static int replace_text(int fd, const char *text, size_t size)
{
        if (pwrite(fd, text, size, 0) != (ssize_t)size)
                return -EIO;
        return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

void jit_worker_report_tell(const struct jit_worker_report *report, int fd)
{
        char text[REPORT_MAX];
        (void)replace_text(fd, text, write_numbers(report, text));
}

int jit_worker_report_write(const struct jit_worker_report *report, int fd)
{
        char text[REPORT_MAX];
        size_t used = write_numbers(report, text);
        if (report->reason)
                used += (size_t)snprintf(
                        text + used, sizeof text - used, "reason %.4096s\n", report->reason);
        /* Last, so that a report that was cut off has none. */
        used += (size_t)snprintf(text + used, sizeof text - used, "error %d\n", -report->error);
        return replace_text(fd, text, used);
}

static int take_line(struct jit_worker_report *report, char *key, const char *value)
{
        uint64_t number = strtoull(value, NULL, 10);
        for (size_t i = 0; i < N_NUMBERS; i++)
                if (strcmp(key, numbers[i].key) == 0)
                        *number_of(report, i) = number;
        if (strcmp(key, "opt") == 0)
                report->opt = (unsigned)number;
        if (strcmp(key, "error") == 0)
                report->error = number < 4096 ? -(int)number : -EIO;
        if (strcmp(key, "reason") == 0 && !report->reason) {
                report->reason = strdup(value);
                return report->reason ? 0 : -ENOMEM;
        }
        return 0;
}

int jit_worker_report_read(int fd, struct jit_worker_report *ret)
{
        char text[REPORT_MAX + 1];
        *ret = (struct jit_worker_report){.error = -EIO};
        ssize_t size = pread(fd, text, REPORT_MAX, 0);
        if (size < 0)
                return -errno;
        text[size] = '\0';
        for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
                *end = '\0';
                char *value = strchr(line, ' ');
                if (!value)
                        continue;
                *value++ = '\0';
                int r = take_line(ret, line, value);
                if (r < 0)
                        return r;
        }
        return 0;
}

void jit_worker_report_done(struct jit_worker_report *report)
{
        free(report->reason);
        report->reason = NULL;
}
