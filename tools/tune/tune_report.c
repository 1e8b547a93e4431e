/* SPDX-License-Identifier: Apache-2.0 */
#include "tune.h"

#include "fmt_cleanup.h"
#include "fmt_json.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

void tune_progress(const char *format, ...)
{
        char text[160] = "";
        va_list arguments;

        if (!isatty(STDERR_FILENO))
                return;
        if (format) {
                va_start(arguments, format);
                vsnprintf(text, sizeof(text), format, arguments);
                va_end(arguments);
        }
        dprintf(STDERR_FILENO, "\r\033[K%s", text);
}

const char *tune_candidate_name(const struct tune_candidate *candidate)
{
        static const char usual[] = "opt=3";
        const size_t size = strlen(usual);

        if (strncmp(candidate->text, usual, size) != 0)
                return candidate->text;
        return candidate->text[size] == ',' ? candidate->text + size + 1 : "default";
}

static double ratio(const struct tune *tune)
{
        return tune->cost == tune->usual_cost ? 1 : tune->cost / tune->usual_cost;
}

/* What the ratio of costs is in, in words. */
static const char *what_is_less(const struct tune_metric *metric)
{
        return metric->measure == TUNE_PRINTED ? "of the default's cost" : "of the default's time";
}

/* The words as they were typed, as far as a line holds them. */
static void join(char *const *words, char *ret, size_t size)
{
        size_t used = 0;

        for (ret[0] = '\0'; *words && used < size; words++)
                used += (size_t)snprintf(
                        ret + used, size - used, "%s%s", used > 0 ? " " : "", *words);
        if (used >= size)
                memcpy(ret + size - 4, "...", 4);
}

char *tune_sentence(const struct tune *tune)
{
        const struct tune_metric *metric = &tune->request->metric;
        const struct tune_score *score = &tune->candidates[tune->chosen].score;
        char with[TUNE_VALUE_TEXT], without[TUNE_VALUE_TEXT], command[100], day[16], *text;
        time_t today = time(NULL);
        struct tm date;

        localtime_r(&today, &date);
        strftime(day, sizeof(day), "%Y-%m-%d", &date);
        join(tune->request->command, command, sizeof(command));
        tune_metric_text(metric, tune_metric_value(metric, tune->cost), with);
        tune_metric_text(metric, tune_metric_value(metric, tune->usual_cost), without);
        if (asprintf(&text, "%.3f %s (%s, %s against %s, better in %zu of %zu rounds) for `%s`, %s",
                    ratio(tune), what_is_less(metric), tune_metric_name(metric), with, without,
                    score->wins, score->rounds, command, day) < 0)
                return NULL;
        return text;
}

static int longest_name(const struct tune *tune)
{
        size_t longest = strlen("candidate");

        for (size_t i = 0; i < tune->n_candidates; i++) {
                const size_t size = strlen(tune_candidate_name(&tune->candidates[i]));
                longest = size > longest ? size : longest;
        }
        return (int)longest;
}

void tune_print_candidates(const struct tune *tune)
{
        for (size_t i = 0; i < tune->n_candidates; i++)
                printf("%-*s  %s\n", longest_name(tune), tune_candidate_name(&tune->candidates[i]),
                        tune->candidates[i].text);
}

static void describe_fate(
        const struct tune *tune, const struct tune_candidate *candidate, char ret[256])
{
        ret[0] = '\0';
        if (candidate->fate == TUNE_SAME_CODE)
                snprintf(ret, 256, "the code of %s",
                        tune_candidate_name(&tune->candidates[candidate->same_as]));
        else if (candidate->fate == TUNE_UNUSABLE)
                snprintf(ret, 256, "%s", candidate->reason ? candidate->reason : "out of memory");
        else if (candidate == &tune->candidates[tune->chosen])
                snprintf(ret, 256, "%s", tune->chosen ? "chosen" : "stays");
}

static void print_row(const struct tune *tune, const struct tune_candidate *candidate, int width)
{
        const struct tune_metric *metric = &tune->request->metric;
        const struct tune_score *score = &candidate->score;
        char value[TUNE_VALUE_TEXT] = "", ratio[16] = "", won[32] = "", runs[16] = "", fate[256];

        if (candidate->runs > 0) {
                tune_metric_text(metric, tune_metric_value(metric, candidate->best), value);
                snprintf(ratio, sizeof(ratio), "%.3f", 1 / (1 + score->gain));
                snprintf(runs, sizeof(runs), "%zu", candidate->runs);
        }
        if (candidate->runs > 0 && candidate != tune->candidates)
                snprintf(won, sizeof(won), "%zu of %zu", score->wins, score->rounds);
        describe_fate(tune, candidate, fate);
        printf("%-*s %10s %9s %10s %5s%s%s\n", width, tune_candidate_name(candidate), value, ratio,
                won, runs, *fate ? "  " : "", fate);
}

static void print_choice(const struct tune *tune)
{
        const struct tune_candidate *chosen = &tune->candidates[tune->chosen];
        _cleanup_free_ char *sentence = tune->chosen ? tune_sentence(tune) : NULL;

        if (tune->chosen == 0) {
                printf("\nNothing beats the default by more than the noise: %s is compiled as "
                       "everything else.\n",
                        tune->request->program);
                return;
        }
        printf("\n%s is compiled with %s from now on: %s.\n", tune->request->program, chosen->text,
                sentence ? sentence : "out of memory");
        for (size_t i = 1; i < tune->n_programs; i++)
                printf("So is /%s, which it needs.\n", tune->programs[i].path);
        if (tune_rounds_as_generic(tune->ground.target, &chosen->policy))
                printf("Its results are rounded as the generic build's, no longer as a native "
                       "build's; --same-results keeps those.\n");
        if (chosen->policy.veclib)
                printf("Its loops call vector functions of the C library for sin, cos, exp, log "
                       "and pow, which are right to 4 units in the last place.\n");
}

void tune_print(const struct tune *tune)
{
        const int width = longest_name(tune);

        printf("%-*s %10s %9s %10s %5s\n", width, "candidate", "best", "ratio", "won", "runs");
        for (size_t i = 0; i < tune->n_candidates; i++)
                print_row(tune, &tune->candidates[i], width);
        print_choice(tune);
        for (char **path = tune->also_opened; path && *path; path++)
                printf("The command opens /%s as well, which is not tuned; --with /%s does that.\n",
                        *path, *path);
}

static json_t *describe(const struct tune *tune, const struct tune_candidate *candidate)
{
        static const char *const fates[] = {[TUNE_WAITING] = "waiting",
                [TUNE_SAME_CODE] = "same code",
                [TUNE_UNUSABLE] = "unusable",
                [TUNE_RACED] = "raced"};
        json_t *json = json_pack("{s:s, s:s, s:I}", "policy", candidate->text, "fate",
                fates[candidate->fate], "runs", (json_int_t)candidate->runs);

        if (candidate->runs > 0) {
                json_object_set_new(json, "best",
                        json_real(tune_metric_value(&tune->request->metric, candidate->best)));
                json_object_set_new(json, "cost_ratio", json_real(1 / (1 + candidate->score.gain)));
                json_object_set_new(
                        json, "rounds", json_integer((json_int_t)candidate->score.rounds));
                json_object_set_new(
                        json, "rounds_won", json_integer((json_int_t)candidate->score.wins));
        }
        if (candidate->fate == TUNE_SAME_CODE)
                json_object_set_new(
                        json, "same_as", json_string(tune->candidates[candidate->same_as].text));
        if (candidate->reason)
                json_object_set_new(json, "reason", json_string(candidate->reason));
        return json;
}

int tune_print_json(const struct tune *tune)
{
        json_t *candidates = json_array(), *programs = json_array(), *json;
        int r;

        for (size_t i = 0; i < tune->n_candidates; i++)
                json_array_append_new(candidates, describe(tune, &tune->candidates[i]));
        for (size_t i = 0; i < tune->n_programs; i++)
                json_array_append_new(programs, json_string(tune->programs[i].path));
        json = json_pack("{s:o, s:o, s:s, s:s, s:s, s:b, s:f, s:f, s:o}", "programs", programs,
                "also_opened", fmt_json_of_strings(tune->also_opened), "target", tune->target_text,
                "metric", tune_metric_name(&tune->request->metric), "policy",
                tune->candidates[tune->chosen].text, "is_chosen", tune->chosen != 0, "cost_ratio",
                ratio(tune), "seconds", tune->seconds, "candidates", candidates);
        r = json ? json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : -1;
        json_decref(json);
        printf("\n");
        return r < 0 ? -ENOMEM : 0;
}
