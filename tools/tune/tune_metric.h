/* SPDX-License-Identifier: Apache-2.0 */
/* What counts as the cost of a run: its time, or a number that the program itself prints. */
#ifndef TUNE_METRIC_H
#define TUNE_METRIC_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

enum tune_measure {
        TUNE_WALL,
        TUNE_CPU,  /* user and system time, which the kernel knows exactly */
        TUNE_USER, /* which it may know by counting clock ticks alone */
        TUNE_PRINTED
};

struct tune_metric {
        enum tune_measure measure;
        bool higher; /* a higher number is better */
        regex_t pattern;
};

/* TEXT: "wall", "cpu", "user", or a POSIX extended regular expression whose first group, or else
 * all of it, is a number. -EINVAL and a sentence in *ret_reason, which the caller frees. */
int tune_metric_parse(struct tune_metric *metric, const char *text, char **ret_reason);
void tune_metric_done(struct tune_metric *metric);

/* The last match in TEXT, which is terminated: programs report progress first. -ENOENT. */
int tune_metric_find(const struct tune_metric *metric, const char *text, double *ret_value);

/* Costs are never negative, lower is better; values are what people know. */
double tune_metric_cost(const struct tune_metric *metric, double value);
double tune_metric_value(const struct tune_metric *metric, double cost);

#define TUNE_VALUE_TEXT 32
/* VALUE with its unit. Returns RET. */
const char *tune_metric_text(
        const struct tune_metric *metric, double value, char ret[TUNE_VALUE_TEXT]);
/* "wall time", "processor time", "user time", "printed number" */
const char *tune_metric_name(const struct tune_metric *metric);

#endif
