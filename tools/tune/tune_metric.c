/* SPDX-License-Identifier: Apache-2.0 */
#include "tune_metric.h"

#include "fmt_cleanup.h"

#include <math.h>
#include <string.h>

static const struct {
        const char *option, *name;
} times[] = {[TUNE_WALL] = {"wall", "wall time"},
        [TUNE_CPU] = {"cpu", "processor time"},
        [TUNE_USER] = {"user", "user time"}};

int tune_metric_parse(struct tune_metric *metric, const char *text, char **ret_reason)
{
        char why[128];
        int r;

        *ret_reason = NULL;
        for (enum tune_measure time = TUNE_WALL; time <= TUNE_USER; time++)
                if (!strcmp(text, times[time].option)) {
                        metric->measure = time;
                        return 0;
                }
        r = regcomp(&metric->pattern, text, REG_EXTENDED | REG_NEWLINE);
        if (r == 0) {
                metric->measure = TUNE_PRINTED;
                return 0;
        }
        regerror(r, &metric->pattern, why, sizeof(why));
        if (asprintf(ret_reason, "--metric %s: %s", text, why) < 0)
                *ret_reason = NULL;
        return -EINVAL;
}

void tune_metric_done(struct tune_metric *metric)
{
        if (metric->measure == TUNE_PRINTED)
                regfree(&metric->pattern);
        metric->measure = TUNE_WALL;
}

int tune_metric_find(const struct tune_metric *metric, const char *text, double *ret_value)
{
        int r = -ENOENT;
        regmatch_t match[2];

        for (int flags = 0; regexec(&metric->pattern, text, 2, match, flags) == 0;
                flags = REG_NOTBOL) {
                const regmatch_t *group = match[1].rm_so >= 0 ? &match[1] : &match[0];
                const char *number = text + group->rm_so;
                char *end;
                double value = strtod(number, &end);
                if (end > number && isfinite(value) && value >= 0) {
                        *ret_value = value;
                        r = 0;
                }
                text += match[0].rm_eo;
                /* An empty match would be found for ever. */
                if (match[0].rm_eo == match[0].rm_so && *text++ == '\0')
                        break;
        }
        return r;
}

double tune_metric_cost(const struct tune_metric *metric, double value)
{
        return metric->higher ? 1 / value : value;
}

double tune_metric_value(const struct tune_metric *metric, double cost)
{
        return metric->higher ? 1 / cost : cost;
}

const char *tune_metric_text(
        const struct tune_metric *metric, double value, char ret[TUNE_VALUE_TEXT])
{
        if (metric->measure == TUNE_PRINTED)
                snprintf(ret, TUNE_VALUE_TEXT, "%.6g", value);
        else if (value < 1)
                snprintf(ret, TUNE_VALUE_TEXT, "%.4g ms", value * 1e3);
        else
                snprintf(ret, TUNE_VALUE_TEXT, "%.4g s", value);
        return ret;
}

const char *tune_metric_name(const struct tune_metric *metric)
{
        return metric->measure == TUNE_PRINTED ? "printed number" : times[metric->measure].name;
}
