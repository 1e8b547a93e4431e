/* SPDX-License-Identifier: Apache-2.0 */
#include "tune.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_strings.h"
#include "tune_race.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

/* What is not worth a choice. */
#define MARGIN 0.01
/* The last race decides, whatever time is left: two lanes, as often as one may be dropped. */
#define LEAST_LAST_RUNS 6

/* Of all the time, what the race of steps, that of combinations and the last one may take. */
static const double shares[] = {0.6, 0.2, 0.2};

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
                        fmt_error("cannot tune %s, its command failed: %s; give one that succeeds as it is",
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
        size_t runs, least_runs;
};

static void enter(struct heat *heat, size_t candidate)
{
        if (heat->tune->candidates[candidate].fate == TUNE_RACED)
                heat->entries[heat->n_entries++] = candidate;
}

static int run_lane(void *context, size_t lane, double *ret_cost)
{
        struct heat *heat = context;
        struct tune_candidate *candidate = &heat->tune->candidates[heat->entries[lane]];
        struct tune_run run;
        int r;

        if (now() > heat->ends && heat->runs >= heat->least_runs)
                return -ETIME;
        tune_progress("%s, round %zu: %s", heat->name, heat->race.lanes[lane].n_costs + 1,
                tune_candidate_name(candidate));
        r = run_once(heat->tune, candidate, &run);
        if (r < 0)
                return r;
        heat->runs++;
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

static int run_heat(struct heat *heat, double share)
{
        const struct tune_request *request = heat->tune->request;
        int r;

        heat->race = (struct tune_race){
                .most_rounds = request->rounds, .margin = MARGIN, .run = run_lane, .context = heat};
        heat->ends = now() + share * request->seconds;
        r = tune_race_begin(&heat->race, heat->n_entries);
        if (r == 0)
                r = tune_race_run(&heat->race);
        if (r == 0)
                r = check_default(heat->tune);
        for (size_t i = 0; r == 0 && i < heat->n_entries; i++) {
                struct tune_candidate *candidate = &heat->tune->candidates[heat->entries[i]];
                const struct tune_lane *lanes = heat->race.lanes;
                candidate->gain = tune_lane_gain(&lanes[0], &lanes[i]);
                candidate->paid = tune_lane_beats(&lanes[0], &lanes[i], MARGIN);
        }
        return r;
}

static void heat_done(struct heat *heat)
{
        tune_race_done(&heat->race);
}

/* Everything that was brought up; *RET: the best, 0 if that is the default. */
static int race_steps(struct tune *tune, size_t *ret)
{
        _cleanup_(heat_done) struct heat heat = {.tune = tune, .name = "single steps"};
        int r;

        for (size_t i = 0; i < tune->n_candidates; i++)
                enter(&heat, i);
        r = run_heat(&heat, shares[0]);
        if (r == 0)
                *ret = heat.entries[tune_race_winner(&heat.race)];
        return r;
}

/* The best step with each other one that paid, the better ones first, and with all of them. */
static int add_combinations(struct tune *tune, size_t best)
{
        const size_t n = tune->n_candidates;
        bool used[TUNE_MOST_CANDIDATES] = {[0] = true};
        struct jit_policy all = tune->candidates[best].policy;
        size_t n_pairs = 0;
        int r = 0;

        used[best] = true;
        while (r == 0 && n_pairs < TUNE_MOST_COMBINATIONS - 1) {
                struct jit_policy pair;
                size_t next = 0;
                for (size_t i = 1; i < n; i++)
                        if (!used[i] && tune->candidates[i].paid &&
                                tune->candidates[i].fate == TUNE_RACED &&
                                (next == 0 ||
                                        tune->candidates[i].gain > tune->candidates[next].gain))
                                next = i;
                if (next == 0)
                        break;
                used[next] = true;
                if (!tune_combine(
                            &tune->candidates[best].policy, &tune->candidates[next].policy, &pair))
                        continue;
                tune_combine(&all, &tune->candidates[next].policy, &all);
                r = add_candidate(tune, &pair);
                n_pairs++;
        }
        return r == 0 && n_pairs > 1 ? add_candidate(tune, &all) : r;
}

static int race_combinations(struct tune *tune, size_t *best)
{
        _cleanup_(heat_done) struct heat heat = {.tune = tune, .name = "combinations"};
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
        if (r == 0)
                *best = heat.entries[tune_race_winner(&heat.race)];
        return r;
}

static int race_default(struct tune *tune, size_t best)
{
        _cleanup_(heat_done) struct heat heat = {
                .tune = tune, .name = "against the default", .least_runs = LEAST_LAST_RUNS};
        int r;

        enter(&heat, 0);
        enter(&heat, best);
        r = run_heat(&heat, shares[2]);
        if (r < 0 || tune_race_winner(&heat.race) == 0)
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
