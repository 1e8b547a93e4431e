/* SPDX-License-Identifier: Apache-2.0 */
/* Which number of all that a program prints counts. */
#include "tune_metric.h"

#include "unit_check.h"

#include <errno.h>
#include <string.h>

/* -1: none is found. */
static double found(const char *pattern, const char *text)
{
        struct tune_metric metric = {0};
        char *reason;
        double value = -1;
        REQUIRE(tune_metric_parse(&metric, pattern, &reason) == 0 && reason == NULL);
        if (tune_metric_find(&metric, text, &value) < 0)
                value = -1;
        tune_metric_done(&metric);
        return value;
}

static void test_numbers(void)
{
        CHECK(found("took ([0-9.]+) s", "it took 1.5 s\n") == 1.5);
        CHECK(found("took ([0-9.e+-]+)", "took 2.5e-3\n") == 2.5e-3);
        CHECK(found("[0-9]+", "7 of 12") == 12);
        CHECK(found("^GFLOPS +(.*)$", "x\nGFLOPS 12.25\nGFLOPS  99\nend\n") == 99);
        CHECK(found("took (.*)", "took 3\ntook nothing\n") == 3);
        CHECK(found("took ([0-9]+)", "it was over at once\n") == -1);
        CHECK(found("took (-?[0-9]+)", "took -5\n") == -1);
        CHECK(found("x*", "no number, and matches everywhere") == -1);
        CHECK(found("[0-9]+", "") == -1);
}

static void test_what_is_no_pattern(void)
{
        struct tune_metric metric = {0};
        char *reason;
        CHECK(tune_metric_parse(&metric, "took (", &reason) == -EINVAL);
        CHECK(reason != NULL && strstr(reason, "--metric took (: ") != NULL);
        free(reason);
        CHECK(tune_metric_parse(&metric, "user", &reason) == 0 && metric.measure == TUNE_USER);
        CHECK(tune_metric_parse(&metric, "cpu", &reason) == 0 && metric.measure == TUNE_CPU);
        CHECK(!strcmp(tune_metric_name(&metric), "processor time"));
        CHECK(tune_metric_parse(&metric, "wall", &reason) == 0 && metric.measure == TUNE_WALL);
}

/* Costs order as what people prefer. */
static void test_costs(void)
{
        struct tune_metric metric = {.measure = TUNE_PRINTED, .higher = true};
        char text[TUNE_VALUE_TEXT];
        CHECK(tune_metric_cost(&metric, 200) < tune_metric_cost(&metric, 100));
        CHECK(tune_metric_value(&metric, tune_metric_cost(&metric, 128)) == 128);
        CHECK(!strcmp(tune_metric_text(&metric, 128, text), "128"));
        metric = (struct tune_metric){.measure = TUNE_WALL};
        CHECK(tune_metric_cost(&metric, 2) == 2);
        CHECK(!strcmp(tune_metric_text(&metric, 0.0125, text), "12.5 ms"));
}

int main(void)
{
        test_numbers();
        test_what_is_no_pattern();
        test_costs();
        return unit_report();
}
