/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_host.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "jit_machine.h"

#include <string.h>

#define _cleanup_machine_ _cleanup_(jit_machine_done)

static int make_target(const struct jit_architecture *architecture,
        const struct jit_feature_set *features, const char *tune, const char *label,
        struct jit_target **ret)
{
        struct jit_target *target = calloc(1, sizeof(*target));

        if (!target)
                return -ENOMEM;
        target->triple = strdup(architecture->triple);
        target->tune = strdup(tune);
        target->features = jit_features_format(architecture, features, true);
        target->label = strdup(label);
        if (!target->triple || !target->tune || !target->features || !target->label) {
                jit_target_free(target);
                return -ENOMEM;
        }
        *ret = target;
        return 0;
}

void jit_target_free(struct jit_target *target)
{
        if (!target)
                return;
        free(target->triple);
        free(target->tune);
        free(target->features);
        free(target->label);
        free(target);
}

/* Takes out of WANTED what HOST lacks and no compiler emits by itself (a guest seldom has SGX or
 * protection keys). -ENOTSUP with a message if something is really missing. */
static int fit(const char *name, const struct jit_detection *host,
        const struct jit_architecture *architecture, struct jit_feature_set *wanted)
{
        if (architecture != host->architecture) {
                fmt_error("cannot compile for %s: it is a machine of %s, and this host of %s could "
                          "not run the result; leave the target at native",
                        name, architecture->name, host->architecture->name);
                return -ENOTSUP;
        }
        struct jit_feature_set lacking = jit_features_minus(wanted, &host->has);
        for (size_t i = 0; i < architecture->n_features; i++) {
                const struct jit_feature *feature = jit_feature_of(architecture, i);
                if (!jit_feature_in(&lacking, i))
                        continue;
                if (!feature->by_request_only) {
                        fmt_error("cannot compile for %s: this host has no %s and could not run "
                                  "the result; leave the target at native, or choose a lower one",
                                name, feature->name);
                        return -ENOTSUP;
                }
                jit_feature_put(wanted, i, false);
        }
        jit_features_settle(architecture, wanted);
        return 0;
}

/* HOST: what must be able to run the result, or NULL. */
static int detect_named(const struct jit_architecture *architecture, const char *name,
        const struct jit_detection *host, struct jit_target **ret)
{
        bool x86 = architecture == &jit_x86;
        struct jit_feature_set wanted;

        if (!jit_model_features(architecture, name, &wanted)) {
                fmt_error("there is no target \"%s\"; give native, %s or a CPU name that "
                          "`clang --print-supported-cpus` lists, or a file that `xaas host "
                          "--record` made (with a / in its path)",
                        name,
                        x86 ? "x86-64, x86-64-v2, x86-64-v3, x86-64-v4" : "armv8-a to armv9.2-a");
                return -EINVAL;
        }
        int r = host ? fit(name, host, architecture, &wanted) : 0;
        if (r < 0)
                return r;
        return make_target(architecture, &wanted, jit_model_tune(architecture, name), name, ret);
}

/* "skylake-x" of "hosts/skylake-x.machine"; one word that every terminal shows. */
static char *label_of(const char *path)
{
        const char *name = strrchr(path, '/') + 1;
        const char *end = strrchr(name, '.');
        char *label = end && end > name ? strndup(name, (size_t)(end - name)) : strdup(name);

        for (char *at = label; at && *at; at++)
                *at = *at > ' ' && *at <= '~' ? *at : '_';
        return label;
}

static int detect_recorded(
        const char *path, const struct jit_detection *host, struct jit_target **ret)
{
        _cleanup_machine_ struct jit_machine machine = {0};
        _cleanup_free_ char *reason = NULL;
        _cleanup_free_ char *label = label_of(path);
        struct jit_detection found;
        int r = label ? jit_machine_load(path, &machine, &reason) : -ENOMEM;

        if (r < 0) {
                fmt_error("cannot read the machine %s: %s; give a file that `xaas host --record` "
                          "made",
                        path, reason ? reason : strerror(-r));
                return -EINVAL;
        }
        jit_machine_detect(&machine, &found);
        r = host ? fit(label, host, machine.architecture, &found.has) : 0;
        return r < 0 ? r
                     : make_target(machine.architecture, &found.has, found.tuning.name, label, ret);
}

int jit_target_detect(const char *name, bool force, struct jit_target **ret)
{
        _cleanup_machine_ struct jit_machine machine = {0};
        struct jit_detection host;
        int r = jit_machine_read(&machine);

        if (r < 0) {
                fmt_error("cannot describe this host: xaasfs knows x86-64 and AArch64 only; mount "
                          "the image with a plain squashfs to run its generic programs");
                return -EINVAL;
        }
        jit_machine_detect(&machine, &host);
        if (!name || !strcmp(name, "native"))
                return make_target(host.architecture, &host.has, host.tuning.name, "native", ret);
        if (strchr(name, '/'))
                return detect_recorded(name, force ? NULL : &host, ret);
        return detect_named(host.architecture, name, force ? NULL : &host, ret);
}

bool jit_target_takes_images(const struct jit_target *target)
{
        if (!strcmp(target->triple, jit_x86.triple))
                return true;
        fmt_error("cannot compile the programs of an image for %s: their bitcode is for x86-64; "
                  "mount it on an x86-64 host, or build one for this machine",
                target->triple);
        return false;
}

static bool has(const char *features, const char *name, size_t size)
{
        const char *found;
        size_t found_size;
        char sign;

        while (jit_feature_next(&features, &sign, &found, &found_size)) {
                if (found_size == size && !memcmp(found, name, size))
                        return sign == '+';
        }
        return false;
}

bool jit_target_has(const struct jit_target *target, const char *required, char **ret_missing)
{
        const char *name;
        size_t size;
        char sign;

        while (required && jit_feature_next(&required, &sign, &name, &size)) {
                if (sign != '+' || has(target->features, name, size))
                        continue;
                if (ret_missing)
                        *ret_missing = strndup(name, size);
                return false;
        }
        return true;
}

int jit_target_describe(const struct jit_target *target, char **ret_text)
{
        return asprintf(ret_text, "triple=%s tune=%s features=%s", target->triple, target->tune,
                       target->features) < 0
                       ? -ENOMEM
                       : 0;
}
