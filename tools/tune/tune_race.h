/* SPDX-License-Identifier: Apache-2.0 */
/* Which of several ways to do the same work is cheapest, found with few runs on a machine that has
 * other things to do.
 *
 * All lanes take a turn in each round, so that a slow minute hits each of them. By how much one
 * lane is cheaper than another is told by the least costs of both: what the work costs when nothing
 * is in its way. Whether that is more than luck is told by how many rounds it won, where no single
 * run, however lucky or disturbed, counts more than another: Wald's sequential test of a share
 * (Annals of Mathematical Statistics 16, 1945), of "either wins half of the rounds" against "the
 * better one wins four of five". It may be looked at after each round and still errs no more often
 * than DOUBT says, and it also tells when a lane may be given up.
 *
 * Lanes that are no better than lane 0, or clearly behind the best, run no more. Lane 0 is what is
 * used without a choice: it always runs. */
#ifndef TUNE_RACE_H
#define TUNE_RACE_H

#include <stdbool.h>
#include <stddef.h>

struct tune_lane {
        double *costs; /* of its turns, in order; lower is better, never negative */
        size_t n_costs;
        bool is_out; /* runs no more */
        bool failed; /* and cannot win */
};

struct tune_race {
        struct tune_lane *lanes;
        size_t n_lanes;
        size_t least_rounds; /* each lane's, unless decided before, whatever time is left */
        size_t most_rounds;
        size_t turn;   /* runs of a lane in a round, of which the least cost counts; at least 1 */
        double margin; /* what is not worth a choice: 0.01 is one percent */
        double doubt;  /* chance that is left to call a lane better that is not, or the reverse */
        /* Asked before each turn: there is no time left for it, and the race ends. Or NULL. */
        bool (*is_over)(void *context);
        /* One run of a lane. 0 and what it cost; -ECANCELED: everything ends; any other: this lane
         * cannot do the work. */
        int (*run)(void *context, size_t lane, double *ret_cost);
        void *context;
};

/* How one lane did beside another, in the rounds that both ran. */
struct tune_score {
        size_t rounds, wins; /* a tie is no win */
        double gain;         /* 0.25 if the other's least cost is a quarter more */
};

int tune_race_begin(struct tune_race *race, size_t n_lanes);
/* Runs until it is clear which lanes are better than lane 0 and which of those is the best, or
 * rounds or time are over. 0, -ECANCELED, -ENOMEM. */
int tune_race_run(struct tune_race *race);
void tune_race_done(struct tune_race *race);

/* Of the lanes that seem better than lane 0 the first that is not as much behind the best of them:
 * those before are simpler. 0: there is none. */
size_t tune_race_leader(const struct tune_race *race);
/* Whether LANE is better than lane 0 by more than MARGIN, and with no more than DOUBT. */
bool tune_race_is_proven(const struct tune_race *race, size_t lane);

/* Infinite before the first run. */
double tune_lane_best(const struct tune_lane *lane);
struct tune_score tune_lane_score(const struct tune_lane *base, const struct tune_lane *lane);
/* Whether a lane of that score is likelier to be better by more than MARGIN than not. */
bool tune_score_seems_better(const struct tune_score *score, double margin);

#endif
