/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_function_target.h"

#include "fmt_cleanup.h"

#include <string.h>

static struct jit_feature_set x86_64(void)
{
        struct jit_feature_set set = {{0}};

        jit_model_features(&jit_x86, "x86-64", &set);
        return set;
}

/* No command line names these by chance, one by one; -march=native always does. */
static bool is_picture(const struct jit_feature_set *plus, const struct jit_feature_set *minus)
{
        static const char *const telling[] = {"sgx", "pconfig", "rdpru", "clzero", "lwp", "kl"};

        for (size_t i = 0; i < sizeof(telling) / sizeof(telling[0]); i++) {
                int feature = jit_feature_find(&jit_x86, telling[i], strlen(telling[i]));
                if (feature < 0 || (!jit_feature_in(plus, (size_t)feature) &&
                                           !jit_feature_in(minus, (size_t)feature)))
                        return false;
        }
        return true;
}

static int add_other(char **others, char sign, const char *name, size_t size)
{
        char *longer;

        if (asprintf(&longer, "%s%s%c%.*s", *others ? *others : "", *others ? "," : "", sign,
                    (int)size, name) < 0)
                return -ENOMEM;
        free(*others);
        *others = longer;
        return 0;
}

static int read_features(const char *text, struct jit_function_target *function)
{
        const char *name;
        size_t size;
        char sign;

        while (jit_feature_next(&text, &sign, &name, &size)) {
                int feature = jit_feature_find(&jit_x86, name, size);
                if (feature >= 0) {
                        jit_feature_put(&function->plus, (size_t)feature, sign == '+');
                        jit_feature_put(&function->minus, (size_t)feature, sign == '-');
                        continue;
                }
                int r = add_other(&function->others, sign, name, size);
                if (r < 0)
                        return r;
        }
        return 0;
}

int jit_function_target_read(const char *cpu, size_t cpu_size, const char *features,
        size_t features_size, struct jit_function_target *ret)
{
        _cleanup_free_ char *text = strndup(features ? features : "", features ? features_size : 0);
        struct jit_function_target function = {.cpu_is_known = true, .implied = x86_64()};
        int r = text ? 0 : -ENOMEM;

        if (r == 0 && cpu) {
                function.cpu = strndup(cpu, cpu_size);
                if (!function.cpu)
                        return -ENOMEM;
                function.cpu_is_known =
                        jit_model_features(&jit_x86, function.cpu, &function.implied);
                if (!function.cpu_is_known)
                        function.implied = x86_64();
        }
        if (r == 0)
                r = read_features(text, &function);
        if (r < 0) {
                jit_function_target_done(&function);
                return r;
        }
        function.native = is_picture(&function.plus, &function.minus);
        *ret = function;
        return 0;
}

void jit_function_target_done(struct jit_function_target *function)
{
        free(function->cpu);
        free(function->others);
        function->cpu = NULL;
        function->others = NULL;
}

static size_t count_cpu(const struct jit_function_target *functions, size_t n, const char *cpu)
{
        size_t count = 0;

        for (size_t i = 0; i < n; i++)
                count += functions[i].cpu && !strcmp(functions[i].cpu, cpu);
        return count;
}

static const char *most_frequent_cpu(const struct jit_function_target *functions, size_t n)
{
        const char *last = NULL;
        const char *best = NULL;
        size_t most = 0;

        for (size_t i = 0; i < n; i++) {
                const char *cpu = functions[i].cpu;
                /* Neighbours mostly agree: this keeps the counting from being quadratic. */
                if (!cpu || (last && !strcmp(last, cpu)))
                        continue;
                size_t count = count_cpu(functions, n, cpu);
                last = cpu;
                if (count > most || (count == most && strcmp(cpu, best) < 0)) {
                        most = count;
                        best = cpu;
                }
        }
        return best;
}

void jit_module_target_of(
        const struct jit_function_target *functions, size_t n, struct jit_module_target *ret)
{
        size_t with[JIT_MAX_FEATURES] = {0};
        size_t without[JIT_MAX_FEATURES] = {0};
        size_t pictures = 0;

        memset(ret, 0, sizeof(*ret));
        ret->cpu = most_frequent_cpu(functions, n);
        for (size_t i = 0; i < n; i++) {
                if (!functions[i].native)
                        continue;
                pictures++;
                for (size_t feature = 0; feature < jit_x86.n_features; feature++) {
                        with[feature] += jit_feature_in(&functions[i].plus, feature);
                        without[feature] += jit_feature_in(&functions[i].minus, feature);
                }
        }
        for (size_t feature = 0; feature < jit_x86.n_features; feature++) {
                jit_feature_put(&ret->native_plus, feature, 2 * with[feature] > pictures);
                jit_feature_put(&ret->native_minus, feature, 2 * without[feature] > pictures);
        }
}

static bool is_of_the_build(
        const struct jit_module_target *module, const struct jit_function_target *function)
{
        return !function->cpu || (module->cpu && !strcmp(module->cpu, function->cpu));
}

struct jit_feature_set jit_function_baseline(
        const struct jit_module_target *module, const struct jit_function_target *function)
{
        struct jit_feature_set baseline = function->implied;
        struct jit_feature_set everywhere = x86_64();

        if (!function->cpu_is_known)
                baseline = jit_features_union(&baseline, &function->plus);
        if (function->native)
                baseline = jit_features_union(&baseline, &module->native_plus);
        baseline = jit_features_minus(&baseline, &function->minus);
        return jit_features_minus(&baseline, &everywhere);
}

void jit_function_extras(const struct jit_module_target *module,
        const struct jit_function_target *function, struct jit_feature_set *ret_plus,
        struct jit_feature_set *ret_minus)
{
        struct jit_feature_set everywhere = x86_64();

        *ret_plus = function->plus;
        *ret_minus = function->minus;
        if (!is_of_the_build(module, function)) {
                *ret_plus = jit_features_union(ret_plus, &function->implied);
                *ret_plus = jit_features_minus(ret_plus, ret_minus);
        } else if (!function->cpu_is_known) {
                memset(ret_plus, 0, sizeof(*ret_plus));
        } else {
                *ret_plus = jit_features_minus(ret_plus, &function->implied);
        }
        if (function->native) {
                *ret_plus = jit_features_minus(ret_plus, &module->native_plus);
                *ret_minus = jit_features_minus(ret_minus, &module->native_minus);
        }
        *ret_plus = jit_features_minus(ret_plus, &everywhere);
}

char *jit_feature_text(
        const struct jit_feature_set *plus, const struct jit_feature_set *minus, const char *others)
{
        _cleanup_free_ char *added = jit_features_format(&jit_x86, plus, false);
        _cleanup_free_ char *removed = jit_features_format(&jit_x86, minus, false);
        char *text;

        if (!added || !removed)
                return NULL;
        for (char *at = removed; *at; at++) {
                if (*at == '+')
                        *at = '-';
        }
        const char *first = *added && *removed ? "," : "";
        const char *second = (*added || *removed) && others ? "," : "";
        if (asprintf(&text, "%s%s%s%s%s", added, first, removed, second, others ? others : "") < 0)
                return NULL;
        return text;
}
