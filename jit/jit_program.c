/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_session_internal.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "jit_choice.h"
#include "jit_key.h"
#include "jit_recipe.h"

#include <string.h>

#define _cleanup_program_ _cleanup_(free_program)

static void free_program(struct jit_program **program)
{
        jit_program_free(*program);
}

/* ---- which variant ---- */

/* Why this target cannot run VARIANT, or NULL; the caller frees it. -ENOMEM by ret. */
static int find_obstacle(
        const struct jit_target *target, const struct fmt_variant *variant, char **ret)
{
        _cleanup_free_ char *missing = NULL;
        int n = 0;
        *ret = NULL;
        bool runs = jit_target_has(target, variant->required, &missing);
        for (size_t i = 0; i < variant->n_inputs && runs; i++) {
                const struct fmt_module_facts *module = &variant->inputs[i].module;
                if (variant->inputs[i].kind != FMT_INPUT_MODULE)
                        continue;
                if (module->raw) {
                        n = asprintf(ret, "module %s was not packed", variant->inputs[i].name);
                        return n < 0 ? -ENOMEM : 0;
                }
                runs = jit_target_has(target, module->required, &missing);
        }
        if (!runs)
                n = asprintf(ret, "needs %s", missing ? missing : "another CPU");
        else if (jit_recipe_check(&variant->recipe) < 0)
                n = asprintf(ret, "was linked with an option that this version does not know");
        return n < 0 ? -ENOMEM : 0;
}

static size_t count_features(const char *required)
{
        size_t n = required && *required ? 1 : 0;
        for (const char *c = required; c && *c; c++)
                n += *c == ',';
        return n;
}

/* The one asked for by name, else among those that this target runs the one that asks for most. */
static int choose_variant(const struct jit_session *session, struct jit_program *program)
{
        const struct fmt_record *record = program->record;
        bool by_name = false;
        for (size_t i = 0; i < record->n_variants && !by_name; i++) {
                const struct fmt_variant *variant = &record->variants[i];
                _cleanup_free_ char *obstacle = NULL;
                int r = find_obstacle(session->target, variant, &obstacle);
                if (r < 0)
                        return r;
                by_name = session->variant && strcmp(variant->name, session->variant) == 0;
                bool better = !program->variant || (program->unsupported && !obstacle) ||
                              (!obstacle && count_features(variant->required) >
                                                    count_features(program->variant->required));
                if (!by_name && !better)
                        continue;
                program->variant = variant;
                free(program->unsupported);
                program->unsupported = steal_pointer(&obstacle);
        }
        return program->variant ? 0 : -EBADMSG;
}

/* ---- how ---- */

/* What was measured to be best for it, unless the session knows better. */
static int read_choice(const struct jit_session *session, struct jit_program *program)
{
        const struct jit_wish *wish = &session->options.wish;
        struct jit_choice choice;
        program->policy = wish->has_policy ? wish->policy : JIT_POLICY_DEFAULT;
        int r = jit_choice_name(program->variant, session->target_text, &program->choice_name);
        if (r < 0 || wish->has_policy)
                return r;
        r = jit_choice_read(session->cache, &program->choice_name, &choice);
        if (r < 0) {
                if (r != -ENOENT)
                        fmt_warning("what `xaas tune` chose for %s cannot be read: %s; it is "
                                    "compiled as usual; tune it again",
                                program->path, strerror(-r));
                return r == -ENOMEM ? r : 0;
        }
        program->policy = choice.policy;
        jit_choice_done(&choice);
        return 0;
}

/* A program that the policy's own target cannot run stays with the session's. */
static int use_own_target(struct jit_program *program)
{
        _cleanup_free_ char *obstacle = NULL;
        struct jit_target *target;
        int r = jit_target_detect(program->policy.target, false, &target);
        if (r == 0)
                r = find_obstacle(target, program->variant, &obstacle);
        else if (r != -ENOMEM)
                return 0; /* which has been said */
        if (r < 0 || obstacle) {
                jit_target_free(target);
                return r;
        }
        program->target = program->own_target = target;
        return 0;
}

/* Code may call the C library's vector functions where the record has a stub of them, and whoever
 * built the program so gets what was built. */
static void settle_veclib(const struct fmt_variant *variant, struct jit_policy *policy)
{
        const bool is_built_in = fmt_strings_contain(variant->recipe.needed, JIT_LIBMVEC);
        policy->veclib = fmt_variant_find_stub(variant, JIT_LIBMVEC) &&
                         (is_built_in || (policy->veclib && policy->fp != JIT_FP_STRICT));
}

static int choose_policy(const struct jit_session *session, struct jit_program *program)
{
        const struct jit_wish *wish = &session->options.wish;
        struct jit_policy *policy = &program->policy;
        program->target = session->target;
        int r = read_choice(session, program);
        if (r < 0)
                return r;
        if (wish->has_fp)
                policy->fp = wish->fp;
        if (wish->has_lto)
                policy->lto = wish->lto;
        /* Constructors are put in order by the module that each came from (jit_link_order.h). */
        if (policy->lto == JIT_LTO_FULL && jit_recipe_order_matters(program->variant))
                policy->lto = JIT_LTO_THIN;
        settle_veclib(program->variant, policy);
        if (program->fast)
                *policy = jit_policy_fast(policy);
        if (policy->target[0])
                r = use_own_target(program);
        if (r == 0)
                r = jit_policy_format(policy, &program->policy_text);
        return r < 0 ? r : jit_target_describe(program->target, &program->target_text);
}

/* ---- what is known of its runs ---- */

/* The cache's; -ENOENT also where that cannot be read, which costs speed and nothing else. */
static int read_profile(const struct jit_session *session, struct jit_program *program)
{
        int r = jit_profile_read(session->cache, &program->profile_name, &program->profile);
        if (r < 0 && r != -ENOENT && r != -ENOMEM) {
                fmt_warning("the profile of %s cannot be read: %s; it is compiled without; import "
                            "the profile again",
                        program->path, strerror(-r));
                return -ENOENT;
        }
        return r;
}

/* The image's, unless the cache has a younger one. */
static void prefer_shipped(struct jit_program *program, const struct fmt_program *entry)
{
        if (!entry->has_profile ||
                (program->has_profile && program->profile.time >= entry->profile_time))
                return;
        program->profile.data = entry->profile;
        program->profile.time = entry->profile_time;
        program->has_profile = program->is_shipped = true;
}

static int choose_profile(const struct jit_session *session, const struct fmt_program *entry,
        struct jit_program *program)
{
        int r = jit_profile_name(program->variant, &program->profile_name);
        if (r < 0)
                return r;
        program->counts = jit_counting_has(session->options.counting, program->path);
        if (program->counts || program->policy.no_profile || session->options.wish.no_profile)
                return 0;
        r = read_profile(session, program);
        program->has_profile = r == 0;
        prefer_shipped(program, entry);
        return r == -ENOENT ? 0 : r;
}

/* What of it goes into the key; NULL: nothing. */
static int describe_profile(
        const struct jit_session *session, const struct jit_program *program, char **ret)
{
        char hex[FMT_DIGEST_HEX_SIZE];
        int n = 0;
        *ret = NULL;
        fmt_digest_to_hex(&program->profile.data, hex);
        if (program->counts)
                n = asprintf(ret, "count %s", session->options.counting->folder);
        else if (program->has_profile)
                n = asprintf(ret, "use %s", hex);
        return n < 0 ? -ENOMEM : 0;
}

/* ---- its names ---- */

static int compute_keys(const struct jit_session *session, struct jit_program *program)
{
        _cleanup_free_ char *profile = NULL;
        struct fmt_digest lower = {{1}};
        size_t half = 1 + session->n_scopes;
        program->n_keys = 2 * half;
        program->keys = calloc(program->n_keys, sizeof *program->keys);
        if (!program->keys)
                return -ENOMEM;
        int r = describe_profile(session, program, &profile);
        if (r < 0)
                return r;
        struct jit_key_ingredients ingredients = {.variant = program->variant,
                .size = program->size,
                .target = program->target_text,
                .toolchain = session->toolchain->identity,
                .policy = program->policy_text,
                .profile = profile};
        r = jit_key_compute(&ingredients, &program->keys[0]);
        for (size_t i = 0; i < session->n_scopes && r == 0; i++)
                r = jit_key_derive(
                        &program->keys[0], "scope", &session->scopes[i], &program->keys[1 + i]);
        for (size_t i = 0; i < half && r == 0; i++)
                r = jit_key_derive(&program->keys[i], "simple", &lower, &program->keys[half + i]);
        return r;
}

static int load_record(
        struct jit_session *session, const struct fmt_program *program, struct jit_program *loaded)
{
        _cleanup_free_ void *json = NULL;
        size_t size;
        int r = fmt_bundle_read(session->bundle, &program->record, &json, &size);
        if (r == 0)
                r = fmt_record_decode(json, size, &loaded->record);
        if (r < 0) {
                fmt_error("the program record of %s cannot be read: %s; pack the image again",
                        program->path, strerror(-r));
                return r;
        }
        loaded->path = strdup(program->path);
        loaded->size = program->size;
        loaded->baseline = program->baseline;
        return loaded->path ? 0 : -ENOMEM;
}

static int load(struct jit_session *session, const struct fmt_program *program, bool fast,
        struct jit_program **ret)
{
        _cleanup_program_ struct jit_program *loaded = calloc(1, sizeof *loaded);
        if (!loaded)
                return -ENOMEM;
        atomic_init(&loaded->references, 1);
        atomic_init(&loaded->found, -1);
        loaded->fast = fast;
        int r = load_record(session, program, loaded);
        if (r == 0)
                r = choose_variant(session, loaded);
        if (r == 0)
                r = choose_policy(session, loaded);
        if (r == 0)
                r = choose_profile(session, program, loaded);
        if (r == 0)
                r = compute_keys(session, loaded);
        if (r < 0)
                return r;
        *ret = steal_pointer(&loaded);
        return 0;
}

int jit_program_load(
        struct jit_session *session, const struct fmt_program *program, struct jit_program **ret)
{
        return load(session, program, false, ret);
}

int jit_program_load_fast(
        struct jit_session *session, const struct fmt_program *program, struct jit_program **ret)
{
        return load(session, program, true, ret);
}

struct jit_program *jit_program_reference(const struct jit_program *program)
{
        struct jit_program *counted = (struct jit_program *)program;
        atomic_fetch_add(&counted->references, 1);
        return counted;
}

void jit_program_free(struct jit_program *program)
{
        if (!program || atomic_fetch_sub(&program->references, 1) > 1)
                return;
        free(program->path);
        fmt_record_free(program->record);
        free(program->unsupported);
        jit_target_free(program->own_target);
        free(program->target_text);
        jit_profile_done(&program->profile);
        free(program->policy_text);
        free(program->keys);
        free(program);
}

const struct fmt_variant *jit_program_variant(const struct jit_program *program)
{
        return program->variant;
}

const struct jit_policy *jit_program_policy(const struct jit_program *program)
{
        return &program->policy;
}

void jit_program_choice_name(const struct jit_program *program, struct fmt_digest *ret)
{
        *ret = program->choice_name;
}

const struct jit_profile *jit_program_profile(const struct jit_program *program)
{
        return program->has_profile ? &program->profile : NULL;
}

bool jit_program_counts(const struct jit_program *program)
{
        return program->counts;
}

void jit_program_profile_name(const struct jit_program *program, struct fmt_digest *ret)
{
        *ret = program->profile_name;
}

void jit_program_key(const struct jit_program *program, struct fmt_digest *ret)
{
        *ret = program->keys[0];
}

const char *jit_program_unsupported(const struct jit_program *program)
{
        return program->unsupported;
}

/* ---- finding it in the cache ---- */

static void remember(const struct jit_program *program, int index)
{
        atomic_store(&((struct jit_program *)program)->found, index);
}

/* A cache that cannot be read (a folder that root made, a bad disk) holds nothing: the program is
 * compiled, and only not kept. */
int jit_program_peek(struct jit_session *session, const struct jit_program *program, int *ret_fd)
{
        for (size_t i = 0; i < program->n_keys; i++) {
                int r = cache_peek(session->cache, &program->keys[i], ret_fd, NULL);
                if (r == 0)
                        remember(program, (int)i);
                if (r == 0 || r == -ENOMEM || r == -EMFILE || r == -ENFILE)
                        return r;
        }
        return -ENOENT;
}

int jit_program_lookup(struct jit_session *session, const struct jit_program *program, int *ret_fd)
{
        _cleanup_close_ int fd = -1;
        if (program->unsupported)
                return -ENOENT;
        if (atomic_load(&program->found) < 0 && jit_program_peek(session, program, &fd) == 0)
                close(steal_fd(&fd));
        int known = atomic_load(&program->found);
        int r = cache_lookup(session->cache, &program->keys[known < 0 ? 0 : known], ret_fd, NULL);
        if (r < 0)
                remember(program, -1);
        return r;
}

int jit_session_profile_fit(
        struct jit_session *session, const struct jit_program *program, char **ret)
{
        int r = -ENOENT;
        for (size_t i = 0; i < program->n_keys && r == -ENOENT; i++) {
                _cleanup_(cache_meta_done) struct cache_meta meta = {0};
                _cleanup_close_ int fd = -1;
                r = cache_peek(session->cache, &program->keys[i], &fd, &meta);
                if (r == 0 && meta.profile == NULL)
                        return -ENOENT;
                if (r == 0)
                        *ret = steal_pointer(&meta.profile);
        }
        return r;
}
