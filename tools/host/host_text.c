/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "host_report.h"

#include <inttypes.h>
#include <string.h>

#define LABEL_WIDTH 11
#define LINE_WIDTH 96

/* Words of readable lines behind a label that stands once. */
struct paragraph {
        size_t column;
};

static void start(struct paragraph *paragraph, const char *label)
{
        printf("%-*s", LABEL_WIDTH, label);
        paragraph->column = LABEL_WIDTH;
}

static void add(struct paragraph *paragraph, const char *word, size_t size)
{
        if (paragraph->column + size + 1 > LINE_WIDTH) {
                printf("\n%*s", LABEL_WIDTH, "");
                paragraph->column = LABEL_WIDTH;
        }
        printf("%s%.*s", paragraph->column > LABEL_WIDTH ? " " : "", (int)size, word);
        paragraph->column += size + 1;
}

static void add_words(struct paragraph *paragraph, const char *text)
{
        const char *word;
        size_t size;

        while (jit_word_next(&text, &word, &size))
                add(paragraph, word, size);
}

/* Only what a compiler writes by itself, unless ALL: the rest would bury it. */
static size_t add_set(struct paragraph *paragraph, const struct jit_architecture *architecture,
        const struct jit_feature_set *set, bool all)
{
        size_t n = 0;

        for (size_t i = 0; i < architecture->n_features; i++) {
                const struct jit_feature *feature = jit_feature_of(architecture, i);
                if (!jit_feature_in(set, i) || (feature->by_request_only && !all))
                        continue;
                if (paragraph)
                        add(paragraph, feature->name, strlen(feature->name));
                n++;
        }
        return n;
}

static void end(void)
{
        printf("\n");
}

static void print_machine(const struct host_report *report)
{
        const struct jit_machine *machine = report->machine;

        printf("%-*s%s", LABEL_WIDTH, "machine", machine->architecture->name);
        if (machine->name)
                printf(", %s", machine->name);
        if (machine->architecture == &jit_x86) {
                unsigned family, model;
                jit_x86_number(&machine->x86, &family, &model);
                printf("%s, family %u, model %u",
                        jit_x86_is_guest(&machine->x86) ? ", a guest" : "", family, model);
        }
        for (size_t i = 0; i < machine->aarch64.n_kinds; i++) {
                const struct jit_aarch64_kind *kind = &machine->aarch64.kinds[i];
                const char *name = jit_aarch64_model_of(kind->midr);
                printf(", %u cores of %s (%" PRIx64 ")", kind->n, name ? name : "an unknown kind",
                        kind->midr);
        }
        end();
}

/* Which model, and how well it fits. */
static void print_tuning(const struct host_report *report)
{
        const struct jit_detection *found = report->found;
        const struct jit_architecture *architecture = found->architecture;
        const struct jit_likeness *tuning = &found->tuning;
        struct paragraph paragraph;

        start(&paragraph, "tuned for");
        add(&paragraph, tuning->name, strlen(tuning->name));
        add_words(&paragraph, found->is_identified ? "(that is what the cores say they are)"
                                                   : "(the model with the most similar features)");
        end();
        if (add_set(NULL, architecture, &tuning->beyond, false)) {
                start(&paragraph, "");
                add_words(&paragraph, "beyond that model:");
                add_set(&paragraph, architecture, &tuning->beyond, false);
                end();
        }
        if (add_set(NULL, architecture, &tuning->lacking, false)) {
                start(&paragraph, "");
                add_words(&paragraph, "of that model not here:");
                add_set(&paragraph, architecture, &tuning->lacking, false);
                end();
        }
        if (!found->is_identified && found->next.name) {
                start(&paragraph, "");
                add_words(&paragraph, "next would be");
                add(&paragraph, found->next.name, strlen(found->next.name));
                end();
        }
}

static size_t count_differences(const struct jit_likeness *likeness)
{
        return jit_features_count(&likeness->beyond) + jit_features_count(&likeness->lacking);
}

/* LLVM goes by numbers that a hypervisor may choose. */
static void print_llvm(const struct host_report *report)
{
        const struct jit_detection *found = report->found;
        const char *name = report->llvm_name;
        struct jit_likeness likeness;
        struct paragraph paragraph;

        start(&paragraph, "LLVM says");
        add(&paragraph, name, strlen(name));
        if (!strcmp(name, found->tuning.name)) {
                add_words(&paragraph, "as well");
        } else if (jit_model_compare(found->architecture, &found->has, name, &likeness)) {
                char text[200];
                snprintf(text, sizeof(text),
                        "by the number of the model; not used: that model and this machine differ "
                        "in %zu features, %s and this machine in %zu",
                        count_differences(&likeness), found->tuning.name,
                        count_differences(&found->tuning));
                add_words(&paragraph, text);
        } else {
                add_words(&paragraph, "which is no model of its own: not used");
        }
        end();
}

static void print_features(const struct host_report *report)
{
        const char *at = report->target->features;
        struct paragraph paragraph;
        const char *name;
        size_t size;
        char sign;

        start(&paragraph, "features");
        while (jit_feature_next(&at, &sign, &name, &size)) {
                if (sign == '+')
                        add(&paragraph, name, size);
        }
        end();
}

/* Features that share a reason are told together. */
static void print_left_out(const struct jit_detection *found)
{
        const struct jit_architecture *architecture = found->architecture;
        bool told[JIT_MAX_FEATURES] = {false};
        const char *label = "left out";

        for (size_t i = 0; i < architecture->n_features; i++) {
                if (told[i] || !jit_detection_left_out(found, i))
                        continue;
                _cleanup_free_ char *why = jit_detection_why(found, i);
                struct paragraph paragraph;
                start(&paragraph, label);
                label = "";
                for (size_t other = i; why && other < architecture->n_features; other++) {
                        _cleanup_free_ char *others = jit_detection_why(found, other);
                        const char *name = jit_feature_of(architecture, other)->name;
                        if (!jit_detection_left_out(found, other) || !others || strcmp(why, others))
                                continue;
                        told[other] = true;
                        add(&paragraph, name, strlen(name));
                }
                printf(":");
                add_words(&paragraph, why ? why : "");
                end();
        }
}

static void print_size(uint64_t bytes)
{
        static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
        double size = (double)bytes;
        size_t unit = 0;

        for (; size >= 1024 && unit < sizeof(units) / sizeof(units[0]) - 1; unit++)
                size /= 1024;
        printf("%.*f %s", size < 100 && size > (double)(uint64_t)size ? 1 : 0, size, units[unit]);
}

static void print_topology(const struct host_topology *topology)
{
        for (size_t i = 0; i < topology->n_caches; i++) {
                const struct host_cache *cache = &topology->caches[i];
                printf("%-*sL%u %s, ", LABEL_WIDTH, i == 0 ? "caches" : "", cache->level,
                        cache->kind);
                print_size(cache->bytes);
                printf(", %u of them, each for %u unit%s", cache->number, cache->units,
                        cache->units == 1 ? "" : "s");
                if (cache->line)
                        printf(", lines of %u bytes", cache->line);
                end();
        }
        for (size_t i = 0; i < topology->n_nodes; i++) {
                const struct host_node *node = &topology->nodes[i];
                printf("%-*snode %u, ", LABEL_WIDTH, i == 0 ? "memory" : "", node->number);
                print_size(node->bytes);
                if (*node->units)
                        printf(", units %s", node->units);
                end();
        }
        printf("%-*s%u package%s, %u core%s, %u unit%s; this process may run on %s\n", LABEL_WIDTH,
                "cores", topology->packages, topology->packages == 1 ? "" : "s", topology->cores,
                topology->cores == 1 ? "" : "s", topology->units, topology->units == 1 ? "" : "s",
                topology->allowed);
}

static void print_cores(const struct fmt_cores *cores)
{
        printf("%-*s%u thread%s at once", LABEL_WIDTH, "compiling", cores->usable,
                cores->usable == 1 ? "" : "s");
        if (cores->quota)
                printf(": %u allowed units, and cgroups grant the time of %u", cores->units,
                        cores->quota);
        else
                printf(": one for each allowed unit, no cgroup limits the time");
        end();
}

void host_print_text(const struct host_report *report)
{
        if (report->machine)
                print_machine(report);
        printf("%-*s%s\n%-*s%s\n", LABEL_WIDTH, "target", report->target->label, LABEL_WIDTH,
                "triple", report->target->triple);
        if (report->found)
                print_tuning(report);
        else
                printf("%-*s%s\n", LABEL_WIDTH, "tuned for", report->target->tune);
        if (report->llvm_name && report->found)
                print_llvm(report);
        print_features(report);
        if (report->found)
                print_left_out(report->found);
        if (report->topology)
                print_topology(report->topology);
        if (report->cores)
                print_cores(report->cores);
}
