/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_bitcode_normal.h"

#include "fmt_cleanup.h"
#include "jit_bitcode_scan.h"
#include "jit_function_target.h"

#include <llvm-c/DebugInfo.h>
#include <string.h>

/* What every x86-64 has, as clang spells it. Spelt out where nothing else is left of a function's
 * features: a function without the attribute takes what the linker was told. */
#define X86_64_FEATURES "+cmov,+cx8,+fxsr,+mmx,+sse,+sse2,+x87"

/* The functions that have a body, and what each was compiled for. */
struct bodies {
        LLVMValueRef *functions;
        struct jit_function_target *targets;
        size_t n;
        struct jit_module_target module;
};

static void bodies_done(struct bodies *bodies)
{
        for (size_t i = 0; i < bodies->n; i++)
                jit_function_target_done(&bodies->targets[i]);
        free(bodies->functions);
        free(bodies->targets);
}

static int add_body(struct bodies *bodies, LLVMValueRef function)
{
        size_t cpu_size = 0;
        size_t features_size = 0;
        const char *cpu = jit_bitcode_attribute(function, "target-cpu", &cpu_size);
        const char *features = jit_bitcode_attribute(function, "target-features", &features_size);
        struct jit_function_target *target = &bodies->targets[bodies->n];
        int r = jit_function_target_read(cpu, cpu_size, features, features_size, target);

        if (r < 0)
                return r;
        target->needs_baseline = jit_bitcode_needs_baseline(function);
        bodies->functions[bodies->n++] = function;
        return 0;
}

static int find_bodies(LLVMModuleRef module, struct bodies *ret)
{
        size_t n = 0;
        int r = 0;

        for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f))
                n += !LLVMIsDeclaration(f);
        ret->functions = calloc(n + 1, sizeof(*ret->functions));
        ret->targets = calloc(n + 1, sizeof(*ret->targets));
        if (!ret->functions || !ret->targets)
                return -ENOMEM;
        for (LLVMValueRef f = LLVMGetFirstFunction(module); f && r == 0;
                f = LLVMGetNextFunction(f)) {
                if (!LLVMIsDeclaration(f))
                        r = add_body(ret, f);
        }
        jit_module_target_of(ret->targets, ret->n, &ret->module);
        return r;
}

/* What no compiler emits unasked says nothing about the code: -march=native lists SGX and shadow
 * stacks, too, and a kernel may have switched off what cpuid showed the compiler. */
static struct jit_feature_set less_system_features(struct jit_feature_set set)
{
        for (size_t i = 0; i < jit_x86.n_features; i++) {
                if (jit_feature_of(&jit_x86, i)->by_request_only)
                        jit_feature_put(&set, i, false);
        }
        return set;
}

/* What this module may not be compiled without. */
static struct jit_feature_set required_by(
        const struct bodies *bodies, LLVMModuleRef module, bool captured_only)
{
        bool all = captured_only || jit_bitcode_module_asm_needs_baseline(module);
        struct jit_feature_set required = {{0}};

        for (size_t i = 0; i < bodies->n; i++) {
                const struct jit_function_target *target = &bodies->targets[i];
                struct jit_feature_set baseline = jit_function_baseline(&bodies->module, target);
                if (all || target->needs_baseline || !target->cpu_is_known)
                        required = jit_features_union(&required, &baseline);
        }
        return less_system_features(required);
}

static bool is_not_optimised(const struct bodies *bodies)
{
        unsigned optnone = LLVMGetEnumAttributeKindForName("optnone", 7);

        for (size_t i = 0; i < bodies->n; i++) {
                if (!LLVMGetEnumAttributeAtIndex(
                            bodies->functions[i], LLVMAttributeFunctionIndex, optnone))
                        return false;
        }
        return bodies->n > 0;
}

/* "a,b" added to *TEXT unless it is there. */
static int merge_others(char **text, const char *others)
{
        char *longer;

        if (!others || (*text && strstr(*text, others)))
                return 0;
        if (asprintf(&longer, "%s%s%s", *text ? *text : "", *text ? "," : "", others) < 0)
                return -ENOMEM;
        free(*text);
        *text = longer;
        return 0;
}

/* Leaves on each function what it asked for itself, and tells the union of that. A captured-only
 * module keeps what the build gave it, spelt out. */
static int write_extras(const struct bodies *bodies, bool captured_only, char **ret_extras)
{
        struct jit_feature_set all_plus = {{0}};
        struct jit_feature_set all_minus = {{0}};
        _cleanup_free_ char *others = NULL;

        for (size_t i = 0; i < bodies->n; i++) {
                const struct jit_function_target *target = &bodies->targets[i];
                struct jit_feature_set plus;
                struct jit_feature_set minus;
                jit_function_extras(&bodies->module, target, &plus, &minus);
                all_plus = jit_features_union(&all_plus, &plus);
                all_minus = jit_features_union(&all_minus, &minus);
                if (captured_only) {
                        struct jit_feature_set given =
                                jit_function_baseline(&bodies->module, target);
                        plus = jit_features_union(&plus, &given);
                }
                _cleanup_free_ char *text = jit_feature_text(&plus, &minus, target->others);
                if (!text || merge_others(&others, target->others) < 0)
                        return -ENOMEM;
                if (*text)
                        jit_bitcode_set_attribute(bodies->functions[i], "target-features", text);
                else if (captured_only)
                        jit_bitcode_set_attribute(
                                bodies->functions[i], "target-features", X86_64_FEATURES);
        }
        all_minus = jit_features_minus(&all_minus, &all_plus);
        *ret_extras = jit_feature_text(&all_plus, &all_minus, others);
        return *ret_extras ? 0 : -ENOMEM;
}

static void drop_target(LLVMModuleRef module)
{
        for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
                jit_bitcode_drop_attribute(f, "target-cpu");
                jit_bitcode_drop_attribute(f, "tune-cpu");
                jit_bitcode_drop_attribute(f, "target-features");
        }
}

/* The folder that a build ran in must not tell its modules apart. */
static void shorten_source_name(LLVMModuleRef module)
{
        size_t size;
        const char *name = LLVMGetSourceFileName(module, &size);
        _cleanup_free_ char *copy = strndup(name, size);
        const char *slash = copy ? strrchr(copy, '/') : NULL;

        if (slash)
                LLVMSetSourceFileName(module, slash + 1, strlen(slash + 1));
}

static bool has_wide_vectors(const struct bodies *bodies)
{
        for (size_t i = 0; i < bodies->n; i++) {
                if (jit_bitcode_has_wide_vectors(bodies->functions[i]))
                        return true;
        }
        return false;
}

static int neutralise(LLVMModuleRef module, struct bodies *bodies, struct jit_bitcode_facts *ret)
{
        int r = find_bodies(module, bodies);

        if (r < 0)
                return r;
        ret->captured_only = has_wide_vectors(bodies);
        ret->not_optimised = is_not_optimised(bodies);
        struct jit_feature_set required = required_by(bodies, module, ret->captured_only);
        drop_target(module);
        r = write_extras(bodies, ret->captured_only, &ret->extras);
        if (r < 0)
                return r;
        ret->has_extras = *ret->extras || ret->captured_only;
        ret->required = jit_features_format(&jit_x86, &required, false);
        return ret->required ? 0 : -ENOMEM;
}

/* What wants to open files when it is compiled or linked; there are none. */
static const char *obstacle_in(LLVMModuleRef module)
{
        if (jit_bitcode_includes_files(module))
                return "its assembly takes in other files (.incbin, .include), which are not there "
                       "when it is compiled for a host";
        if (jit_bitcode_names_library_files(module))
                return "it asks the linker for a library by its path (#pragma comment(lib, …))";
        return NULL;
}

int jit_bitcode_to_normal_form(
        LLVMModuleRef module, bool keep_debug, struct jit_bitcode_facts *ret, char **ret_reason)
{
        struct bodies bodies = {0};
        int r = jit_bitcode_module_check_thin(module, ret_reason);

        memset(ret, 0, sizeof(*ret));
        if (r < 0)
                return r;
        const char *obstacle = obstacle_in(module);
        if (obstacle) {
                *ret_reason = strdup(obstacle);
                return *ret_reason ? -EBADMSG : -ENOMEM;
        }
        r = neutralise(module, &bodies, ret);
        bodies_done(&bodies);
        if (r < 0)
                return r;
        shorten_source_name(module);
        if (!keep_debug)
                LLVMStripModuleDebugInfo(module);
        return 0;
}

void jit_bitcode_facts_done(struct jit_bitcode_facts *facts)
{
        free(facts->required);
        free(facts->extras);
        memset(facts, 0, sizeof(*facts));
}

/* ---- back to a host ---- */

static int set_features(LLVMValueRef function, const char *features)
{
        size_t size = 0;
        const char *own = jit_bitcode_attribute(function, "target-features", &size);
        _cleanup_free_ char *text = NULL;

        if (!features && !own) {
                own = X86_64_FEATURES;
                size = strlen(own);
        }
        if (asprintf(&text, "%s%s%.*s", features ? features : "", features && size ? "," : "",
                    (int)size, own ? own : "") < 0)
                return -ENOMEM;
        jit_bitcode_set_attribute(function, "target-features", text);
        return 0;
}

int jit_bitcode_to_host(LLVMModuleRef module, const char *tune, const char *features)
{
        for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
                if (LLVMIsDeclaration(f))
                        continue;
                int r = set_features(f, features);
                if (r < 0)
                        return r;
                jit_bitcode_set_attribute(f, "target-cpu", "x86-64");
                jit_bitcode_set_attribute(f, "tune-cpu", tune);
        }
        return 0;
}
