/* SPDX-License-Identifier: Apache-2.0 */
#include "tune.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_strings.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

/* What is not worth a choice. */
#define MARGIN 0.01

/* The last race chooses, the others only say what it is worth a try with: a lane that loses there
 * by mistake is lost, one that seems better by mistake is not chosen. */
#define DOUBT 0.1
#define LAST_DOUBT 0.05
/* Most races are decided long before, whatever the difference. */
#define LAST_ROUNDS 100
/* Whatever time is left, until it is decided: seven are enough if each says the same, and few gains
 * worth a choice take more than these. Without them the search before would be in vain. */
#define LEAST_LAST_ROUNDS 20
/* The shorter a command, the more of its time is chance; and the sooner it is repeated. */
#define TURN_SECONDS 0.3
#define MOST_RUNS_IN_TURN 20

/* Of all the time, how much may be gone after the race of steps, that of combinations and the last
 * one. */
static const double shares[] = {0.6, 0.8, 1};

static double now(void)
{
        struct timespec time;
        clock_gettime(CLOCK_MONOTONIC, &time);
        return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- candidates ---- */

static int add_candidate(struct tune *tune, const struct jit_policy *policy)
{
        struct tune_candidate *candidate = &tune->candidates[tune->n_candidates];

        if (tune->n_candidates == TUNE_MOST_CANDIDATES)
                return 0;
        *candidate = (struct tune_candidate){.policy = *policy, .best = INFINITY};
        tune->n_candidates++;
        return jit_policy_format(policy, &candidate->text);
}

int tune_list_steps(struct tune *tune)
{
        struct jit_policy steps[TUNE_MOST_STEPS];
        size_t n = tune_steps(tune->ground.target, tune->request->results, steps);
        int r = add_candidate(tune, &JIT_POLICY_DEFAULT);

        for (size_t i = 0; r == 0 && i < n; i++)
                r = add_candidate(tune, &steps[i]);
        return r;
}

/* All of REASON, which is taken. */
static void rule_out(struct tune_candidate *candidate, char *reason)
{
        free(candidate->reason);
        candidate->fate = TUNE_UNUSABLE;
        candidate->reason = reason;
}

/* An earlier candidate with the same code: it speaks for both. */
static bool is_known_code(struct tune *tune, struct tune_candidate *candidate)
{
        for (size_t i = 0; &tune->candidates[i] < candidate; i++) {
                const struct tune_candidate *earlier = &tune->candidates[i];
                if (earlier->fate != TUNE_RACED ||
                        !fmt_digest_equal(&earlier->code, &candidate->code))
                        continue;
                candidate->fate = TUNE_SAME_CODE;
                candidate->same_as = i;
                return true;
        }
        return false;
}

static int run_once(struct tune *tune, struct tune_candidate *candidate, struct tune_run *ret)
{
        const double limit = candidate == tune->candidates ? 0 : 10 * tune->usual.seconds + 10;
        char *reason;
        int r = tune_command_run(
                &tune->command, tune_mount_path(candidate->mount), limit, ret, &reason);

        if (r == -EPROTO)
                rule_out(candidate, reason);
        return r;
}

static bool is_tuned(const struct tune *tune, const char *path)
{
        for (size_t i = 0; i < tune->n_programs; i++)
                if (!strcmp(tune->programs[i].path, path))
                        return true;
        return false;
}

/* Libraries that are opened at run time, for example, of which nobody could know before. */
static int list_also_opened(struct tune *tune, const struct tune_mount *mount)
{
        const struct fmt_manifest *manifest = tune->ground.image.manifest;
        int r = 0;

        for (size_t i = 0; r == 0 && i < manifest->n_programs; i++) {
                const char *path = manifest->programs[i].path;
                uint64_t opens;
                if (!is_tuned(tune, path) && tune_mount_opens(mount, path, &opens) == 0 &&
                        opens > 0)
                        r = fmt_strings_append(&tune->also_opened, path);
        }
        return r;
}

/* The first run of the default: is it PROGRAM that the command runs, and does it always print the
 * same? */
static int examine_command(struct tune *tune, struct tune_candidate *usual)
{
        const struct tune_request *request = tune->request;
        uint64_t opens = 0;
        struct tune_run again;
        int r;

        tune_mount_opens(usual->mount, tune->programs[0].path, &opens);
        if (opens == 0) {
                fmt_error("cannot tune %s: the command ran, and never opened it in the mount; %s",
                        request->program,
                        tune->command.place == TUNE_HERE
                                ? "run the program that is below {}"
                                : "give a command that runs it, or other words for its path");
                return -EINVAL;
        }
        r = list_also_opened(tune, usual->mount);
        if (r < 0 || !request->check)
                return r;
        r = run_once(tune, usual, &again);
        if (r < 0 || fmt_digest_equal(&again.output, &tune->usual.output))
                return r;
        fmt_error("cannot check the output of the command: it prints something else each time; "
                  "send times and the like elsewhere, or leave out --check");
        return -EINVAL;
}

static int warm_up(struct tune *tune, struct tune_candidate *candidate)
{
        struct tune_run run;
        int r = run_once(tune, candidate, &run);

        if (r < 0)
                return r;
        if (candidate == tune->candidates) {
                tune->usual = run;
                return examine_command(tune, candidate);
        }
        if (!tune->request->check || fmt_digest_equal(&run.output, &tune->usual.output))
                return 0;
        rule_out(candidate, strdup("it printed something else than the default"));
        return -EPROTO;
}

static int bring_up(struct tune *tune, struct tune_candidate *candidate)
{
        char *reason;
        int r = tune_compile(tune, candidate, &reason);

        if (r == -EPROTO)
                rule_out(candidate, reason);
        if (r < 0 || is_known_code(tune, candidate))
                return r;
        candidate->fate = TUNE_RACED;
        r = tune_mount_start(&tune->mounts, candidate->text, &candidate->mount);
        return r < 0 ? r : warm_up(tune, candidate);
}

/* Those from FIRST on. Only the default must not fail. */
static int bring_all_up(struct tune *tune, size_t first)
{
        for (size_t i = first; i < tune->n_candidates; i++) {
                struct tune_candidate *candidate = &tune->candidates[i];
                tune_progress("preparing %zu of %zu: %s", i + 1 - first, tune->n_candidates - first,
                        tune_candidate_name(candidate));
                int r = bring_up(tune, candidate);
                if (r == -EPROTO && i == 0)
                        fmt_error("cannot tune %s, its command failed: %s; give one that succeeds "
                                  "as it is",
                                tune->request->program,
                                candidate->reason ? candidate->reason : "out of memory");
                if (r < 0 && (r != -EPROTO || i == 0))
                        return r;
        }
        return 0;
}

/* ---- races ---- */

struct heat {
        struct tune *tune;
        const char *name;
        struct tune_race race;
        size_t entries[TUNE_MOST_CANDIDATES]; /* candidates by lane */
        size_t n_entries;
        double ends;
};

static void enter(struct heat *heat, size_t candidate)
{
        if (heat->tune->candidates[candidate].fate == TUNE_RACED)
                heat->entries[heat->n_entries++] = candidate;
}

static bool is_over(void *context)
{
        const struct heat *heat = context;
        return now() > heat->ends;
}

static int run_lane(void *context, size_t lane, double *ret_cost)
{
        struct heat *heat = context;
        struct tune_candidate *candidate = &heat->tune->candidates[heat->entries[lane]];
        struct tune_run run;
        int r;

        tune_progress("%s, round %zu: %s", heat->name, heat->race.lanes[lane].n_costs + 1,
                tune_candidate_name(candidate));
        r = run_once(heat->tune, candidate, &run);
        if (r < 0)
                return r;
        candidate->runs++;
        candidate->best = fmin(candidate->best, run.cost);
        *ret_cost = run.cost;
        return 0;
}

/* The default that fails all of a sudden takes everything with it. */
static int check_default(const struct tune *tune)
{
        const struct tune_candidate *usual = &tune->candidates[0];
        if (usual->fate != TUNE_UNUSABLE)
                return 0;
        fmt_error("cannot tune %s: the command fails now and then: %s; give one that always "
                  "succeeds",
                tune->request->program, usual->reason ? usual->reason : "out of memory");
        return -EPROTO;
}

static size_t runs_in_turn(const struct tune *tune)
{
        const double runs = ceil(TURN_SECONDS / fmax(tune->usual.seconds, 1e-6));
        return runs < MOST_RUNS_IN_TURN ? (size_t)runs : MOST_RUNS_IN_TURN;
}

/* How many rounds and how much doubt it takes, the race knows. */
static int run_heat(struct heat *heat, double share)
{
        const double began = now();
        int r;

        heat->race.turn = runs_in_turn(heat->tune);
        heat->race.margin = MARGIN;
        heat->race.is_over = is_over;
        heat->race.run = run_lane;
        heat->race.context = heat;
        heat->ends = began + share * heat->tune->request->seconds - heat->tune->racing;
        r = tune_race_begin(&heat->race, heat->n_entries);
        if (r == 0)
                r = tune_race_run(&heat->race);
        if (r == 0)
                r = check_default(heat->tune);
        for (size_t i = 0; r == 0 && i < heat->n_entries; i++) {
                struct tune_candidate *candidate = &heat->tune->candidates[heat->entries[i]];
                const struct tune_lane *lanes = heat->race.lanes;
                candidate->score = tune_lane_score(&lanes[0], &lanes[i]);
        }
        heat->tune->racing += now() - began;
        return r;
}

static void heat_done(struct heat *heat)
{
        tune_race_done(&heat->race);
}

/* Everything that was brought up; *RET: the best, 0 if that is the default. */
static int race_steps(struct tune *tune, size_t *ret)
{
        _cleanup_(heat_done) struct heat heat = {.tune = tune,
                .name = "single steps",
                .race = {.most_rounds = tune->request->rounds, .doubt = DOUBT}};
        int r;

        for (size_t i = 0; i < tune->n_candidates; i++)
                enter(&heat, i);
        r = run_heat(&heat, shares[0]);
        if (r == 0)
                *ret = heat.entries[tune_race_leader(&heat.race)];
        return r;
}

static bool has_paid(const struct tune_candidate *candidate)
{
        return candidate->fate == TUNE_RACED && tune_score_seems_better(&candidate->score, MARGIN);
}

/* Beside the best step. What a profile says decides much of what other steps change: leaving it out
 * may pay there although it does not by itself. */
static bool is_worth_a_pair(const struct tune_candidate *candidate)
{
        return has_paid(candidate) ||
               (candidate->fate == TUNE_RACED && candidate->policy.no_profile);
}

/* Of the steps that are not USED the one to be combined with the best; 0: there is none. */
static size_t find_next(const struct tune *tune, size_t n, const bool used[])
{
        size_t next = 0;

        for (size_t i = 1; i < n; i++)
                if (!used[i] && is_worth_a_pair(&tune->candidates[i]) &&
                        (next == 0 ||
                                tune->candidates[i].score.gain > tune->candidates[next].score.gain))
                        next = i;
        return next;
}

/* The best step with each other one, the better ones first, and with all that paid. */
static int add_combinations(struct tune *tune, size_t best)
{
        const size_t n = tune->n_candidates;
        bool used[TUNE_MOST_CANDIDATES] = {[0] = true};
        struct jit_policy all = tune->candidates[best].policy;
        size_t next, n_pairs = 0, n_all = 0;
        int r = 0;

        used[best] = true;
        while (r == 0 && n_pairs < TUNE_MOST_COMBINATIONS - 1 &&
                (next = find_next(tune, n, used))) {
                const struct tune_candidate *other = &tune->candidates[next];
                struct jit_policy pair;
                used[next] = true;
                if (!tune_combine(&tune->candidates[best].policy, &other->policy, &pair))
                        continue;
                n_all += has_paid(other) && tune_combine(&all, &other->policy, &all);
                r = add_candidate(tune, &pair);
                n_pairs++;
        }
        return r == 0 && n_all > 1 ? add_candidate(tune, &all) : r;
}

static int race_combinations(struct tune *tune, size_t *best)
{
        _cleanup_(heat_done) struct heat heat = {.tune = tune,
                .name = "combinations",
                .race = {.most_rounds = tune->request->rounds, .doubt = DOUBT}};
        const size_t first = tune->n_candidates;
        int r = add_combinations(tune, *best);

        if (r == 0)
                r = bring_all_up(tune, first);
        if (r < 0)
                return r;
        enter(&heat, 0);
        enter(&heat, *best);
        for (size_t i = first; i < tune->n_candidates; i++)
                enter(&heat, i);
        if (heat.n_entries == 2)
                return 0;
        r = run_heat(&heat, shares[1]);
        if (r < 0)
                return r;
        /* Too little time and none leads: the best step remains, unless it is shown to be none. */
        const size_t leader = tune_race_leader(&heat.race);
        if (leader != 0 || heat.race.lanes[1].is_out)
                *best = heat.entries[leader];
        return 0;
}

static int race_default(struct tune *tune, size_t best)
{
        _cleanup_(heat_done) struct heat heat = {.tune = tune,
                .name = "against the default",
                .race = {.least_rounds = LEAST_LAST_ROUNDS,
                        .most_rounds = LAST_ROUNDS,
                        .doubt = LAST_DOUBT}};
        int r;

        enter(&heat, 0);
        enter(&heat, best);
        r = run_heat(&heat, shares[2]);
        if (r < 0 || !tune_race_is_proven(&heat.race, 1))
                return r;
        tune->chosen = best;
        tune->cost = tune_lane_best(&heat.race.lanes[1]);
        tune->usual_cost = tune_lane_best(&heat.race.lanes[0]);
        return 0;
}

int tune_measure(struct tune *tune)
{
        const double began = now();
        size_t best = 0;
        int r = bring_all_up(tune, 0);

        if (r == 0)
                r = race_steps(tune, &best);
        if (r == 0 && best != 0)
                r = race_combinations(tune, &best);
        if (r == 0 && best != 0)
                r = race_default(tune, best);
        tune_progress(NULL);
        tune->seconds = now() - began;
        return r;
}
