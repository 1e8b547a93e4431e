/* SPDX-License-Identifier: Apache-2.0 */
/* chain [--size N] [--sweeps N]: solves a system whose solution is known, and says how far from it
 * the result is. */
#include "chain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int usage(const char *what, const char *word)
{
        fprintf(stderr, "chain: %s '%s'; usage: chain [--size N] [--sweeps N]\n", what, word);
        return 2;
}

static int parse(int argc, char **argv, int *size, int *sweeps)
{
        for (int i = 1; i < argc; i++) {
                int *number = strcmp(argv[i], "--size") == 0     ? size
                              : strcmp(argv[i], "--sweeps") == 0 ? sweeps
                                                                 : NULL;
                if (!number)
                        return usage("unknown option", argv[i]);
                if (++i == argc)
                        return usage("a number is missing behind", argv[i - 1]);
                *number = atoi(argv[i]);
                if (*number < 1 || *number > 100000 || (number == size && *number > 200))
                        return usage("not", argv[i]);
        }
        return 0;
}

/* The right side whose solution is sin(row). */
static void make_right(const struct matrix *matrix, double *right)
{
        for (int row = 0; row < matrix->rows; row++) {
                right[row] = matrix->diagonal[row] * sin(row);
                for (int i = matrix->start[row]; i < matrix->start[row + 1]; i++)
                        right[row] += matrix->value[i] * sin(matrix->column[i]);
        }
}

static double distance(const struct matrix *matrix, const double *x)
{
        double most = 0;

        for (int row = 0; row < matrix->rows; row++)
                most = fmax(most, fabs(x[row] - sin(row)));
        return most;
}

static double now(void)
{
        struct timespec time;

        timespec_get(&time, TIME_UTC);
        return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int solve(const struct matrix *matrix, int sweeps)
{
        double *right = malloc((size_t)matrix->rows * sizeof *right);
        double *x = calloc((size_t)matrix->rows, sizeof *x);
        double first, last, began, rate;

        if (!right || !x) {
                free(right);
                free(x);
                return -1;
        }
        make_right(matrix, right);
        first = distance(matrix, x);
        began = now();
        for (int i = 0; i < sweeps; i++)
                sweep(matrix, right, x);
        rate = (double)matrix->start[matrix->rows] * sweeps / (now() - began);
        last = distance(matrix, x);
        free(right);
        free(x);
        fprintf(stderr, "%.4g million terms per second\n", rate / 1e6);
        printf("distance %.17g, %s\n", last, last < first ? "verified" : "WRONG");
        return last < first ? 0 : 1;
}

int main(int argc, char **argv)
{
        int size = 12, sweeps = 20000, status = parse(argc, argv, &size, &sweeps);
        struct matrix matrix;

        if (status)
                return status;
        if (matrix_make(&matrix, size) == 0) {
                status = solve(&matrix, sweeps);
                matrix_free(&matrix);
                if (status >= 0)
                        return status;
        }
        fprintf(stderr, "chain: there is not enough memory for --size %d\n", size);
        return 1;
}
