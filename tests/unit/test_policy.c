/* SPDX-License-Identifier: Apache-2.0 */
/* Policies as text and back, and every kind of text that is none. */
#include "jit_policy.h"

#include "fmt_cleanup.h"
#include "unit_check.h"

#include <string.h>

static void check_round_trip(const char *text)
{
        struct jit_policy policy;
        _cleanup_free_ char *again = NULL;
        REQUIRE(jit_policy_parse(text, &policy, NULL) == 0);
        REQUIRE(jit_policy_format(&policy, &again) == 0);
        CHECK(strcmp(text, again) == 0);
}

static void check_refused(const char *text, const char *word)
{
        struct jit_policy policy;
        _cleanup_free_ char *reason = NULL;
        CHECK(jit_policy_parse(text, &policy, &reason) == -EINVAL);
        CHECK(reason != NULL && strstr(reason, word) != NULL);
}

static void check_features(const char *text, const char *expected)
{
        struct jit_policy policy;
        REQUIRE(jit_policy_parse(text, &policy, NULL) == 0);
        _cleanup_free_ char *features = jit_policy_features(&policy, "+avx2");
        REQUIRE(features != NULL);
        CHECK(strcmp(features, expected) == 0);
}

int main(void)
{
        const struct jit_policy usual = JIT_POLICY_DEFAULT;
        _cleanup_free_ char *text = NULL;
        REQUIRE(jit_policy_format(&usual, &text) == 0);
        CHECK(strcmp(text, "opt=3") == 0);

        check_round_trip("opt=0");
        check_round_trip("opt=1");
        check_round_trip("opt=2,fp=strict");
        check_round_trip("opt=3,lto=off,width=512");
        check_round_trip("opt=3,fp=strict,lto=full,width=128,tune=znver4,target=x86-64-v3");

        check_round_trip("opt=3,width=256,profile=off");
        check_round_trip("opt=3,profile=off,veclib=libmvec");
        check_round_trip("opt=3,veclib=libmvec");

        struct jit_policy a, b;
        REQUIRE(jit_policy_parse("opt=3,tune=znver4", &a, NULL) == 0);
        REQUIRE(jit_policy_parse("opt=3,tune=znver5", &b, NULL) == 0);
        CHECK(jit_policy_equal(&a, &a) && !jit_policy_equal(&a, &b));

        a = jit_policy_fast(&b);
        REQUIRE(jit_policy_parse("opt=0,tune=znver5,profile=off", &b, NULL) == 0);
        CHECK(jit_policy_equal(&a, &b));

        check_refused("", "");
        check_refused("opt", "opt");
        check_refused("opt=4", "opt");
        check_refused("opt=33", "opt");
        check_refused("opt=3,", "");
        check_refused("fp=strict", "fp");
        check_refused("opt=3,fp=default", "fp");
        check_refused("opt=3,lto=thin", "lto");
        check_refused("opt=3,profile=on", "profile");
        check_refused("opt=3,veclib=svml", "veclib");
        check_refused("opt=3,veclib=libmvec,profile=off", "profile");
        check_refused("opt=3,width=0", "width");
        check_refused("opt=3,width=64", "width");
        check_refused("opt=3,lto=full,fp=strict", "fp");
        check_refused("opt=3,fp=strict,fp=strict", "fp");
        check_refused("opt=3,speed=most", "speed");
        check_refused("opt=3,tune=", "tune");
        check_refused("opt=3,tune=a b", "tune");
        check_refused("opt=3,tune=abcdefghijklmnopqrstuvwxyzabcdefghij", "tune");

        check_features("opt=3", "+avx2");
        check_features("opt=3,width=128", "+avx2,+prefer-128-bit");
        check_features("opt=3,width=256", "+avx2,-prefer-128-bit,+prefer-256-bit");
        check_features("opt=3,width=512", "+avx2,-prefer-128-bit,-prefer-256-bit");
        return unit_report();
}
