/* SPDX-License-Identifier: Apache-2.0 */
/* xaas prewarm IMAGE [PATH…]: does ahead of time what first opens would have to wait for. */
#include "prewarm.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_strings.h"
#include "image_ground.h"
#include "jit_memory.h"
#include "tool_commands.h"
#include "tool_options.h"

#include <jansson.h>
#include <string.h>
#include <time.h>

enum {
        OPTION_CACHE = 1,
        OPTION_TARGET,
        OPTION_VARIANT,
        OPTION_JOBS,
        OPTION_JIT_MEM,
        OPTION_JIT_CORES,
        OPTION_JSON,
        OPTION_VERBOSE,
        OPTION_FP,
        OPTION_LTO,
        OPTION_POLICY
};

static const struct tool_option options[] = {
        {OPTION_CACHE, 0, "cache", "DIR", "the cache, instead of $XAASFS_CACHE or ~/.cache/xaasfs"},
        {OPTION_TARGET, 0, "target", "NAME",
                "compile for x86-64-v2, -v3, -v4 or a CPU name, instead of this host"},
        {OPTION_VARIANT, 0, "variant", "NAME", "of programs that have several; as for xaasfs"},
        {OPTION_FP, 0, "fp", "strict|default", "as for xaasfs"},
        {OPTION_LTO, 0, "lto", "full|thin|off", "as for xaasfs"},
        {OPTION_POLICY, 0, "policy", "POLICY", "as for xaasfs"},
        {OPTION_JOBS, 'j', "jobs", "N", "use N cores; default: all that this process may use"},
        {OPTION_JIT_MEM, 0, "jit-mem", "SIZE",
                "memory that all compiles together may use; default: 3/4 of it"},
        {OPTION_JIT_CORES, 0, "jit-cores", "LIST",
                "keep compiles on these cores, or with not:LIST on all others"},
        {OPTION_JSON, 0, "json", NULL, "print one JSON object"},
        {OPTION_VERBOSE, 'v', "verbose", NULL, "say of each compile where its time went"},
        {0},
};

struct request {
        const char *image;
        char **paths; /* NULL-terminated, or NULL */
        const char *cache;
        const char *target;
        struct jit_cores *cores; /* what how.cores borrows */
        bool json;
        bool verbose;
        struct jit_options how;
};

static size_t count(const struct prewarm *prewarm, enum prewarm_state state)
{
        size_t n = 0;

        for (size_t i = 0; i < prewarm->n_programs; i++)
                n += prewarm->programs[i].state == state;
        return n;
}

static double seconds_since(const struct timespec *start)
{
        struct timespec now;

        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static const char *const state_names[] = {[PREWARM_CACHED] = "cached",
        [PREWARM_COMPILED] = "compiled",
        [PREWARM_UNSUPPORTED] = "unsupported",
        [PREWARM_FAILED] = "failed"};

static void print_json(
        const struct image_ground *ground, const struct prewarm *prewarm, double seconds)
{
        json_t *programs = json_array();
        json_t *json;

        for (size_t i = 0; i < prewarm->n_programs; i++) {
                const struct prewarm_program *program = &prewarm->programs[i];
                json_t *entry;
                if (program->state <= PREWARM_WAITING)
                        continue;
                entry = json_pack("{s:s, s:s, s:s?}", "path", program->entry->path, "state",
                        state_names[program->state], "reason", program->reason);
                json_array_append_new(programs, entry ? entry : json_null());
        }
        json = json_pack("{s:s?, s:s?, s:I, s:I, s:I, s:I, s:f, s:o}", "target",
                ground->target ? ground->target->label : NULL, "cache",
                ground->cache ? cache_directory(ground->cache) : NULL, "compiled",
                (json_int_t)count(prewarm, PREWARM_COMPILED), "cached",
                (json_int_t)count(prewarm, PREWARM_CACHED), "unsupported",
                (json_int_t)count(prewarm, PREWARM_UNSUPPORTED), "failed",
                (json_int_t)count(prewarm, PREWARM_FAILED), "seconds", seconds, "programs",
                programs);
        json_dumpf(json, stdout, JSON_INDENT(2));
        printf("\n");
        json_decref(json);
}

static void print_summary(const struct prewarm *prewarm, const char *image, double seconds)
{
        size_t compiled = count(prewarm, PREWARM_COMPILED), cached = count(prewarm, PREWARM_CACHED);
        size_t unsupported = count(prewarm, PREWARM_UNSUPPORTED);
        size_t failed = count(prewarm, PREWARM_FAILED);

        if (prewarm->n_wanted == 0) {
                printf("nothing to do: no portable program %s %s\n",
                        prewarm->n_programs ? "was named in" : "is in", image);
                return;
        }
        if (compiled == 0 && failed == 0 && unsupported == 0) {
                printf("nothing to do: %s for this target\n",
                        cached == 1 ? "the program is in the cache"
                                    : "all programs are in the cache");
                return;
        }
        printf("%zu compiled", compiled);
        if (cached)
                printf(", %zu in the cache already", cached);
        if (unsupported)
                printf(", %zu that this target cannot run", unsupported);
        if (failed)
                printf(", %zu failed", failed);
        printf("; %.1f s\n", seconds);
}

static void tell_problems(const struct prewarm *prewarm)
{
        for (size_t i = 0; i < prewarm->n_programs; i++) {
                const struct prewarm_program *program = &prewarm->programs[i];
                const char *reason = program->reason ? program->reason : "out of memory";
                const char *instead = program->entry->baseline
                                              ? "its generic build is served instead"
                                              : "it cannot be opened there";
                if (program->state == PREWARM_FAILED)
                        fmt_error(
                                "cannot compile %s: %s; %s", program->entry->path, reason, instead);
                else if (program->state == PREWARM_UNSUPPORTED)
                        fmt_warning("%s cannot be compiled for this target: %s; %s",
                                program->entry->path, reason, instead);
        }
}

static int compile(
        const struct request *request, const struct image_ground *ground, struct prewarm *prewarm)
{
        static const char *const everything[] = {NULL};
        int r = prewarm_begin(ground, &request->how, prewarm);

        if (r == 0)
                r = prewarm_select(
                        prewarm, request->paths ? (const char *const *)request->paths : everything);
        if (r < 0)
                return 1;
        r = prewarm_run(prewarm, ground->stop_fd);
        if (r == -ECANCELED)
                fmt_error("stopped by a signal; what was compiled is in the cache, run it again "
                          "for the rest");
        else if (r < 0)
                fmt_error("cannot compile %s: %s; try again", request->image, strerror(-r));
        return r < 0;
}

static int prewarm_image(const struct request *request)
{
        const struct image_ground_wish wish = {.command = "prewarm",
                .image = request->image,
                .cache = request->cache,
                .target = request->target,
                .cores = request->cores,
                .runs_elsewhere = true}; /* a login node may prepare for others */
        _cleanup_(image_ground_done) struct image_ground ground = IMAGE_GROUND_EMPTY;
        _cleanup_(prewarm_done) struct prewarm prewarm = {0};
        struct timespec start;

        if (!request->verbose)
                fmt_log_setup("xaas", FMT_LOG_WARNING);
        clock_gettime(CLOCK_MONOTONIC, &start);
        if (image_ground_lay(&wish, &ground) < 0)
                return 1;
        if (ground.image.manifest && compile(request, &ground, &prewarm))
                return 1;
        tell_problems(&prewarm);
        if (request->json)
                print_json(&ground, &prewarm, seconds_since(&start));
        else
                print_summary(&prewarm, request->image, seconds_since(&start));
        return count(&prewarm, PREWARM_FAILED) > 0;
}

static int take_operand(struct request *request, const char *value)
{
        if (!request->image) {
                request->image = value;
                return 0;
        }
        return fmt_strings_append(&request->paths, value);
}

static int set_wish(struct jit_wish *wish, int option, const char *value, char **ret_reason)
{
        const char *name = option == OPTION_FP ? "fp" : option == OPTION_LTO ? "lto" : "policy";
        return jit_wish_set(wish, name, value, ret_reason);
}

static int set_cores(struct request *request, const char *value, char **ret_reason)
{
        jit_cores_free(request->cores);
        request->cores = NULL;
        int r = jit_cores_parse(value, &request->cores, ret_reason);
        request->how.cores = request->cores;
        return r;
}

static int parse(struct tool_line *line, struct request *ret)
{
        _cleanup_free_ char *reason = NULL;
        const char *value;
        uint64_t number;

        for (;;) {
                int option = tool_next(line, &value);
                switch (option) {
                case OPTION_CACHE:
                        ret->cache = value;
                        break;
                case OPTION_TARGET:
                        ret->target = value;
                        break;
                case OPTION_VARIANT:
                        ret->how.variant = value;
                        break;
                case OPTION_FP:
                case OPTION_LTO:
                case OPTION_POLICY:
                        if (set_wish(&ret->how.wish, option, value, &reason) < 0)
                                return tool_wrong(line, "%s", reason ? reason : "out of memory");
                        break;
                case OPTION_JSON:
                        ret->json = true;
                        break;
                case OPTION_VERBOSE:
                        ret->verbose = true;
                        break;
                case OPTION_JOBS:
                        if (tool_parse_number(value, 1, 4096, &number) < 0)
                                return tool_wrong(line,
                                        "--jobs takes a number from 1 to 4096, "
                                        "not %s",
                                        value);
                        ret->how.threads = (unsigned)number;
                        break;
                case OPTION_JIT_MEM:
                        if (tool_parse_size(value, &ret->how.memory_limit) < 0 ||
                                ret->how.memory_limit < JIT_MEMORY_LEAST)
                                return tool_wrong(line,
                                        "--jit-mem takes a size from 64M on, not %s", value);
                        break;
                case OPTION_JIT_CORES:
                        if (set_cores(ret, value, &reason) < 0)
                                return tool_wrong(line, "--jit-cores %s: %s", value,
                                        reason ? reason : "it cannot be told which there are");
                        break;
                case TOOL_OPERAND:
                        if (take_operand(ret, value) < 0)
                                return tool_wrong(line, "out of memory");
                        break;
                case TOOL_END:
                        return ret->image ? TOOL_END : tool_wrong(line, "an image is missing");
                default:
                        return option;
                }
        }
}

int tool_prewarm(int argc, char **argv)
{
        struct tool_line line = {.usage = "xaas prewarm [OPTIONS] IMAGE [PATH…]",
                .about =
                        "Compiles all programs of an image into the cache, or those named and the "
                        "libraries\nthey need. PATHs are as seen inside the image; a folder stands "
                        "for all below it.",
                .options = options,
                .argc = argc,
                .argv = argv};
        struct request request = {0};
        int r = parse(&line, &request);

        r = r == TOOL_END ? prewarm_image(&request) : r == TOOL_HELP ? 0 : TOOL_USAGE;
        jit_cores_free(request.cores);
        fmt_strings_free(request.paths);
        return r;
}
