/* SPDX-License-Identifier: Apache-2.0 */
/* xaas tune IMAGE PROGRAM -- COMMAND…: how is PROGRAM best compiled for this machine? */
#include "tune.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_strings.h"
#include "jit_choice.h"
#include "jit_counting.h"
#include "tool_commands.h"
#include "tool_options.h"
#include "tune_choices.h"

#include <string.h>

enum {
        OPTION_CACHE = 1,
        OPTION_TARGET,
        OPTION_VARIANT,
        OPTION_WITH,
        OPTION_METRIC,
        OPTION_HIGHER,
        OPTION_CHECK,
        OPTION_SAME_RESULTS,
        OPTION_VECTOR_MATH,
        OPTION_ROUNDS,
        OPTION_SECONDS,
        OPTION_DRY_RUN,
        OPTION_JSON,
        OPTION_LIST,
        OPTION_FORGET,
        OPTION_EXPORT,
        OPTION_IMPORT
};

static const struct tool_option options[] = {
        {OPTION_METRIC, 0, "metric", "WHAT",
                "wall (default), cpu, user, or a regular expression whose group is a number printed"},
        {OPTION_HIGHER, 0, "higher", NULL, "the higher that number the better"},
        {OPTION_CHECK, 0, "check", NULL, "what prints something else than the default is out"},
        {OPTION_SAME_RESULTS, 0, "same-results", NULL,
                "only what rounds floating-point numbers as a native build does"},
        {OPTION_VECTOR_MATH, 0, "vector-math", NULL,
                "also the C library's vector functions, right to 4 units in the last place"},
        {OPTION_WITH, 0, "with", "PATH",
                "tune this too, such as a library opened at run time; may be repeated"},
        {OPTION_ROUNDS, 0, "rounds", "N", "most rounds of each race but the last; default 15"},
        {OPTION_SECONDS, 0, "seconds", "N", "most time for measuring; default 600"},
        {OPTION_CACHE, 0, "cache", "DIR", "the cache, instead of $XAASFS_CACHE or ~/.cache/xaasfs"},
        {OPTION_TARGET, 0, "target", "NAME", "tune for mounts with this -o target="},
        {OPTION_VARIANT, 0, "variant", "NAME", "of programs that have several; as for xaasfs"},
        {OPTION_DRY_RUN, 0, "dry-run", NULL, "list the candidates and stop"},
        {OPTION_JSON, 0, "json", NULL, "print one JSON object"},
        {OPTION_LIST, 0, "list", NULL, "show what was chosen so far, and why"},
        {OPTION_FORGET, 0, "forget", NULL, "compile IMAGE's PROGRAM as everything else again"},
        {OPTION_EXPORT, 0, "export", "FILE", "write what was chosen, for other machines"},
        {OPTION_IMPORT, 0, "import", "FILE", "take over what another machine wrote"},
        {0},
};

/* Instead of tuning. */
struct errand {
        int option; /* OPTION_LIST and so on; 0: tune */
        const char *file;
};

/* ---- tuning ---- */

static void tune_done(struct tune *tune)
{
        for (size_t i = 0; i < tune->n_candidates; i++) {
                tune_mount_end(tune->candidates[i].mount);
                free(tune->candidates[i].text);
                free(tune->candidates[i].reason);
        }
        for (size_t i = 0; i < tune->n_programs; i++)
                free(tune->programs[i].path);
        free(tune->programs);
        fmt_strings_free(tune->also_opened);
        free(tune->target_text);
        tune_command_done(&tune->command);
        tune_mounts_done(&tune->mounts);
        image_ground_done(&tune->ground);
}

/* What is known without a run: the target, the programs. */
static int look(struct tune *tune)
{
        const struct tune_request *request = tune->request;
        const struct image_ground_wish wish = {.command = "tune",
                .image = request->image,
                .cache = request->cache,
                .target = request->target};
        int r = image_ground_lay(&wish, &tune->ground);

        if (r < 0)
                return r;
        if (!tune->ground.target) {
                fmt_error("cannot tune %s: %s has no portable objects; pack it from programs that "
                          "`xaas build` built",
                        request->program, request->image);
                return -ENOENT;
        }
        r = jit_target_describe(tune->ground.target, &tune->target_text);
        return r < 0 ? r : tune_find_programs(tune);
}

/* Mounts of an image that is being profiled serve programs that count, which takes their time. */
static int refuse_counting(const struct tune *tune)
{
        struct jit_counting counting;
        struct fmt_digest root;

        fmt_bundle_root(tune->ground.image.bundle, &root);
        if (jit_counting_read(tune->ground.cache, &root, &counting) < 0)
                return 0;
        jit_counting_done(&counting);
        fmt_error("cannot tune %s: `xaas profile start` has programs of %s count; run `xaas "
                  "profile finish %s` first",
                tune->request->program, tune->request->image, tune->request->image);
        return -EBUSY;
}

static int prepare(struct tune *tune)
{
        const struct tune_request *request = tune->request;
        int r = refuse_counting(tune);

        if (r == 0)
                r = tune_command_begin(
                        request->command, &request->metric, tune->ground.stop_fd, &tune->command);
        if (r < 0)
                return r;
        tune->mounts = (struct tune_mounts){.image = request->image,
                .cache = cache_directory(tune->ground.cache),
                .target = request->target,
                .variant = request->variant,
                .stop_fd = tune->ground.stop_fd};
        return tune_mounts_begin(&tune->mounts);
}

/* The default needs no note, and an older choice has lost. */
static int remember(const struct tune *tune)
{
        _cleanup_free_ char *why = tune_sentence(tune);
        int r = why ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < tune->n_programs; i++) {
                const struct tune_program *program = &tune->programs[i];
                const struct jit_choice choice = {.program = program->path,
                        .target = tune->target_text,
                        .policy = tune->candidates[tune->chosen].policy,
                        .why = why};
                if (tune->chosen != 0)
                        r = jit_choice_write(tune->ground.cache, &program->choice_name, &choice);
                else
                        r = jit_choice_remove(tune->ground.cache, &program->choice_name);
                r = r == -ENOENT ? 0 : r;
        }
        if (r < 0)
                fmt_error("cannot remember what was chosen in the cache %s: %s; make room there, "
                          "and tune again",
                        cache_directory(tune->ground.cache), strerror(-r));
        return r;
}

static int tune_program(const struct tune_request *request)
{
        _cleanup_(tune_done) struct tune tune = {.request = request, .ground = IMAGE_GROUND_EMPTY};
        int r;

        fmt_log_setup("xaas", FMT_LOG_WARNING);
        r = look(&tune);
        if (r == 0)
                r = tune_list_steps(&tune);
        if (r == 0 && request->dry_run) {
                tune_print_candidates(&tune);
                return 0;
        }
        if (r == 0)
                r = prepare(&tune);
        if (r == 0)
                r = tune_measure(&tune);
        if (r == -ECANCELED)
                fmt_error(
                        "stopped by a signal; nothing was chosen, tune %s again", request->program);
        if (r == 0)
                r = remember(&tune);
        if (r < 0)
                return 1;
        if (request->json)
                return tune_print_json(&tune) < 0;
        tune_print(&tune);
        return 0;
}

/* ---- errands ---- */

static int forget(const struct tune_request *request)
{
        _cleanup_(tune_done) struct tune tune = {.request = request, .ground = IMAGE_GROUND_EMPTY};
        size_t n = 0;

        fmt_log_setup("xaas", FMT_LOG_WARNING);
        if (look(&tune) < 0)
                return 1;
        for (size_t i = 0; i < tune.n_programs; i++) {
                int r = jit_choice_remove(tune.ground.cache, &tune.programs[i].choice_name);
                if (r < 0 && r != -ENOENT) {
                        fmt_error("cannot forget what was chosen for %s in the cache %s: %s; look "
                                  "at the folder",
                                tune.programs[i].path, cache_directory(tune.ground.cache),
                                strerror(-r));
                        return 1;
                }
                n += r == 0;
        }
        printf(n > 0 ? "forgotten: %s is compiled as everything else again\n"
                     : "nothing was chosen for %s on this target\n",
                request->program);
        return 0;
}

static int run_errand(const struct errand *errand, const struct tune_request *request)
{
        const struct cache_options how = {
                .directory = request->cache, .read_only = errand->option != OPTION_IMPORT};
        struct cache *cache;
        int r;

        if (errand->option == OPTION_FORGET)
                return forget(request);
        if (cache_open(&how, &cache) < 0)
                return 1;
        if (errand->option == OPTION_LIST)
                r = tune_choices_list(cache, request->json);
        else if (errand->option == OPTION_EXPORT)
                r = tune_choices_export(cache, errand->file);
        else
                r = tune_choices_import(cache, errand->file);
        cache_close(cache);
        return r;
}

/* ---- the command line ---- */

static int take_operand(struct tune_request *request, const char *value)
{
        if (!request->image) {
                request->image = value;
                return 0;
        }
        if (!request->program) {
                request->program = value;
                return 0;
        }
        return fmt_strings_append(&request->command, value);
}

static int set_number(
        struct tool_line *line, const char *name, const char *value, unsigned least, unsigned *ret)
{
        uint64_t number;

        if (tool_parse_number(value, least, 1000000, &number) < 0)
                return tool_wrong(
                        line, "--%s takes a number from %u on, not %s", name, least, value);
        *ret = (unsigned)number;
        return 0;
}

static int set_metric(struct tool_line *line, const char *value, struct tune_metric *metric)
{
        _cleanup_free_ char *reason = NULL;

        tune_metric_done(metric);
        if (tune_metric_parse(metric, value, &reason) == 0)
                return 0;
        return tool_wrong(line, "%s", reason ? reason : "out of memory");
}

static int take_option(struct tool_line *line, int option, const char *value,
        struct tune_request *ret, struct errand *errand)
{
        switch (option) {
        case OPTION_CACHE:
                ret->cache = value;
                return 0;
        case OPTION_TARGET:
                ret->target = value;
                return 0;
        case OPTION_VARIANT:
                ret->variant = value;
                return 0;
        case OPTION_WITH:
                return fmt_strings_append(&ret->with, value);
        case OPTION_METRIC:
                return set_metric(line, value, &ret->metric);
        case OPTION_HIGHER:
                ret->metric.higher = true;
                return 0;
        case OPTION_CHECK:
                ret->check = true;
                return 0;
        case OPTION_SAME_RESULTS:
        case OPTION_VECTOR_MATH:
                if (ret->results != TUNE_GENERIC_ROUNDING)
                        return tool_wrong(line, "--same-results and --vector-math exclude each other");
                ret->results =
                        option == OPTION_SAME_RESULTS ? TUNE_SAME_RESULTS : TUNE_VECTOR_MATH;
                return 0;
        case OPTION_ROUNDS:
                return set_number(line, "rounds", value, 2, &ret->rounds);
        case OPTION_SECONDS:
                return set_number(line, "seconds", value, 1, &ret->seconds);
        case OPTION_DRY_RUN:
                ret->dry_run = true;
                return 0;
        case OPTION_JSON:
                ret->json = true;
                return 0;
        default:
                if (errand->option)
                        return tool_wrong(
                                line, "--list, --forget, --export and --import exclude each other");
                *errand = (struct errand){.option = option, .file = value};
                return 0;
        }
}

/* Whether the operands are those that the request needs. */
static int check_operands(
        struct tool_line *line, const struct tune_request *request, const struct errand *errand)
{
        const bool named = !errand->option || errand->option == OPTION_FORGET;

        if (!named && request->image)
                return tool_wrong(line, "%s is one word too many", request->image);
        if (named && !request->program)
                return tool_wrong(line, "%s is missing", request->image ? "a program" : "an image");
        if (errand->option == OPTION_FORGET && request->command)
                return tool_wrong(line, "%s is one word too many", request->command[0]);
        if (!errand->option && !request->command && !request->dry_run)
                return tool_wrong(line, "a command that runs %s is missing: put it behind --",
                        request->program);
        if (request->metric.higher && request->metric.measure != TUNE_PRINTED)
                return tool_wrong(line, "--higher needs --metric with a regular expression");
        return TOOL_END;
}

static int parse(struct tool_line *line, struct tune_request *ret, struct errand *errand)
{
        const char *value;

        for (;;) {
                int option = tool_next(line, &value);
                if (option == TOOL_END)
                        return check_operands(line, ret, errand);
                if (option < 0 && option != TOOL_OPERAND)
                        return option;
                int r = option == TOOL_OPERAND ? take_operand(ret, value)
                                               : take_option(line, option, value, ret, errand);
                if (r == -ENOMEM)
                        return tool_wrong(line, "out of memory");
                if (r < 0)
                        return r;
        }
}

int tool_tune(int argc, char **argv)
{
        struct tool_line line = {
                .usage = "xaas tune [OPTIONS] IMAGE PROGRAM -- COMMAND [ARGUMENT…]",
                .about = "Compiles PROGRAM (its path in the image) and the libraries it needs in "
                         "several ways, runs\nCOMMAND with each, and has later mounts use the best "
                         "one. {} in COMMAND is the mount point;\nwithout it COMMAND runs inside "
                         "the image.",
                .options = options,
                .argc = argc,
                .argv = argv};
        struct tune_request request = {.rounds = 15, .seconds = 600};
        struct errand errand = {0};
        int r = parse(&line, &request, &errand);

        if (r == TOOL_END)
                r = errand.option ? run_errand(&errand, &request) : tune_program(&request);
        else
                r = r == TOOL_HELP ? 0 : TOOL_USAGE;
        tune_metric_done(&request.metric);
        fmt_strings_free(request.with);
        fmt_strings_free(request.command);
        return r;
}
