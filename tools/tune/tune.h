/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of `xaas tune` share.
 *
 * Candidate 0 is the default. Each candidate is compiled ahead, mounted, and warmed up by one run
 * that does not count; those whose code is that of an earlier one need no run. Single steps race
 * (tune_race.h), then combinations of the steps that paid, and at last the best of all races the
 * default once more, from scratch: the best of many noisy numbers is also the luckiest. Only that
 * race demands proof, so the others may be short. */
#ifndef TUNE_H
#define TUNE_H

#include "image_ground.h"
#include "jit_policy.h"
#include "tune_command.h"
#include "tune_mount.h"
#include "tune_race.h"
#include "tune_steps.h"

#include <stdint.h>

struct tune_request {
        const char *image;
        const char *program; /* path in the image */
        char **with;         /* paths of more, or NULL */
        char **command;      /* NULL-terminated */
        const char *cache, *target, *variant;
        struct tune_metric metric;
        enum tune_results results;
        bool check;        /* outputs must be equal */
        bool dry_run;
        bool json;
        unsigned rounds; /* at most, of each race but the last */
        unsigned seconds;
};

enum tune_fate { TUNE_WAITING, TUNE_SAME_CODE, TUNE_UNUSABLE, TUNE_RACED };

struct tune_candidate {
        struct jit_policy policy;
        char *text; /* jit_policy_format */
        enum tune_fate fate;
        char *reason;   /* TUNE_UNUSABLE: a sentence */
        size_t same_as; /* TUNE_SAME_CODE */
        struct fmt_digest code;
        struct tune_mount *mount;
        double best; /* cost */
        struct tune_score score; /* beside the default, in the last race that it took part in */
        size_t runs;
};

/* A portable object that is compiled by the candidates' policies, and for which the choice is. */
struct tune_program {
        char *path;
        struct fmt_digest choice_name;
};

#define TUNE_MOST_COMBINATIONS 5
#define TUNE_MOST_CANDIDATES (1 + TUNE_MOST_STEPS + TUNE_MOST_COMBINATIONS)

struct tune {
        const struct tune_request *request;
        struct image_ground ground;
        char *target_text; /* jit_target_describe */
        struct tune_mounts mounts;
        struct tune_command command;
        struct tune_program *programs; /* the one to be tuned first */
        size_t n_programs;
        char **also_opened; /* paths of others that the command opens, NULL-terminated, or NULL */
        struct tune_candidate candidates[TUNE_MOST_CANDIDATES];
        size_t n_candidates;
        struct tune_run usual; /* the default's first run */
        size_t chosen;         /* 0: the default stays */
        double cost;           /* of what was chosen, in the last race */
        double usual_cost;     /* of the default, there */
        double racing;         /* seconds spent in races */
        double seconds;        /* spent */
};

/* "default", or the policy without what is the default's. */
const char *tune_candidate_name(const struct tune_candidate *candidate);

/* ---- tune_compile.c ---- */

/* Finds the programs, by the default policy. Says what is wrong. */
int tune_find_programs(struct tune *tune);
/* All programs by the candidate's policy, into the cache; sets its code. -ECANCELED; -EPROTO and a
 * sentence in *ret_reason, which the caller frees; others. */
int tune_compile(struct tune *tune, struct tune_candidate *candidate, char **ret_reason);

/* ---- tune_measure.c ---- */

/* Adds the candidates of the first race. */
int tune_list_steps(struct tune *tune);
/* Compiles, mounts and races them; sets what was chosen. -ECANCELED; others after saying what is
 * wrong. */
int tune_measure(struct tune *tune);

/* ---- tune_report.c ---- */

/* A line that is overwritten by the next one, if stderr is a terminal; NULL takes it away. */
void tune_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A sentence about what was chosen; the caller frees. NULL: out of memory. */
char *tune_sentence(const struct tune *tune);
void tune_print_candidates(const struct tune *tune);
void tune_print(const struct tune *tune);
int tune_print_json(const struct tune *tune);

#endif
