/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_policy.h"

#include "fmt_cleanup.h"

#include <ctype.h>
#include <string.h>

/* In the order in which a text has them. */
static const char *const names[] = {"opt", "fp", "lto", "width", "tune", "target", "profile", "veclib"};
#define N_NAMES (sizeof names / sizeof *names)

/* Index of VALUE among WORDS, or -1. */
static int find_word(const char *value, const char *const *words, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (words[i] != NULL && !strcmp(value, words[i]))
                        return (int)i;
        return -1;
}

static const char *const fp_words[] = {[JIT_FP_STRICT] = "strict"};
static const char *const lto_words[] = {[JIT_LTO_FULL] = "full", [JIT_LTO_OFF] = "off"};
static const char *const opt_words[] = {"0", "1", "2", "3"};
static const char *const width_words[] = {NULL, "128", "256", "512"};
static const unsigned widths[] = {0, 128, 256, 512};
#define N_WORDS(words) (sizeof(words) / sizeof *(words))

static bool copy_name(const char *value, char *field)
{
        const size_t size = strlen(value);
        if (size == 0 || size >= JIT_POLICY_NAME_SIZE)
                return false;
        for (const char *c = value; *c != '\0'; c++)
                if (!isalnum((unsigned char)*c) && *c != '-' && *c != '.' && *c != '_')
                        return false;
        memcpy(field, value, size + 1);
        return true;
}

/* False if VALUE is none that the Nth name takes. */
static bool set(struct jit_policy *policy, size_t n, const char *value)
{
        int word = 0;
        switch (n) {
        case 0:
                word = find_word(value, opt_words, N_WORDS(opt_words));
                policy->opt = word >= 0 ? (unsigned)word : 0;
                return word >= 0;
        case 1:
                word = find_word(value, fp_words, N_WORDS(fp_words));
                policy->fp = word > 0 ? JIT_FP_STRICT : JIT_FP_DEFAULT;
                return word > 0;
        case 2:
                word = find_word(value, lto_words, N_WORDS(lto_words));
                policy->lto = word > 0 ? (enum jit_lto)word : JIT_LTO_THIN;
                return word > 0;
        case 3:
                word = find_word(value, width_words, N_WORDS(width_words));
                policy->width = word > 0 ? widths[word] : 0;
                return word > 0;
        case 4:
                return copy_name(value, policy->tune);
        case 5:
                return copy_name(value, policy->target);
        case 6:
                policy->no_profile = true;
                return !strcmp(value, "off");
        default:
                policy->veclib = true;
                return !strcmp(value, "libmvec");
        }
}

static int refuse(char **ret_reason, const char *what, const char *word)
{
        if (ret_reason != NULL && asprintf(ret_reason, "%s: %s", word, what) < 0)
                *ret_reason = NULL;
        return -EINVAL;
}

int jit_policy_parse(const char *text, struct jit_policy *ret, char **ret_reason)
{
        struct jit_policy policy = {0};
        _cleanup_free_ char *copy = strdup(text);
        size_t next = 0;
        if (ret_reason != NULL)
                *ret_reason = NULL;
        if (copy == NULL)
                return -ENOMEM;
        for (char *rest = copy, *word; (word = strsep(&rest, ",")) != NULL;) {
                char *value = strchr(word, '=');
                if (value == NULL)
                        return refuse(ret_reason, "not NAME=VALUE", word);
                *value++ = '\0';
                const int n = find_word(word, names, N_NAMES);
                if (n < 0)
                        return refuse(ret_reason, "there is no such choice", word);
                if ((size_t)n < next || (next == 0 && n != 0))
                        return refuse(ret_reason, "not in its place", word);
                if (!set(&policy, (size_t)n, value))
                        return refuse(ret_reason, "it does not take this value", word);
                next = (size_t)n + 1;
        }
        *ret = policy;
        return 0;
}

int jit_policy_format(const struct jit_policy *policy, char **ret_text)
{
        const char *fp = fp_words[policy->fp], *lto = lto_words[policy->lto];
        char width[24] = "";
        if (policy->width != 0)
                snprintf(width, sizeof width, ",width=%u", policy->width);
        int n = asprintf(ret_text, "opt=%u%s%s%s%s%s%s%s%s%s%s%s", policy->opt, fp ? ",fp=" : "",
                fp ? fp : "", lto ? ",lto=" : "", lto ? lto : "", width,
                policy->tune[0] ? ",tune=" : "", policy->tune, policy->target[0] ? ",target=" : "",
                policy->target, policy->no_profile ? ",profile=off" : "",
                policy->veclib ? ",veclib=libmvec" : "");
        return n < 0 ? -ENOMEM : 0;
}

/* A profile is not worth rewriting every module for it, nor are all of them worth becoming one. */
struct jit_policy jit_policy_fast(const struct jit_policy *policy)
{
        struct jit_policy fast = *policy;
        fast.opt = 0;
        fast.lto = JIT_LTO_THIN;
        fast.no_profile = true;
        return fast;
}

bool jit_policy_equal(const struct jit_policy *a, const struct jit_policy *b)
{
        return a->opt == b->opt && a->fp == b->fp && a->lto == b->lto && a->width == b->width &&
               !strcmp(a->tune, b->tune) && !strcmp(a->target, b->target) &&
               a->no_profile == b->no_profile && a->veclib == b->veclib;
}

static int refuse_value(char **ret_reason, const char *name, const char *value, const char *values)
{
        if (asprintf(ret_reason, "%s=%s: it takes %s", name, value, values) < 0)
                *ret_reason = NULL;
        return -EINVAL;
}

int jit_wish_set(struct jit_wish *wish, const char *name, const char *value, char **ret_reason)
{
        static const char *const fp[] = {[JIT_FP_DEFAULT] = "default", [JIT_FP_STRICT] = "strict"};
        static const char *const lto[] = {
                [JIT_LTO_THIN] = "thin", [JIT_LTO_FULL] = "full", [JIT_LTO_OFF] = "off"};
        int word;
        if (!strcmp(name, "fp")) {
                word = find_word(value, fp, N_WORDS(fp));
                if (word < 0)
                        return refuse_value(ret_reason, name, value, "strict or default");
                wish->has_fp = true;
                wish->fp = (enum jit_fp)word;
                return 0;
        }
        if (!strcmp(name, "lto")) {
                word = find_word(value, lto, N_WORDS(lto));
                if (word < 0)
                        return refuse_value(ret_reason, name, value, "full, thin or off");
                wish->has_lto = true;
                wish->lto = (enum jit_lto)word;
                return 0;
        }
        int r = jit_policy_parse(value, &wish->policy, ret_reason);
        wish->has_policy |= r == 0;
        return r;
}

/* The width that a model prefers is itself a feature; a wider one is preferred by taking it away.
 */
char *jit_policy_features(const struct jit_policy *policy, const char *features)
{
        const char *preference = "";
        char *text;
        if (policy->width == 128)
                preference = ",+prefer-128-bit";
        else if (policy->width == 256)
                preference = ",-prefer-128-bit,+prefer-256-bit";
        else if (policy->width == 512)
                preference = ",-prefer-128-bit,-prefer-256-bit";
        return asprintf(&text, "%s%s", features, preference) < 0 ? NULL : text;
}
