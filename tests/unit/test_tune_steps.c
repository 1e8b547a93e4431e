/* SPDX-License-Identifier: Apache-2.0 */
/* What is tried on which machine, and what goes together. */
#include "tune_steps.h"

#include "unit_check.h"

#include <stdbool.h>
#include <string.h>

static bool tries(const char *name, enum tune_results results, const char *policy)
{
        struct jit_policy steps[TUNE_MOST_STEPS];
        struct jit_target *target;
        bool found = false;
        REQUIRE(jit_target_detect(name, true, &target) == 0);
        const size_t n = tune_steps(target, results, steps);
        for (size_t i = 0; i < n && !found; i++) {
                char *text;
                REQUIRE(jit_policy_format(&steps[i], &text) == 0);
                found = !strcmp(text, policy);
                free(text);
        }
        jit_target_free(target);
        return found;
}

static void test_what_is_tried(void)
{
        CHECK(tries("znver4", TUNE_GENERIC_ROUNDING, "opt=3,width=512") && tries("znver4", TUNE_GENERIC_ROUNDING, "opt=2"));
        CHECK(tries("znver4", TUNE_GENERIC_ROUNDING, "opt=3,tune=icelake-server"));
        CHECK(!tries("znver4", TUNE_GENERIC_ROUNDING, "opt=3,tune=znver4"));
        CHECK(tries("sapphirerapids", TUNE_GENERIC_ROUNDING, "opt=3,tune=znver4"));
        CHECK(!tries("sapphirerapids", TUNE_GENERIC_ROUNDING, "opt=3,tune=icelake-server"));
        CHECK(tries("haswell", TUNE_GENERIC_ROUNDING, "opt=3,tune=znver3"));
        CHECK(tries("haswell", TUNE_GENERIC_ROUNDING, "opt=3,width=256"));
        CHECK(!tries("haswell", TUNE_GENERIC_ROUNDING, "opt=3,width=512"));
        CHECK(!tries("sandybridge", TUNE_GENERIC_ROUNDING, "opt=3,fp=strict"));
        CHECK(!tries("x86-64", TUNE_GENERIC_ROUNDING, "opt=3,target=x86-64"));
        CHECK(tries("x86-64", TUNE_GENERIC_ROUNDING, "opt=3,lto=full"));
        CHECK(tries("haswell", TUNE_VECTOR_MATH, "opt=3,veclib=libmvec"));
        CHECK(tries("haswell", TUNE_VECTOR_MATH, "opt=3,fp=strict"));
        CHECK(!tries("haswell", TUNE_GENERIC_ROUNDING, "opt=3,veclib=libmvec"));
}

static void test_what_keeps_results(void)
{
        CHECK(tries("haswell", TUNE_GENERIC_ROUNDING, "opt=3,fp=strict"));
        CHECK(!tries("haswell", TUNE_SAME_RESULTS, "opt=3,fp=strict"));
        CHECK(!tries("haswell", TUNE_SAME_RESULTS, "opt=3,target=x86-64"));
        CHECK(tries("haswell", TUNE_SAME_RESULTS, "opt=3,width=128"));
        /* Without fused operations both builds round alike. */
        CHECK(tries("sandybridge", TUNE_SAME_RESULTS, "opt=3,target=x86-64"));
}

/* NULL: they change the same. */
static void check_pair(const char *one, const char *other, const char *expected)
{
        struct jit_policy a, b, both;
        char *text;
        REQUIRE(jit_policy_parse(one, &a, NULL) == 0 && jit_policy_parse(other, &b, NULL) == 0);
        const bool fit = tune_combine(&a, &b, &both);
        CHECK(fit == (expected != NULL));
        if (!fit)
                return;
        REQUIRE(jit_policy_format(&both, &text) == 0);
        CHECK(!strcmp(text, expected));
        free(text);
}

static void test_combinations(void)
{
        check_pair("opt=3,width=512", "opt=3,fp=strict", "opt=3,fp=strict,width=512");
        check_pair("opt=2", "opt=3,lto=off,width=128", "opt=2,lto=off,width=128");
        check_pair("opt=3,tune=generic", "opt=3,target=x86-64", "opt=3,tune=generic,target=x86-64");
        check_pair("opt=3,profile=off", "opt=2", "opt=2,profile=off");
        check_pair("opt=3,veclib=libmvec", "opt=3,width=512", "opt=3,width=512,veclib=libmvec");
        check_pair("opt=3,veclib=libmvec", "opt=3,fp=strict", NULL);
        check_pair("opt=3,width=512", "opt=3,width=128", NULL);
        check_pair("opt=3,lto=full", "opt=3,lto=off", NULL);
        check_pair("opt=3,tune=generic", "opt=3,tune=znver4", NULL);
        check_pair("opt=3,fp=strict", "opt=3,fp=strict,width=128", NULL);
}

int main(void)
{
        test_what_is_tried();
        test_what_keeps_results();
        test_combinations();
        return unit_report();
}
