/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_detection.h"

#include "fmt_cleanup.h"

#include <string.h>

void jit_detection_start(const struct jit_architecture *architecture, struct jit_detection *ret)
{
        memset(ret, 0, sizeof(*ret));
        ret->architecture = architecture;
}

void jit_detection_set(
        struct jit_detection *detection, size_t feature, enum jit_why why, const char *name)
{
        jit_feature_put(&detection->has, feature, why == JIT_WHY_HERE);
        detection->reasons[feature] = (struct jit_reason){.why = why, .name = name};
}

/* Takes out what lacks a feature it implies (LLVM would switch that one on again), and says so. */
static void settle(struct jit_detection *detection)
{
        const struct jit_architecture *architecture = detection->architecture;
        struct jit_feature_set settled = detection->has;

        jit_features_settle(architecture, &settled);
        for (size_t i = 0; i < architecture->n_features; i++) {
                if (!jit_feature_in(&detection->has, i) || jit_feature_in(&settled, i))
                        continue;
                int lacking = jit_feature_lacks(architecture, &settled, i);
                detection->reasons[i] = (struct jit_reason){.why = JIT_WHY_LACKS,
                        .name = jit_feature_of(architecture, (size_t)lacking)->name};
        }
        detection->has = settled;
}

void jit_detection_finish(struct jit_detection *detection, const char *model)
{
        const struct jit_architecture *architecture = detection->architecture;

        settle(detection);
        jit_model_nearest(architecture, &detection->has, detection->vendor, &detection->tuning,
                &detection->next);
        if (model && jit_model_compare(architecture, &detection->has, model, &detection->tuning))
                detection->is_identified = true;
}

bool jit_detection_left_out(const struct jit_detection *detection, size_t feature)
{
        enum jit_why why = detection->reasons[feature].why;

        return why == JIT_WHY_NOT_SAVED || why == JIT_WHY_DENIED || why == JIT_WHY_LACKS;
}

char *jit_detection_why(const struct jit_detection *detection, size_t feature)
{
        const struct jit_reason *reason = &detection->reasons[feature];
        const char *shows = detection->architecture == &jit_x86 ? "cpuid shows it" : "it is shown";
        char *text = NULL;
        int r = 0;

        switch (reason->why) {
        case JIT_WHY_HERE:
                text = strdup("it is here");
                break;
        case JIT_WHY_NOT_SHOWN:
                if (reason->name)
                        r = asprintf(&text, "the kernel does not list %s", reason->name);
                else
                        text = strdup("cpuid does not show it");
                break;
        case JIT_WHY_NOT_SAVED:
                r = asprintf(
                        &text, "%s, but the system does not save its registers (xgetbv)", shows);
                break;
        case JIT_WHY_DENIED:
                r = asprintf(&text, "%s, but /proc/cpuinfo does not list %s", shows, reason->name);
                break;
        case JIT_WHY_LACKS:
                r = asprintf(
                        &text, "%s, but %s, which it implies, is not here", shows, reason->name);
                break;
        case JIT_WHY_NEVER:
                text = strdup("it is never taken from a machine: LLVM 19 has it as an experiment, "
                              "or Linux does not show it");
                break;
        }
        return r < 0 ? NULL : text;
}
