/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "fmt_json.h"
#include "host_report.h"

#include <string.h>

#define _cleanup_json_ _cleanup_(fmt_json_decrefp)

static json_t *names_of(
        const struct jit_architecture *architecture, const struct jit_feature_set *set)
{
        json_t *list = json_array();

        for (size_t i = 0; list && i < architecture->n_features; i++) {
                if (jit_feature_in(set, i))
                        json_array_append_new(
                                list, json_string(jit_feature_of(architecture, i)->name));
        }
        return list;
}

static json_t *json_of_machine(const struct jit_machine *machine)
{
        json_t *json = json_pack(
                "{s:s, s:s?}", "architecture", machine->architecture->name, "name", machine->name);

        if (machine->architecture == &jit_x86) {
                unsigned family, model;
                jit_x86_number(&machine->x86, &family, &model);
                json_object_set_new(json, "family", json_integer(family));
                json_object_set_new(json, "model", json_integer(model));
                json_object_set_new(json, "guest", json_boolean(jit_x86_is_guest(&machine->x86)));
                return json;
        }
        json_t *kinds = json_array();
        for (size_t i = 0; i < machine->aarch64.n_kinds; i++) {
                const struct jit_aarch64_kind *kind = &machine->aarch64.kinds[i];
                json_array_append_new(kinds,
                        json_pack("{s:I, s:i, s:s?}", "midr", (json_int_t)kind->midr, "number",
                                (int)kind->n, "model", jit_aarch64_model_of(kind->midr)));
        }
        json_object_set_new(json, "cores", kinds);
        return json;
}

static json_t *json_of_likeness(
        const struct jit_architecture *architecture, const struct jit_likeness *likeness)
{
        return json_pack("{s:s, s:o, s:o}", "model", likeness->name, "beyond",
                names_of(architecture, &likeness->beyond), "lacking",
                names_of(architecture, &likeness->lacking));
}

static json_t *json_of_tuning(const struct host_report *report)
{
        const struct jit_detection *found = report->found;
        json_t *json = json_of_likeness(found->architecture, &found->tuning);

        json_object_set_new(
                json, "by", json_string(found->is_identified ? "identification" : "features"));
        if (found->next.name)
                json_object_set_new(
                        json, "next", json_of_likeness(found->architecture, &found->next));
        if (report->llvm_name)
                json_object_set_new(json, "llvm", json_string(report->llvm_name));
        return json;
}

static json_t *json_of_left_out(const struct jit_detection *found)
{
        json_t *json = json_object();

        for (size_t i = 0; i < found->architecture->n_features; i++) {
                _cleanup_free_ char *why = jit_detection_why(found, i);
                if (why && jit_detection_left_out(found, i))
                        json_object_set_new(json, jit_feature_of(found->architecture, i)->name,
                                json_string(why));
        }
        return json;
}

static json_t *json_of_topology(const struct host_topology *topology)
{
        json_t *caches = json_array(), *nodes = json_array();

        for (size_t i = 0; i < topology->n_caches; i++) {
                const struct host_cache *cache = &topology->caches[i];
                json_array_append_new(
                        caches, json_pack("{s:i, s:s, s:I, s:i, s:i, s:i}", "level",
                                        (int)cache->level, "kind", cache->kind, "bytes",
                                        (json_int_t)cache->bytes, "line", (int)cache->line,
                                        "number", (int)cache->number, "units", (int)cache->units));
        }
        for (size_t i = 0; i < topology->n_nodes; i++) {
                const struct host_node *node = &topology->nodes[i];
                json_array_append_new(
                        nodes, json_pack("{s:i, s:I, s:s}", "node", (int)node->number, "bytes",
                                       (json_int_t)node->bytes, "units", node->units));
        }
        return json_pack("{s:i, s:i, s:i, s:s, s:o, s:o}", "packages", (int)topology->packages,
                "cores", (int)topology->cores, "units", (int)topology->units, "allowed",
                topology->allowed, "caches", caches, "memory", nodes);
}

static json_t *json_of_cores(const struct fmt_cores *cores)
{
        json_t *json =
                json_pack("{s:i, s:i}", "units", (int)cores->units, "threads", (int)cores->usable);

        json_object_set_new(json, "quota", cores->quota ? json_integer(cores->quota) : json_null());
        return json;
}

int host_print_json(const struct host_report *report)
{
        const struct jit_target *target = report->target;
        _cleanup_json_ json_t *json = json_pack("{s:s, s:s, s:s, s:s}", "label", target->label,
                "triple", target->triple, "tune", target->tune, "features", target->features);

        if (report->machine)
                json_object_set_new(json, "machine", json_of_machine(report->machine));
        if (report->found) {
                json_object_set_new(json, "tuning", json_of_tuning(report));
                json_object_set_new(json, "left_out", json_of_left_out(report->found));
        }
        if (report->topology)
                json_object_set_new(json, "topology", json_of_topology(report->topology));
        if (report->cores)
                json_object_set_new(json, "compiling", json_of_cores(report->cores));
        _cleanup_free_ char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
        if (!text)
                return -ENOMEM;
        printf("%s\n", text);
        return 0;
}
