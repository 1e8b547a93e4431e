/* SPDX-License-Identifier: Apache-2.0 */
/* A sparse matrix times a vector, again and again: each point of a grid with its 27 neighbours, in compressed rows. What
 * is loaded decides, and how long a chain of additions takes, which vectors cannot shorten. */
#include <math.h>
#include <stdlib.h>

#include "kernel.h"

struct matrix {
        long rows;
        long *start; /* of each row in the two below, and their end */
        int *column;
        double *value;
};

static void multiply(const struct matrix *a, const double *restrict x, double *restrict y)
{
        for (long row = 0; row < a->rows; row++) {
                double sum = 0;

                for (long i = a->start[row]; i < a->start[row + 1]; i++)
                        sum += a->value[i] * x[a->column[i]];
                y[row] = sum;
        }
}

/* Each row adds up to 1, so that a vector of equal numbers stays what it is; neighbours count as they are near. */
static void fill_row(struct matrix *a, long n, long row)
{
        const long x = row % n, y = row / n % n, z = row / n / n;
        long end = a->start[row];
        double sum = 0;

        for (long w = z - 1; w <= z + 1; w++)
                for (long v = y - 1; v <= y + 1; v++)
                        for (long u = x - 1; u <= x + 1; u++) {
                                if (u < 0 || u >= n || v < 0 || v >= n || w < 0 || w >= n)
                                        continue;
                                a->column[end] = (int)((w * n + v) * n + u);
                                a->value[end] = 4.0 / (1 + labs(u - x) + labs(v - y) + labs(w - z));
                                sum += a->value[end++];
                        }
        a->start[row + 1] = end;
        for (long i = a->start[row]; i < end; i++)
                a->value[i] /= sum;
}

static bool run(long n, long rounds, double *ret_value, double *ret_error)
{
        struct matrix a = {.rows = n * n * n};
        double *x = malloc(a.rows * sizeof *x), *y = malloc(a.rows * sizeof *y), sum = 0, worst = 0;
        bool enough;

        a.start = calloc(a.rows + 1, sizeof *a.start);
        a.column = malloc(27 * a.rows * sizeof *a.column);
        a.value = malloc(27 * a.rows * sizeof *a.value);
        enough = x && y && a.start && a.column && a.value;
        if (enough) {
                for (long row = 0; row < a.rows; row++) {
                        fill_row(&a, n, row);
                        x[row] = M_E;
                }
                for (long round = 0; round < rounds; round++) {
                        multiply(&a, x, y);
                        double *swap = x;
                        x = y;
                        y = swap;
                }
                for (long row = 0; row < a.rows; row++) {
                        sum += x[row];
                        worst = fmax(worst, fabs(x[row] - M_E));
                }
        }
        free(x);
        free(y);
        free(a.start);
        free(a.column);
        free(a.value);
        *ret_value = sum;
        *ret_error = worst / (1e-14 * (rounds + 10));
        return enough;
}

const struct kernel kernel = {"spmv", "points per side", "products", 32, 1000, 2, 400, run};
