/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_suggest.h"

#include <stdio.h>
#include <string.h>

static const char *const known[] = {"patience", "target", "cache", "lean", "level", NULL};

static int wrong(const char *given, const char *expected)
{
        const char *got = fmt_suggest(given, known);

        if (got == expected || (got && expected && !strcmp(got, expected)))
                return 0;
        printf("%s: expected %s, got %s\n", given, expected ? expected : "nothing",
                got ? got : "nothing");
        return 1;
}

int main(void)
{
        int failures = 0;

        failures += wrong("patiense", "patience");
        failures += wrong("pateince", "patience");
        failures += wrong("pat", "patience");
        failures += wrong("tarket", "target");
        failures += wrong("cahce", "cache");
        failures += wrong("leam", "lean");
        failures += wrong("levle", "level");
        failures += wrong("verbose", NULL);
        failures += wrong("x", NULL);
        failures += wrong("", NULL);
        failures += wrong(
                "a-name-that-is-much-longer-than-anything-that-could-ever-be-meant-by-it", NULL);
        return failures > 0;
}
