/* SPDX-License-Identifier: Apache-2.0 */
/* xaas prewarm IMAGE [PATH…]: does ahead of time what first opens would have to wait for. */
#include "prewarm.h"

#include "cache_index.h"
#include "cache_store.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_strings.h"
#include "jit_host.h"
#include "jit_spawner.h"
#include "tool_commands.h"
#include "tool_options.h"

#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>

enum {
        OPTION_CACHE = 1,
        OPTION_TARGET,
        OPTION_VARIANT,
        OPTION_JOBS,
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
        {OPTION_JSON, 0, "json", NULL, "print one JSON object"},
        {OPTION_VERBOSE, 'v', "verbose", NULL, "say of each compile where its time went"},
        {0},
};

struct request {
        const char *image;
        char **paths; /* NULL-terminated, or NULL */
        const char *cache;
        const char *target;
        bool json;
        bool verbose;
        struct jit_options how;
};

/* Everything that has to be taken down in reverse order. */
struct ground {
        struct jit_spawner *spawner;
        struct cache *cache;
        struct jit_target *target;
        int stop_fd;
        struct prewarm prewarm;
};

static void ground_done(struct ground *ground)
{
        struct prewarm *prewarm = &ground->prewarm;

        for (size_t i = 0; i < prewarm->n_programs; i++) {
                jit_program_free(prewarm->programs[i].loaded);
                free(prewarm->programs[i].reason);
        }
        free(prewarm->programs);
        jit_session_free(prewarm->session, true);
        jit_target_free(ground->target);
        cache_close(ground->cache);
        image_bundle_done(&prewarm->image);
        jit_spawner_stop(ground->spawner);
        fmt_close_fd(&ground->stop_fd);
}

/* SIGINT and SIGTERM as a descriptor; threads and children start with the mask of this moment. */
static int catch_signals(int *ret_fd)
{
        sigset_t signals;

        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return -errno;
        *ret_fd = signalfd(-1, &signals, SFD_CLOEXEC);
        return *ret_fd < 0 ? -errno : 0;
}

static int open_cache(const struct request *request, struct cache **ret)
{
        struct cache_options how = {.directory = request->cache};
        int r = cache_open(&how, ret);

        if (r < 0 || !cache_is_read_only(*ret))
                return r;
        fmt_error("cannot keep anything in the cache %s: it may not be written to; run prewarm as "
                  "its owner, or name another one with --cache",
                cache_directory(*ret));
        return -EROFS;
}

/* With the image's index in the cache, mounts need not make one. */
static int open_image(const struct request *request, struct cache *cache, struct image_bundle *ret)
{
        const struct fmt_index_keeper keeper = cache_index_keeper(cache);
        struct fmt_index_origin origin;
        int r = image_bundle_open(request->image, &keeper, ret);

        if (r < 0)
                return r;
        fmt_squashfs_index_origin(ret->image, &origin);
        r = cache_index_keep(cache, &origin);
        if (r < 0)
                fmt_warning("cannot keep the index of %s in the cache %s: %s; make room there, or "
                            "each mount makes its own",
                        request->image, cache_directory(cache), strerror(-r));
        return 0;
}

/* The order matters: the spawner and the image's indexer are forked before there are threads or
 * locks. */
static int lay_ground(const struct request *request, struct ground *ret)
{
        struct prewarm *prewarm = &ret->prewarm;
        const struct fmt_manifest *manifest;
        int r = jit_spawner_start(&ret->spawner);

        if (r == 0)
                r = catch_signals(&ret->stop_fd);
        if (r < 0) {
                fmt_error("cannot start processes: %s; raise the limits of this user (ulimit -a)",
                        strerror(-r));
                return r;
        }
        r = open_cache(request, &ret->cache);
        if (r == 0)
                r = open_image(request, ret->cache, &prewarm->image);
        if (r < 0 || !prewarm->image.manifest)
                return r;
        /* What is compiled need not run here: a login node may prepare for others. */
        r = jit_target_detect(request->target, true, &ret->target);
        if (r < 0)
                return r;
        manifest = prewarm->image.manifest;
        prewarm->programs = calloc(manifest->n_programs + 1, sizeof(*prewarm->programs));
        if (!prewarm->programs)
                return -ENOMEM;
        prewarm->n_programs = manifest->n_programs;
        for (size_t i = 0; i < manifest->n_programs; i++)
                prewarm->programs[i].entry = &manifest->programs[i];
        return jit_session_new(&request->how, ret->spawner, ret->cache, ret->target,
                prewarm->image.bundle, manifest, &prewarm->session);
}

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

static void print_json(const struct ground *ground, double seconds)
{
        const struct prewarm *prewarm = &ground->prewarm;
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

static void print_summary(const struct ground *ground, const char *image, double seconds)
{
        const struct prewarm *prewarm = &ground->prewarm;
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

static void tell_problems(const struct ground *ground)
{
        for (size_t i = 0; i < ground->prewarm.n_programs; i++) {
                const struct prewarm_program *program = &ground->prewarm.programs[i];
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

static int prewarm_image(const struct request *request)
{
        static const char *const everything[] = {NULL};
        _cleanup_(ground_done) struct ground ground = {.stop_fd = -1};
        struct timespec start;
        int r;

        if (!request->verbose)
                fmt_log_setup("xaas", FMT_LOG_WARNING);
        clock_gettime(CLOCK_MONOTONIC, &start);
        r = lay_ground(request, &ground);
        if (r < 0)
                return 1;
        if (ground.prewarm.session) {
                r = prewarm_select(&ground.prewarm,
                        request->paths ? (const char *const *)request->paths : everything);
                if (r < 0)
                        return 1;
                r = prewarm_run(&ground.prewarm, ground.stop_fd);
        }
        if (r == -ECANCELED) {
                fmt_error("stopped by a signal; what was compiled is in the cache, run it again "
                          "for the rest");
                return 1;
        }
        if (r < 0) {
                fmt_error("cannot compile %s: %s; try again", request->image, strerror(-r));
                return 1;
        }
        tell_problems(&ground);
        if (request->json)
                print_json(&ground, seconds_since(&start));
        else
                print_summary(&ground, request->image, seconds_since(&start));
        return count(&ground.prewarm, PREWARM_FAILED) > 0;
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
        fmt_strings_free(request.paths);
        return r;
}
