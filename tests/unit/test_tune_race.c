/* SPDX-License-Identifier: Apache-2.0 */
/* Who wins a race of `xaas tune`, and after how many runs. Costs come from a list here, so that
 * what is certain for people's clocks by chance alone is certain; or they are as noisy as those of
 * people's clocks, by seeds that never change. */
#include "tune_race.h"

#include "unit_check.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>

#define MOST 15

struct script {
        double costs[4][MOST]; /* by lane and run; -1: it fails there */
        size_t runs[4];
        size_t all_runs, time_for; /* runs; 0: any number */
};

static bool is_over(void *context)
{
        const struct script *script = context;
        return script->time_for > 0 && script->all_runs >= script->time_for;
}

static int run(void *context, size_t lane, double *ret_cost)
{
        struct script *script = context;
        script->all_runs++;
        *ret_cost = script->costs[lane][script->runs[lane]++];
        return *ret_cost < 0 ? -EIO : 0;
}

static void hold(struct tune_race *race, size_t n_lanes)
{
        REQUIRE(tune_race_begin(race, n_lanes) == 0);
        REQUIRE(tune_race_run(race) == 0);
}

static struct tune_race begin(struct script *script, size_t n_lanes)
{
        struct tune_race race = {.most_rounds = MOST,
                .turn = 1,
                .margin = 0.01,
                .doubt = 0.1,
                .is_over = is_over,
                .run = run,
                .context = script};
        hold(&race, n_lanes);
        return race;
}

#define SAME(x)                                                                                    \
        {                                                                                          \
                x, x, x, x, x, x, x, x, x, x, x, x, x, x, x                                        \
        }

static void test_one_is_clearly_ahead(void)
{
        struct script script = {.costs = {SAME(100), SAME(80), SAME(120)}};
        struct tune_race race = begin(&script, 3);
        CHECK(tune_race_leader(&race) == 1 && tune_race_is_proven(&race, 1));
        CHECK(script.runs[0] == 5 && script.runs[1] == 5 && script.runs[2] == 3);
        const struct tune_score score = tune_lane_score(&race.lanes[0], &race.lanes[1]);
        CHECK(fabs(score.gain - 0.25) < 1e-9 && score.rounds == 5 && score.wins == 5);
        tune_race_done(&race);
}

static void test_nothing_is_worth_a_choice(void)
{
        struct script script = {.costs = {SAME(100), SAME(99.5), SAME(100)}};
        struct tune_race race = begin(&script, 3);
        CHECK(tune_race_leader(&race) == 0 && !tune_race_is_proven(&race, 1));
        CHECK(script.runs[0] == 5 && script.runs[1] == 5 && script.runs[2] == 3);
        tune_race_done(&race);
}

static void test_all_others_are_behind(void)
{
        struct script script = {.costs = {SAME(100), SAME(150), SAME(102)}};
        struct tune_race race = begin(&script, 3);
        CHECK(tune_race_leader(&race) == 0 && script.all_runs == 9);
        CHECK(race.lanes[1].is_out && !race.lanes[1].failed);
        tune_race_done(&race);
}

/* Of two that are equally good the first is taken, and they need not run for ever. */
static void test_two_are_alike(void)
{
        struct script script = {.costs = {SAME(100), SAME(80.2), SAME(80)}};
        struct tune_race race = begin(&script, 3);
        CHECK(tune_race_leader(&race) == 1 && script.all_runs == 15);
        tune_race_done(&race);
}

/* The last one is the fastest by one lucky run alone: the first of those that win as often is
 * taken, but none that the best of them beats. */
static void test_simple_ones_come_first(void)
{
        struct script script = {
                .costs = {SAME(100), {97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97, 97},
                        {82, 84, 81, 83, 82, 85, 82, 83, 82, 81, 82, 84, 82, 83, 81},
                        {82, 84, 82, 83, 79.9, 82, 83, 81, 83, 82, 81, 83, 82, 84, 82}}};
        struct tune_race race = begin(&script, 4);
        CHECK(tune_race_leader(&race) == 2);
        /* It is better than lane 0, which is known before it is dropped. */
        CHECK(race.lanes[1].is_out && race.lanes[1].n_costs == 5);
        tune_race_done(&race);
}

/* Ahead by its least cost, but not more often than behind. */
static void test_one_lucky_run_is_no_win(void)
{
        struct script script = {.costs = {SAME(120), {96, 131, 118, 127, 111, 140, 125, 118, 120,
                                                             119, 121, 118, 122, 117, 123}}};
        struct tune_race race = begin(&script, 2);
        CHECK(tune_race_leader(&race) == 0 && !tune_race_is_proven(&race, 1));
        CHECK(race.lanes[1].is_out);
        tune_race_done(&race);
}

/* A busy machine spoils one run in three: the others show what there is. */
static void test_disturbed_runs_are_outvoted(void)
{
        struct script script = {
                .costs = {
                        {300, 100, 100, 100, 101, 210, 100, 100, 100, 100, 100, 100, 100, 100, 100},
                        {97, 240, 97, 97, 97, 97, 190, 97, 97, 97, 97, 97, 97, 97, 97}}};
        struct tune_race race = begin(&script, 2);
        CHECK(tune_race_leader(&race) == 1 && tune_race_is_proven(&race, 1));
        CHECK(script.all_runs < 2 * MOST);
        tune_race_done(&race);
}

/* Two runs of three are slower than the default's, and no turn is. */
static void test_the_least_of_a_turn_counts(void)
{
        struct script script = {.costs = {SAME(100), {130, 70, 120, 110, 80, 90, 70, 200, 130, 85,
                                                             120, 110, 90, 90, 90}}};
        struct tune_race race = {.most_rounds = 5,
                .turn = 3,
                .margin = 0.01,
                .doubt = 0.1,
                .run = run,
                .context = &script};
        hold(&race, 2);
        CHECK(script.all_runs == 30 && race.lanes[1].n_costs == 5);
        CHECK(race.lanes[1].costs[0] == 70 && race.lanes[1].costs[1] == 80 &&
                race.lanes[1].costs[3] == 85);
        CHECK(tune_race_is_proven(&race, 1));
        tune_race_done(&race);
}

static void test_one_that_fails_cannot_win(void)
{
        struct script script = {.costs = {SAME(100), {50, -1}, SAME(90)}};
        struct tune_race race = begin(&script, 3);
        CHECK(race.lanes[1].failed && tune_race_leader(&race) == 2);
        tune_race_done(&race);
}

static void test_without_a_default_there_is_no_race(void)
{
        struct script script = {.costs = {{100, -1}, SAME(50)}};
        struct tune_race race = begin(&script, 2);
        CHECK(race.lanes[0].failed && script.all_runs == 4);
        tune_race_done(&race);
}

/* It may lead, for what that is worth, but nothing is proven. */
static void test_time_runs_out(void)
{
        struct script script = {.costs = {SAME(100), SAME(50)}, .time_for = 3};
        struct tune_race race = begin(&script, 2);
        CHECK(script.all_runs == 3);
        CHECK(tune_race_leader(&race) == 1 && !tune_race_is_proven(&race, 1));
        tune_race_done(&race);
}

/* The last race of `xaas tune` when there is none left: it can still be won. */
static void test_some_rounds_need_no_time(void)
{
        struct script script = {.costs = {SAME(100), SAME(50)}, .time_for = 1};
        struct tune_race race = {.least_rounds = 7,
                .most_rounds = MOST,
                .turn = 1,
                .margin = 0.01,
                .doubt = 0.05,
                .is_over = is_over,
                .run = run,
                .context = &script};
        hold(&race, 2);
        CHECK(script.runs[0] == 7 && script.runs[1] == 7 && tune_race_is_proven(&race, 1));
        tune_race_done(&race);
}

/* A count may well be 0. */
static void test_costs_of_nothing(void)
{
        struct script script = {.costs = {SAME(100), SAME(0)}};
        struct tune_race race = begin(&script, 2);
        CHECK(tune_race_leader(&race) == 1 && tune_race_is_proven(&race, 1));
        tune_race_done(&race);
}

/* ---- noise ---- */

#define SEEDS 400

struct weather {
        uint64_t state;
        double gains[12]; /* by lane; of lane 0: 0 */
};

/* splitmix64 (Steele, Lea and Flood, OOPSLA 2014); from 0 up to 1. */
static double chance(struct weather *weather)
{
        uint64_t z = weather->state += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

/* What is in the way costs five percent more on average, often less and sometimes much more; and in
 * one run of twenty something else has the processor. */
static int run_in_weather(void *context, size_t lane, double *ret_cost)
{
        struct weather *weather = context;
        *ret_cost = (1 - 0.05 * log(1 - chance(weather))) / (1 + weather->gains[lane]);
        if (chance(weather) < 0.05)
                *ret_cost *= 1.3;
        return 0;
}

/* As the last race of `xaas tune`, of commands of TURN runs a turn: how many of SEEDS choose what
 * gains GAIN. */
static size_t count_chosen(double gain, size_t turn)
{
        size_t n = 0;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
                struct weather weather = {.state = seed, .gains = {0, gain}};
                struct tune_race race = {.most_rounds = 100,
                        .turn = turn,
                        .margin = 0.01,
                        .doubt = 0.05,
                        .run = run_in_weather,
                        .context = &weather};
                hold(&race, 2);
                n += tune_race_is_proven(&race, 1);
                tune_race_done(&race);
        }
        return n;
}

static void test_gains_are_found_in_noise(void)
{
        CHECK(count_chosen(0.03, 3) >= SEEDS * 95 / 100);
        CHECK(count_chosen(0.02, 6) >= SEEDS * 95 / 100);
        CHECK(count_chosen(0.06, 1) >= SEEDS * 95 / 100);
}

static void test_noise_is_no_gain(void)
{
        CHECK(count_chosen(0, 1) <= SEEDS * 5 / 100);
        CHECK(count_chosen(0, 3) <= SEEDS * 5 / 100);
        CHECK(count_chosen(-0.02, 1) == 0 && count_chosen(-0.02, 3) == 0);
}

/* As the race of single steps: one is better, one worse, ten are what lane 0 is. */
static void test_the_better_one_of_many_leads(void)
{
        size_t n = 0;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
                struct weather weather = {.state = seed, .gains = {[4] = 0.04, [7] = -0.1}};
                struct tune_race race = {.most_rounds = MOST,
                        .turn = 4,
                        .margin = 0.01,
                        .doubt = 0.1,
                        .run = run_in_weather,
                        .context = &weather};
                hold(&race, 12);
                CHECK(race.lanes[7].is_out);
                n += tune_race_leader(&race) == 4;
                tune_race_done(&race);
        }
        CHECK(n >= SEEDS * 95 / 100);
}

int main(void)
{
        test_one_is_clearly_ahead();
        test_nothing_is_worth_a_choice();
        test_all_others_are_behind();
        test_two_are_alike();
        test_simple_ones_come_first();
        test_one_lucky_run_is_no_win();
        test_disturbed_runs_are_outvoted();
        test_the_least_of_a_turn_counts();
        test_one_that_fails_cannot_win();
        test_without_a_default_there_is_no_race();
        test_time_runs_out();
        test_some_rounds_need_no_time();
        test_costs_of_nothing();
        test_gains_are_found_in_noise();
        test_noise_is_no_gain();
        test_the_better_one_of_many_leads();
        return unit_report();
}
