/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_choice.h"

#include "cache_note.h"
#include "fmt_cleanup.h"
#include "fmt_json.h"
#include "jit_key.h"

#include <string.h>

#define KIND "choice"
#define VERSION 1

int jit_choice_name(const struct fmt_variant *variant, const char *target, struct fmt_digest *ret)
{
        return jit_key_of_note("xaasfs chosen policy 1\n", target, variant, ret);
}

static int decode(const void *data, size_t size, struct jit_choice *ret)
{
        _cleanup_(fmt_json_decrefp) json_t *json = NULL;
        const char *program, *target, *policy, *why;
        int version;
        struct jit_choice choice = {0};
        int r = fmt_json_parse(data, size, "a chosen policy", &json);
        if (r < 0)
                return r;
        if (json_unpack(json, "{s:i, s:s, s:s, s:s, s:s !}", "version", &version, "program",
                    &program, "target", &target, "policy", &policy, "why", &why) < 0 ||
                version != VERSION)
                return -EBADMSG;
        r = jit_policy_parse(policy, &choice.policy, NULL);
        if (r < 0)
                return r == -EINVAL ? -EBADMSG : r;
        choice.program = strdup(program);
        choice.target = strdup(target);
        choice.why = strdup(why);
        if (choice.program == NULL || choice.target == NULL || choice.why == NULL) {
                jit_choice_done(&choice);
                return -ENOMEM;
        }
        *ret = choice;
        return 0;
}

int jit_choice_read(struct cache *cache, const struct fmt_digest *name, struct jit_choice *ret)
{
        _cleanup_free_ void *data = NULL;
        size_t size;
        int r = cache_note_read(cache, KIND, name, &data, &size);
        return r < 0 ? r : decode(data, size, ret);
}

int jit_choice_write(
        struct cache *cache, const struct fmt_digest *name, const struct jit_choice *choice)
{
        _cleanup_(fmt_json_decrefp) json_t *json = NULL;
        _cleanup_free_ char *policy = NULL, *text = NULL;
        size_t size;
        int r = jit_policy_format(&choice->policy, &policy);
        if (r < 0)
                return r;
        json = json_pack("{s:i, s:s, s:s, s:s, s:s}", "version", VERSION, "program",
                choice->program, "target", choice->target, "policy", policy, "why", choice->why);
        if (json == NULL)
                return -ENOMEM;
        r = fmt_json_dump(json, &text, &size);
        return r < 0 ? r : cache_note_write(cache, KIND, name, text, size);
}

int jit_choice_remove(struct cache *cache, const struct fmt_digest *name)
{
        return cache_note_remove(cache, KIND, name);
}

void jit_choice_done(struct jit_choice *choice)
{
        free(choice->program);
        free(choice->target);
        free(choice->why);
        *choice = (struct jit_choice){0};
}

struct visit {
        struct cache *cache;
        int (*each)(void *context, const struct fmt_digest *name, const struct jit_choice *choice);
        void *context;
};

static int visit_name(void *context, const struct fmt_digest *name)
{
        const struct visit *visit = context;
        struct jit_choice choice;
        int r = jit_choice_read(visit->cache, name, &choice);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        r = visit->each(visit->context, name, &choice);
        jit_choice_done(&choice);
        return r;
}

int jit_choice_each(struct cache *cache,
        int (*visit)(void *context, const struct fmt_digest *name, const struct jit_choice *choice),
        void *context)
{
        struct visit each = {.cache = cache, .each = visit, .context = context};
        return cache_note_each(cache, KIND, visit_name, &each);
}
