/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_host.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "jit_host_x86.h"

#include <string.h>

#define TRIPLE "x86_64-pc-linux-gnu"

static int make_target(const struct jit_x86_set *features, const char *tune, const char *label,
        struct jit_target **ret)
{
        struct jit_target *target = calloc(1, sizeof(*target));

        if (!target)
                return -ENOMEM;
        target->triple = strdup(TRIPLE);
        target->tune = strdup(tune);
        target->features = jit_x86_format(features, true);
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

static int detect_host(struct jit_x86_set *ret_features, enum jit_x86_vendor *ret_vendor)
{
        struct jit_x86_raw raw;
        int r = jit_x86_read(&raw);

        if (r < 0)
                return r;
        jit_x86_detect(&raw, ret_features, ret_vendor);
        free((void *)raw.kernel_flags);
        return 0;
}

/* Takes out of WANTED what this host lacks and no compiler emits by itself (a guest seldom has SGX
 * or protection keys); returns the first feature that is really missing, or -1. */
static int fit(struct jit_x86_set *wanted, const struct jit_x86_set *host)
{
        struct jit_x86_set lacking = jit_x86_minus(wanted, host);

        for (size_t i = 0; i < jit_x86_n_features; i++) {
                if (!jit_x86_in(&lacking, i))
                        continue;
                if (!jit_x86_features[i].by_request_only)
                        return (int)i;
                jit_x86_put(wanted, i, false);
        }
        jit_x86_settle(wanted);
        return -1;
}

static int detect_named(const char *name, const struct jit_x86_set *host, struct jit_target **ret)
{
        struct jit_x86_set wanted;
        int missing = -1;

        if (!jit_x86_model(name, &wanted)) {
                fmt_error("there is no target \"%s\"; give native, x86-64, x86-64-v2, x86-64-v3, "
                          "x86-64-v4 or a CPU name that `clang --print-supported-cpus` lists",
                        name);
                return -EINVAL;
        }
        if (host)
                missing = fit(&wanted, host);
        if (missing >= 0) {
                fmt_error("cannot compile for %s: this host has no %s and could not run the "
                          "result; leave the target at native, or choose a lower one",
                        name, jit_x86_features[missing].name);
                return -ENOTSUP;
        }
        return make_target(&wanted, name, name, ret);
}

int jit_target_detect(const char *name, bool force, struct jit_target **ret)
{
        struct jit_x86_set host = {{0}};
        enum jit_x86_vendor vendor = VENDOR_ANY;
        int r = detect_host(&host, &vendor);

        if (r < 0 && !(name && force)) {
                fmt_error("cannot describe this host: xaasfs compiles for x86-64 only so far; "
                          "serve the generic programs of an image with -o patience=0");
                return -EINVAL;
        }
        if (name && strcmp(name, "native"))
                return detect_named(name, force ? NULL : &host, ret);
        return make_target(&host, jit_x86_nearest(&host, vendor), "native", ret);
}

static bool has(const char *features, const char *name, size_t size)
{
        const char *found;
        size_t found_size;
        char sign;

        while (jit_x86_next(&features, &sign, &found, &found_size)) {
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

        while (required && jit_x86_next(&required, &sign, &name, &size)) {
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
