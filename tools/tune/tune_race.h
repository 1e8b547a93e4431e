/* SPDX-License-Identifier: Apache-2.0 */
/* Which of several ways to do the same work is cheapest, found with few runs on a machine that has
 * other things to do.
 *
 * All lanes run once per round, so that a slow minute hits each of them, and a lane counts with its
 * least cost: what the work costs when nothing is in its way. How far a lane's least costs lie from
 * each other is its spread, the noise that is left in them. Lanes that lag behind the best by more
 * than MARGIN and both spreads run no more (successive halving, but by evidence instead of by
 * half). Lane 0 is what is used without a choice: it always runs, and something else must beat it
 * by more than the noise. */
#ifndef TUNE_RACE_H
#define TUNE_RACE_H

#include <stdbool.h>
#include <stddef.h>

struct tune_lane {
        double *costs; /* of its runs, in order; lower is better, never negative */
        size_t n_costs;
        bool is_out; /* runs no more */
        bool failed; /* and cannot win */
};

struct tune_race {
        struct tune_lane *lanes;
        size_t n_lanes;
        size_t most_rounds;
        double margin; /* what is not worth a choice: 0.01 is one percent */
        /* One run of a lane. 0 and what it cost; -ETIME: there is no time for it, the race ends
         * here; -ECANCELED: everything ends; any other: this lane cannot do the work. */
        int (*run)(void *context, size_t lane, double *ret_cost);
        void *context;
};

int tune_race_begin(struct tune_race *race, size_t n_lanes);
/* Runs until one lane is clearly ahead, or those that are left are alike, or rounds or time are
 * over. 0, -ECANCELED, -ENOMEM. */
int tune_race_run(struct tune_race *race);
void tune_race_done(struct tune_race *race);

/* Of the lanes that beat lane 0 by more than MARGIN and both spreads the first that is not as
 * clearly behind the best of them: those before are simpler. 0: there is none. */
size_t tune_race_winner(const struct tune_race *race);

/* Infinite before the first run. */
double tune_lane_best(const struct tune_lane *lane);
/* Relative: 0.02 if its least costs differ by two percent. Infinite with less than two runs. */
double tune_lane_spread(const struct tune_lane *lane);
/* By how much LANE beats BASE in the rounds that both ran: 0.25 if BASE costs a quarter more. */
double tune_lane_gain(const struct tune_lane *base, const struct tune_lane *lane);
/* Whether that is more than MARGIN and both spreads in those rounds. */
bool tune_lane_beats(const struct tune_lane *base, const struct tune_lane *lane, double margin);

#endif
