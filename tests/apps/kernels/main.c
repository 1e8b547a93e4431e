/* SPDX-License-Identifier: Apache-2.0 */
/* NAME [SIZE [ROUNDS]]: computes, compares with what is known of the result, and prints it. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel.h"

static bool parse(const char *word, long least, long most, long *number)
{
        char *end;

        *number = strtol(word, &end, 10);
        return end != word && !*end && *number >= least && *number <= most;
}

int main(int argc, char **argv)
{
        long size = kernel.size, rounds = kernel.rounds;
        double value, error;

        if (argc > 3 || (argc > 1 && !parse(argv[1], kernel.least, kernel.most, &size)) ||
            (argc > 2 && !parse(argv[2], 1, 1000000, &rounds))) {
                fprintf(stderr, "usage: %s [SIZE [ROUNDS]]: %s, %ld to %ld (%ld); %s, 1 to 1000000 (%ld)\n", kernel.name,
                        kernel.size_is, kernel.least, kernel.most, kernel.size, kernel.rounds_are, kernel.rounds);
                return 2;
        }
        if (!kernel.run(size, rounds, &value, &error)) {
                fprintf(stderr, "%s: there is not enough memory for size %ld; ask for less\n", kernel.name, size);
                return 1;
        }
        printf("%s %ld %ld: %.17g, %s\n", kernel.name, size, rounds, value, error <= 1 ? "verified" : "WRONG");
        return error <= 1 ? 0 : 1;
}
