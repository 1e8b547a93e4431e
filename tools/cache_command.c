/* SPDX-License-Identifier: Apache-2.0 */
/* xaas cache stats|list|verify|gc|clear|limit */
#include "cache_store.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_size.h"
#include "fmt_suggest.h"
#include "tool_commands.h"
#include "tool_options.h"
#include "tool_target.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

enum { OPTION_CACHE = 1, OPTION_JSON, OPTION_SIZE, OPTION_COUNTERS };

static const struct tool_option options[] = {
        {OPTION_CACHE, 0, "cache", "DIR", "the cache, instead of $XAASFS_CACHE or ~/.cache/xaasfs"},
        {OPTION_JSON, 0, "json", NULL, "print one JSON object"},
        {OPTION_SIZE, 0, "size", "N",
                "gc: shrink to N bytes (K, M, G, T), once; limit: the most it may hold"},
        {OPTION_COUNTERS, 0, "counters", NULL, "clear: set the counters to zero as well"},
        {0},
};

struct request {
        struct cache *cache;
        bool json;
        uint64_t size;
        bool counters;
};

static int print_json(json_t *json)
{
        char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;

        json_decref(json);
        if (!text) {
                fmt_error("cannot print the result: out of memory");
                return 1;
        }
        printf("%s\n", text);
        free(text);
        return 0;
}

static int failed(const struct request *request, const char *what, int error)
{
        if (error == -EROFS)
                fmt_error("cannot %s the cache %s: it may not be written to; do this as its owner",
                        what, cache_directory(request->cache));
        else
                fmt_error("cannot %s the cache %s: %s; look at the folder, or start a new one with "
                          "--cache",
                        what, cache_directory(request->cache), strerror(-error));
        return 1;
}

static int print_stats_json(const struct request *request, const struct cache_stats *stats)
{
        json_t *json = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "directory",
                cache_directory(request->cache), "limit", (json_int_t)stats->limit, "objects",
                (json_int_t)stats->objects, "object_bytes", (json_int_t)stats->object_bytes,
                "module_results", (json_int_t)stats->module_results, "module_bytes",
                (json_int_t)stats->module_bytes, "indexes", (json_int_t)stats->indexes,
                "index_bytes", (json_int_t)stats->index_bytes);

        for (int i = 0; json && i < CACHE_N_COUNTERS; i++)
                json_object_set_new(
                        json, cache_counter_name(i), json_integer((json_int_t)stats->counters[i]));
        return print_json(json);
}

static int show_stats(const struct request *request)
{
        char bytes[FMT_SIZE_TEXT], more[FMT_SIZE_TEXT];
        struct cache_stats stats;
        int r = cache_stats(request->cache, &stats);

        if (r < 0)
                return failed(request, "read", r);
        if (request->json)
                return print_stats_json(request, &stats);
        printf("%-16s %s%s\n", "cache", cache_directory(request->cache),
                cache_is_read_only(request->cache) ? " (read-only)" : "");
        printf("%-16s %" PRIu64 " (%s)\n", "programs", stats.objects,
                fmt_size_text(stats.object_bytes, bytes));
        printf("%-16s %" PRIu64 " (%s)\n", "module results", stats.module_results,
                fmt_size_text(stats.module_bytes, bytes));
        printf("%-16s %" PRIu64 " (%s)\n", "image indexes", stats.indexes,
                fmt_size_text(stats.index_bytes, bytes));
        printf("%-16s %s of %s\n", "on disk",
                fmt_size_text(stats.object_bytes + stats.module_bytes + stats.index_bytes, bytes),
                fmt_size_text(stats.limit, more));
        for (int i = 0; i < CACHE_N_COUNTERS; i++) {
                char name[32];
                snprintf(name, sizeof(name), "%s", cache_counter_name(i));
                for (char *c = name; *c; c++)
                        if (*c == '_')
                                *c = ' ';
                if (i == CACHE_BYTES_PUBLISHED)
                        printf("%-16s %s\n", name, fmt_size_text(stats.counters[i], bytes));
                else
                        printf("%-16s %" PRIu64 "\n", name, stats.counters[i]);
        }
        return 0;
}

static int print_object(void *context, const struct cache_object *object)
{
        const struct cache_meta *meta = object->meta;
        char bytes[FMT_SIZE_TEXT];
        int size;
        const char *cpu = tool_target_cpu(meta->target, &size);

        (void)context;
        printf("%10s  %-16.*s  %-24s  /%s\n", fmt_size_text(object->bytes, bytes), size, cpu,
                meta->policy ? meta->policy : "?", meta->program);
        return 0;
}

static int append_object(void *context, const struct cache_object *object)
{
        const struct cache_meta *meta = object->meta;
        char key[FMT_DIGEST_HEX_SIZE];

        fmt_digest_to_hex(&object->key, key);
        json_array_append_new(
                context, json_pack("{s:s, s:s, s:s, s:s?, s:I, s:f, s:f}", "key", key, "program",
                                 meta->program, "target", meta->target, "policy", meta->policy,
                                 "bytes", (json_int_t)object->bytes, "compile_seconds",
                                 (double)meta->compile_ns / 1e9, "last_use",
                                 (double)object->last_use / 1e9));
        return 0;
}

static int list(const struct request *request)
{
        json_t *objects = request->json ? json_array() : NULL;
        int r = cache_each_object(
                request->cache, request->json ? append_object : print_object, objects);

        if (r < 0) {
                json_decref(objects);
                return failed(request, "read", r);
        }
        return request->json ? print_json(objects) : 0;
}

static void report_damage(void *context, const char *what, const char *why)
{
        const struct request *request = context;

        fmt_warning("damaged: %s/v1/%s: %s", cache_directory(request->cache), what, why);
}

static int verify(const struct request *request)
{
        struct cache_verdict verdict;
        int r = cache_verify(request->cache, report_damage, (void *)request, &verdict);

        if (r < 0)
                return failed(request, "verify", r);
        if (request->json)
                r = print_json(json_pack("{s:I, s:I}", "checked", (json_int_t)verdict.checked,
                        "damaged", (json_int_t)verdict.damaged));
        else if (verdict.damaged)
                printf("%" PRIu64 " of %" PRIu64 " were damaged%s\n", verdict.damaged,
                        verdict.checked,
                        cache_is_read_only(request->cache)
                                ? ""
                                : " and taken out; they will be made again");
        else
                printf("%" PRIu64 " checked, none damaged\n", verdict.checked);
        return r || verdict.damaged ? 1 : 0;
}

static int freed(const struct request *request, uint64_t bytes)
{
        char text[FMT_SIZE_TEXT];

        if (request->json)
                return print_json(json_pack("{s:I}", "freed", (json_int_t)bytes));
        printf("%s freed\n", fmt_size_text(bytes, text));
        return 0;
}

static int collect(const struct request *request)
{
        uint64_t bytes = 0;
        int r = cache_collect(request->cache, request->size, &bytes);

        return r < 0 ? failed(request, "shrink", r) : freed(request, bytes);
}

/* Opening it with a limit has set that one already. */
static int limit(const struct request *request)
{
        char text[FMT_SIZE_TEXT];
        uint64_t bytes = cache_limit(request->cache);

        if (request->size > 0 && cache_is_read_only(request->cache))
                return failed(request, "limit", -EROFS);
        if (request->json)
                return print_json(json_pack("{s:I}", "limit", (json_int_t)bytes));
        printf("the cache may hold %s\n", fmt_size_text(bytes, text));
        return 0;
}

static int clear(const struct request *request)
{
        uint64_t bytes = 0;
        int r = cache_clear(request->cache, request->counters, &bytes);

        return r < 0 ? failed(request, "clear", r) : freed(request, bytes);
}

static const struct {
        const char *name;
        int (*run)(const struct request *request);
} actions[] = {{"stats", show_stats}, {"list", list}, {"verify", verify}, {"gc", collect},
        {"clear", clear}, {"limit", limit}};

#define N_ACTIONS (sizeof(actions) / sizeof(actions[0]))

static int unknown_action(const struct tool_line *line, const char *given)
{
        const char *names[N_ACTIONS + 1] = {NULL};
        const char *close;

        for (size_t i = 0; i < N_ACTIONS; i++)
                names[i] = actions[i].name;
        close = fmt_suggest(given, names);
        if (close)
                tool_wrong(line, "there is no `xaas cache %s`; did you mean %s?", given, close);
        else
                tool_wrong(line, "there is no `xaas cache %s`", given);
        return TOOL_USAGE;
}

struct arguments {
        const char *directory;
        const char *action;
        struct request request;
};

static int parse(struct tool_line *line, struct arguments *ret)
{
        const char *value;

        for (;;) {
                switch (tool_next(line, &value)) {
                case OPTION_CACHE:
                        ret->directory = value;
                        break;
                case OPTION_JSON:
                        ret->request.json = true;
                        break;
                case OPTION_COUNTERS:
                        ret->request.counters = true;
                        break;
                case OPTION_SIZE:
                        if (tool_parse_size(value, &ret->request.size) < 0)
                                return tool_wrong(
                                        line, "%s is no size; say for example --size 2G", value);
                        /* 0 stands for the cache's own limit. */
                        if (ret->request.size == 0)
                                ret->request.size = 1;
                        break;
                case TOOL_OPERAND:
                        if (ret->action)
                                return tool_wrong(line, "%s is one word too many", value);
                        ret->action = value;
                        break;
                case TOOL_END:
                        return TOOL_END;
                case TOOL_HELP:
                        return TOOL_HELP;
                default:
                        return TOOL_WRONG;
                }
        }
}

int tool_cache(int argc, char **argv)
{
        struct tool_line line = {.usage = "xaas cache stats|list|verify|gc|clear|limit [OPTIONS]",
                .about = "Programs are compiled once and images indexed once; a cache that all "
                         "mounts share keeps\n"
                         "both.",
                .options = options,
                .argc = argc,
                .argv = argv};
        struct arguments arguments = {0};
        int r = parse(&line, &arguments);

        if (r != TOOL_END)
                return r == TOOL_HELP ? 0 : TOOL_USAGE;
        if (!arguments.action) {
                tool_wrong(&line, "say what to do with the cache");
                return TOOL_USAGE;
        }
        for (size_t i = 0; i < N_ACTIONS; i++) {
                struct cache_options how = {.directory = arguments.directory};
                if (strcmp(arguments.action, actions[i].name))
                        continue;
                if (actions[i].run == limit)
                        how.limit = arguments.request.size;
                /* Only who says how large it may be means one that is not there yet; anybody else
                 * has mistyped. */
                how.must_exist = arguments.directory && how.limit == 0;
                if (cache_open(&how, &arguments.request.cache) < 0)
                        return 1;
                r = actions[i].run(&arguments.request);
                cache_close(arguments.request.cache);
                return r;
        }
        return unknown_action(&line, arguments.action);
}
