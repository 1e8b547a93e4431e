/* SPDX-License-Identifier: Apache-2.0 */
#include "tune_race.h"

#include "fmt_cleanup.h"

#include <math.h>
#include <string.h>

/* Two runs may both have been lucky, or unlucky. */
#define LEAST_ROUNDS_TO_DROP 3
#define LEAST_ROUNDS_TO_END 4

int tune_race_begin(struct tune_race *race, size_t n_lanes)
{
        race->lanes = calloc(n_lanes, sizeof *race->lanes);
        if (race->lanes == NULL)
                return -ENOMEM;
        race->n_lanes = n_lanes;
        for (size_t i = 0; i < n_lanes; i++) {
                race->lanes[i].costs = calloc(race->most_rounds, sizeof(double));
                if (race->lanes[i].costs == NULL)
                        return -ENOMEM;
        }
        return 0;
}

void tune_race_done(struct tune_race *race)
{
        for (size_t i = 0; i < race->n_lanes; i++)
                free(race->lanes[i].costs);
        free(race->lanes);
        race->lanes = NULL;
        race->n_lanes = 0;
}

/* ---- what the costs say ---- */

static double least(const double *costs, size_t n)
{
        double best = INFINITY;
        for (size_t i = 0; i < n; i++)
                best = fmin(best, costs[i]);
        return best;
}

double tune_lane_best(const struct tune_lane *lane)
{
        return least(lane->costs, lane->n_costs);
}

/* The distance to the second of few costs, to the third of many: two that were equally unlucky
 * are not rare among many. */
double tune_lane_spread(const struct tune_lane *lane)
{
        double three[3] = {INFINITY, INFINITY, INFINITY};
        for (size_t i = 0; i < lane->n_costs; i++) {
                double cost = lane->costs[i];
                for (size_t place = 0; place < 3; place++) {
                        if (cost < three[place]) {
                                double next = three[place];
                                three[place] = cost;
                                cost = next;
                        }
                }
        }
        const double other = lane->n_costs < LEAST_ROUNDS_TO_END ? three[1] : three[2];
        if (isinf(other))
                return INFINITY;
        return other > three[0] ? other / three[0] - 1 : 0;
}

static double ratio(double cost, double to)
{
        return cost == to ? 1 : cost / to;
}

double tune_lane_gain(const struct tune_lane *base, const struct tune_lane *lane)
{
        const size_t both = lane->n_costs < base->n_costs ? lane->n_costs : base->n_costs;
        return both == 0 ? 0 : ratio(least(base->costs, both), least(lane->costs, both)) - 1;
}

bool tune_lane_beats(const struct tune_lane *base, const struct tune_lane *lane, double margin)
{
        const size_t both = lane->n_costs < base->n_costs ? lane->n_costs : base->n_costs;
        const struct tune_lane one = {.costs = base->costs, .n_costs = both};
        const struct tune_lane other = {.costs = lane->costs, .n_costs = both};
        const double noise = tune_lane_spread(&one) + tune_lane_spread(&other);
        return tune_lane_gain(&one, &other) > margin + noise;
}

static bool is_behind(
        const struct tune_race *race, const struct tune_lane *lane, const struct tune_lane *other)
{
        const double noise = tune_lane_spread(lane) + tune_lane_spread(other);
        return ratio(tune_lane_best(lane), tune_lane_best(other)) > 1 + race->margin + noise;
}

static const struct tune_lane *find_fastest(const struct tune_race *race)
{
        const struct tune_lane *fastest = &race->lanes[0];
        for (size_t i = 1; i < race->n_lanes; i++)
                if (!race->lanes[i].failed &&
                        tune_lane_best(&race->lanes[i]) < tune_lane_best(fastest))
                        fastest = &race->lanes[i];
        return fastest;
}

size_t tune_race_winner(const struct tune_race *race)
{
        const struct tune_lane *base = &race->lanes[0], *fastest = find_fastest(race);
        if (!is_behind(race, base, fastest))
                return 0;
        for (size_t i = 1; i < race->n_lanes; i++) {
                const struct tune_lane *lane = &race->lanes[i];
                if (!lane->failed && is_behind(race, base, lane) && !is_behind(race, lane, fastest))
                        return i;
        }
        return 0;
}

/* ---- running ---- */

/* -ETIME, -ECANCELED. */
static int run_lane(struct tune_race *race, size_t number)
{
        struct tune_lane *lane = &race->lanes[number];
        double cost;
        int r = race->run(race->context, number, &cost);
        if (r == 0)
                lane->costs[lane->n_costs++] = cost;
        if (r == -ETIME || r == -ECANCELED)
                return r;
        lane->is_out |= r < 0;
        lane->failed |= r < 0;
        return 0;
}

/* Begins elsewhere each time and turns round: no lane always follows the same other one. */
static int run_round(struct tune_race *race, size_t round)
{
        for (size_t i = 0; i < race->n_lanes; i++) {
                const size_t place = (i + round) % race->n_lanes;
                const size_t lane = round % 2 == 0 ? place : race->n_lanes - 1 - place;
                int r = race->lanes[lane].is_out ? 0 : run_lane(race, lane);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void drop_those_behind(struct tune_race *race)
{
        const struct tune_lane *fastest = find_fastest(race);
        for (size_t i = 1; i < race->n_lanes; i++)
                race->lanes[i].is_out |= is_behind(race, &race->lanes[i], fastest);
}

/* Whether more rounds could tell nothing new: nobody is left but the default, or one is clearly
 * ahead of it alone, or none of those left is better than another. */
static bool is_decided(const struct tune_race *race, size_t rounds)
{
        const struct tune_lane *base = &race->lanes[0], *fastest = find_fastest(race);
        const bool ahead = is_behind(race, base, fastest);
        size_t left = 0;
        bool alike = true;
        for (size_t i = 0; i < race->n_lanes; i++) {
                const struct tune_lane *lane = &race->lanes[i];
                left += i > 0 && !lane->is_out;
                if (!lane->is_out && !(lane == base && ahead))
                        alike &= ratio(tune_lane_best(lane), tune_lane_best(fastest)) <=
                                 1 + race->margin;
        }
        return left == 0 || (ahead && left == 1) || (alike && rounds >= LEAST_ROUNDS_TO_END);
}

int tune_race_run(struct tune_race *race)
{
        for (size_t round = 0; round < race->most_rounds; round++) {
                int r = run_round(race, round);
                if (r < 0)
                        return r == -ETIME ? 0 : r;
                if (round + 1 < LEAST_ROUNDS_TO_DROP)
                        continue;
                drop_those_behind(race);
                if (is_decided(race, round + 1))
                        return 0;
        }
        return 0;
}
