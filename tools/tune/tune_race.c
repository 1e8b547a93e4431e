/* SPDX-License-Identifier: Apache-2.0 */
#include "tune_race.h"

#include "fmt_cleanup.h"

#include <math.h>
#include <string.h>

/* Of the rounds, what a lane is taken to win that is better; one that is not wins half. The nearer
 * to that, the smaller the gains that are found, and the more rounds all take. With 0.8, 5 wins in
 * a row leave a doubt of less than 0.1, 7 of less than 0.05; 3 and 4 losses in a row do so for the
 * reverse. */
#define SHARE_OF_BETTER 0.8

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

static double ratio(double cost, double to)
{
        return cost == to ? 1 : cost / to;
}

struct tune_score tune_lane_score(const struct tune_lane *base, const struct tune_lane *lane)
{
        struct tune_score score = {
                .rounds = lane->n_costs < base->n_costs ? lane->n_costs : base->n_costs};

        for (size_t i = 0; i < score.rounds; i++)
                score.wins += lane->costs[i] < base->costs[i];
        if (score.rounds > 0)
                score.gain =
                        ratio(least(base->costs, score.rounds), least(lane->costs, score.rounds)) -
                        1;
        return score;
}

/* The logarithm of how much likelier these wins are if the lane is better than if it is not. */
static double evidence(const struct tune_score *score)
{
        return (double)score->wins * log(SHARE_OF_BETTER / 0.5) +
               (double)(score->rounds - score->wins) * log((1 - SHARE_OF_BETTER) / 0.5);
}

bool tune_score_seems_better(const struct tune_score *score, double margin)
{
        return score->gain > margin && evidence(score) > 0;
}

enum verdict { OPEN, BETTER, NO_BETTER };

/* About LANE beside OTHER. Wald's bounds, for equal chances to err either way. */
static enum verdict judge(
        const struct tune_race *race, const struct tune_lane *lane, const struct tune_lane *other)
{
        const struct tune_score score = tune_lane_score(other, lane);
        const double bound = log((1 - race->doubt) / race->doubt), found = evidence(&score);

        return found >= bound ? BETTER : found <= -bound ? NO_BETTER : OPEN;
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

static bool seems_behind(
        const struct tune_race *race, const struct tune_lane *lane, const struct tune_lane *other)
{
        const struct tune_score score = tune_lane_score(lane, other);
        return tune_score_seems_better(&score, race->margin);
}

size_t tune_race_leader(const struct tune_race *race)
{
        const struct tune_lane *base = &race->lanes[0];
        size_t best = 0;

        for (size_t i = 1; i < race->n_lanes; i++)
                if (!race->lanes[i].failed && seems_behind(race, base, &race->lanes[i]) &&
                        tune_lane_best(&race->lanes[i]) < tune_lane_best(&race->lanes[best]))
                        best = i;
        for (size_t i = 1; i < best; i++)
                if (!race->lanes[i].failed && seems_behind(race, base, &race->lanes[i]) &&
                        !seems_behind(race, &race->lanes[i], &race->lanes[best]))
                        return i;
        return best;
}

bool tune_race_is_proven(const struct tune_race *race, size_t lane)
{
        const struct tune_lane *base = &race->lanes[0];

        return !race->lanes[lane].failed && seems_behind(race, base, &race->lanes[lane]) &&
               judge(race, &race->lanes[lane], base) == BETTER;
}

/* ---- running ---- */

/* Every lane's own rounds count: if those of lane 0 did, the others would be one short. */
static bool is_over(const struct tune_race *race, const struct tune_lane *lane)
{
        return lane->n_costs >= race->least_rounds && race->is_over != NULL &&
               race->is_over(race->context);
}

/* -ETIME, -ECANCELED. */
static int take_turn(struct tune_race *race, size_t number)
{
        struct tune_lane *lane = &race->lanes[number];
        double cost, best = INFINITY;
        int r = is_over(race, lane) ? -ETIME : 0;
        for (size_t i = 0; r == 0 && i < race->turn; i++) {
                r = race->run(race->context, number, &cost);
                best = r == 0 ? fmin(best, cost) : best;
        }
        if (r == 0)
                lane->costs[lane->n_costs++] = best;
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
                int r = race->lanes[lane].is_out ? 0 : take_turn(race, lane);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Those that are better than lane 0 run until that is known, even behind others: what is better
 * goes into combinations. */
static void drop_those_behind(struct tune_race *race)
{
        const struct tune_lane *fastest = find_fastest(race);
        for (size_t i = 1; i < race->n_lanes; i++) {
                struct tune_lane *lane = &race->lanes[i];
                const enum verdict verdict = judge(race, lane, &race->lanes[0]);
                lane->is_out |= verdict == NO_BETTER ||
                                (verdict == BETTER && judge(race, fastest, lane) == BETTER);
        }
}

/* Whether more rounds could tell nothing new: all that are left are better than lane 0, and none
 * of them is better than another, or without lane 0 there is nothing to be better than. */
static bool is_decided(const struct tune_race *race)
{
        const struct tune_lane *fastest = find_fastest(race);
        if (race->lanes[0].failed)
                return true;
        for (size_t i = 1; i < race->n_lanes; i++) {
                const struct tune_lane *lane = &race->lanes[i];
                if (!lane->is_out && (judge(race, lane, &race->lanes[0]) == OPEN ||
                                             (seems_behind(race, lane, fastest) &&
                                                     judge(race, fastest, lane) == OPEN)))
                        return false;
        }
        return true;
}

int tune_race_run(struct tune_race *race)
{
        for (size_t round = 0; round < race->most_rounds; round++) {
                int r = run_round(race, round);
                if (r < 0)
                        return r == -ETIME ? 0 : r;
                drop_those_behind(race);
                if (is_decided(race))
                        return 0;
        }
        return 0;
}
