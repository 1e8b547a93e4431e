/* SPDX-License-Identifier: Apache-2.0 */
/* Who wins a race of `xaas tune`, and after how many runs: costs come from a list here, so that
 * what is certain for people's clocks by chance alone is certain. */
#include "tune_race.h"

#include "unit_check.h"

#include <errno.h>
#include <math.h>

#define MOST 9

struct script {
        double costs[4][MOST]; /* by lane and run; -1: it fails there */
        size_t runs[4];
        size_t all_runs, time_for; /* runs; 0: any number */
};

static int run(void *context, size_t lane, double *ret_cost)
{
        struct script *script = context;
        if (script->time_for > 0 && script->all_runs == script->time_for)
                return -ETIME;
        script->all_runs++;
        *ret_cost = script->costs[lane][script->runs[lane]++];
        return *ret_cost < 0 ? -EIO : 0;
}

static struct tune_race begin(struct script *script, size_t n_lanes)
{
        struct tune_race race = {
                .most_rounds = MOST, .margin = 0.01, .run = run, .context = script};
        REQUIRE(tune_race_begin(&race, n_lanes) == 0);
        REQUIRE(tune_race_run(&race) == 0);
        return race;
}

#define SAME(x)                                                                                    \
        {                                                                                          \
                x, x, x, x, x, x, x, x, x                                                          \
        }

static void test_one_is_clearly_ahead(void)
{
        struct script script = {.costs = {SAME(100), SAME(80), SAME(120)}};
        struct tune_race race = begin(&script, 3);
        CHECK(tune_race_winner(&race) == 1 && script.all_runs == 9);
        CHECK(fabs(tune_lane_gain(&race.lanes[0], &race.lanes[1]) - 0.25) < 1e-9);
        tune_race_done(&race);
}

static void test_nothing_is_worth_a_choice(void)
{
        struct script script = {.costs = {SAME(100), SAME(99.5), SAME(100.3)}};
        struct tune_race race = begin(&script, 3);
        CHECK(tune_race_winner(&race) == 0);
        CHECK(script.all_runs == 12);
        tune_race_done(&race);
}

static void test_all_others_are_behind(void)
{
        struct script script = {.costs = {SAME(100), SAME(150), SAME(102)}};
        struct tune_race race = begin(&script, 3);
        CHECK(tune_race_winner(&race) == 0 && script.all_runs == 9);
        CHECK(race.lanes[1].is_out && !race.lanes[1].failed);
        tune_race_done(&race);
}

/* Of two that are equally good the first is taken, and they need not run for ever. */
static void test_two_are_alike(void)
{
        struct script script = {.costs = {SAME(100), SAME(80.2), SAME(80)}};
        struct tune_race race = begin(&script, 3);
        CHECK(tune_race_winner(&race) == 1 && script.all_runs == 12);
        tune_race_done(&race);
}

/* The last one is the fastest by luck alone: the first of those that are within the noise is taken,
 * but none that is within the default's. */
static void test_simple_ones_come_first(void)
{
        struct script script = {
                .costs = {{100, 103, 100, 104, 101, 100, 102, 101, 100},
                        {97, 99, 98, 99, 97, 98, 97, 99, 98}, {82, 84, 81, 83, 82, 85, 82, 83, 82},
                        {82, 84, 82, 83, 79.9, 82, 83, 81, 83}}};
        struct tune_race race = begin(&script, 4);
        CHECK(tune_race_winner(&race) == 2);
        CHECK(race.lanes[1].is_out && !race.lanes[3].is_out);
        tune_race_done(&race);
}

/* Ahead, but by less than what its own runs differ. */
static void test_noise_is_no_win(void)
{
        struct script script = {.costs = {{100, 130, 125, 140, 120, 118, 122, 131, 119},
                                        {96, 131, 127, 111, 140, 125, 118, 120, 119}}};
        struct tune_race race = begin(&script, 2);
        CHECK(tune_race_winner(&race) == 0);
        CHECK(script.all_runs == 18);
        tune_race_done(&race);
}

/* The same with a busy machine in the first rounds: the minima show what there is. */
static void test_minima_outlast_noise(void)
{
        struct script script = {.costs = {{300, 100, 210, 101, 100, 100, 100, 100, 100},
                                        {190, 240, 80, 81, 80, 80, 80, 80, 80}}};
        struct tune_race race = begin(&script, 2);
        CHECK(tune_race_winner(&race) == 1 && script.all_runs < 18);
        tune_race_done(&race);
}

static void test_one_that_fails_cannot_win(void)
{
        struct script script = {.costs = {SAME(100), {50, -1}, SAME(90)}};
        struct tune_race race = begin(&script, 3);
        CHECK(race.lanes[1].failed && tune_race_winner(&race) == 2);
        tune_race_done(&race);
}

/* Whoever ran once has shown nothing yet. */
static void test_time_runs_out(void)
{
        struct script script = {.costs = {SAME(100), SAME(50)}, .time_for = 3};
        struct tune_race race = begin(&script, 2);
        CHECK(script.all_runs == 3);
        CHECK(tune_race_winner(&race) == 0);
        tune_race_done(&race);
}

/* A count may well be 0. */
static void test_costs_of_nothing(void)
{
        struct script script = {.costs = {SAME(100), SAME(0)}};
        struct tune_race race = begin(&script, 2);
        CHECK(tune_race_winner(&race) == 1);
        tune_race_done(&race);
}

int main(void)
{
        test_one_is_clearly_ahead();
        test_nothing_is_worth_a_choice();
        test_all_others_are_behind();
        test_two_are_alike();
        test_simple_ones_come_first();
        test_noise_is_no_win();
        test_minima_outlast_noise();
        test_one_that_fails_cannot_win();
        test_time_runs_out();
        test_costs_of_nothing();
        return unit_report();
}
