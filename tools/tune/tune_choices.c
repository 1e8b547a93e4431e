/* SPDX-License-Identifier: Apache-2.0 */
#include "tune_choices.h"

#include "fmt_cleanup.h"
#include "fmt_json.h"
#include "fmt_log.h"
#include "jit_choice.h"
#include "tool_target.h"

#include <string.h>
#include <sys/stat.h>

#define MARK "xaas-choices"
#define VERSION 1

static json_t *encode(const struct fmt_digest *name, const struct jit_choice *choice)
{
        _cleanup_free_ char *policy = NULL;
        char hex[FMT_DIGEST_HEX_SIZE];

        if (jit_policy_format(&choice->policy, &policy) < 0)
                return NULL;
        fmt_digest_to_hex(name, hex);
        return json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", hex, "program", choice->program,
                "target", choice->target, "policy", policy, "why", choice->why);
}

static int append(void *context, const struct fmt_digest *name, const struct jit_choice *choice)
{
        return json_array_append_new(context, encode(name, choice)) < 0 ? -ENOMEM : 0;
}

/* The choices of CACHE as an array; NULL after saying what is wrong. */
static json_t *read_all(struct cache *cache)
{
        json_t *choices = json_array();
        int r = jit_choice_each(cache, append, choices);

        if (r == 0)
                return choices;
        fmt_error("cannot read what was chosen from the cache %s: %s; look at the folder",
                cache_directory(cache), strerror(-r));
        json_decref(choices);
        return NULL;
}

/* ---- list ---- */

int tune_choices_list(struct cache *cache, bool json)
{
        _cleanup_(fmt_json_decrefp) json_t *choices = read_all(cache);
        json_t *choice;
        size_t i;

        if (!choices)
                return 1;
        if (json) {
                json_dumpf(choices, stdout, JSON_INDENT(2));
                printf("\n");
                return 0;
        }
        if (json_array_size(choices) == 0)
                printf("nothing was chosen so far in the cache %s\n", cache_directory(cache));
        json_array_foreach (choices, i, choice) {
                int size;
                const char *cpu = tool_target_cpu(
                        json_string_value(json_object_get(choice, "target")), &size);
                printf("/%s on %.*s: %s\n    %s\n",
                        json_string_value(json_object_get(choice, "program")), size, cpu,
                        json_string_value(json_object_get(choice, "policy")),
                        json_string_value(json_object_get(choice, "why")));
        }
        return 0;
}

/* ---- export and import ---- */

int tune_choices_export(struct cache *cache, const char *file)
{
        _cleanup_(fmt_json_decrefp) json_t *choices = read_all(cache), *all = NULL;
        FILE *out = NULL;
        int r;

        if (!choices)
                return 1;
        all = json_pack("{s:i, s:O}", MARK, VERSION, "choices", choices);
        out = strcmp(file, "-") ? fopen(file, "we") : stdout;
        r = all && out ? json_dumpf(all, out, JSON_INDENT(2)) : -1;
        if (r == 0 && fputc('\n', out) == EOF)
                r = -1;
        if (out && out != stdout && fclose(out) != 0)
                r = -1;
        if (r == 0)
                return 0;
        fmt_error("cannot write %s: %s; name another file", file, strerror(errno));
        return 1;
}

static int read_file(const char *file, json_t **ret)
{
        _cleanup_fclose_ FILE *in = fopen(strcmp(file, "-") ? file : "/dev/stdin", "re");
        _cleanup_free_ char *text = NULL;
        size_t room = 0;
        ssize_t size;

        if (!in)
                return -errno;
        size = getdelim(&text, &room, '\0', in);
        if (size < 0)
                return ferror(in) ? -EIO : -EBADMSG;
        return fmt_json_parse(text, (size_t)size, file, ret);
}

static int import_one(struct cache *cache, const json_t *json)
{
        const char *name, *program, *target, *policy, *why;
        struct jit_choice choice = {0};
        struct fmt_digest digest;

        if (json_unpack((json_t *)json, "{s:s, s:s, s:s, s:s, s:s}", "name", &name, "program",
                    &program, "target", &target, "policy", &policy, "why", &why) < 0 ||
                fmt_digest_from_hex(name, &digest) < 0 ||
                jit_policy_parse(policy, &choice.policy, NULL) < 0)
                return -EBADMSG;
        choice.program = (char *)program;
        choice.target = (char *)target;
        choice.why = (char *)why;
        return jit_choice_write(cache, &digest, &choice);
}

int tune_choices_import(struct cache *cache, const char *file)
{
        _cleanup_(fmt_json_decrefp) json_t *all = NULL;
        json_t *choices = NULL, *choice;
        int version = 0, r = read_file(file, &all);
        size_t i;

        if (r == 0 && (json_unpack(all, "{s:i, s:o}", MARK, &version, "choices", &choices) < 0 ||
                              version != VERSION || !json_is_array(choices)))
                r = -EBADMSG;
        json_array_foreach (choices, i, choice)
                if (r == 0)
                        r = import_one(cache, choice);
        if (r == 0) {
                printf("%zu choices\n", json_array_size(choices));
                return 0;
        }
        if (r == -EBADMSG)
                fmt_error("cannot import %s: it holds no choices that this version understands; "
                          "give a file that `xaas tune --export` wrote",
                        file);
        else
                fmt_error("cannot import %s: %s; look at the file, and at the cache %s", file,
                        strerror(-r), cache_directory(cache));
        return 1;
}
