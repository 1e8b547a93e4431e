/* SPDX-License-Identifier: Apache-2.0 */
/* Heat in a cube, cold at its walls: seven points of three planes for each new one. Vectors suit it as they come; small
 * cubes stay in the second level cache. */
#include <math.h>
#include <stdlib.h>

#include "kernel.h"

static const double conduction = 0.125;

/* One step of the inner points; the walls stay what they are. */
static void step(long n, const double *restrict from, double *restrict to)
{
        const long row = n + 2, plane = row * row;

        for (long z = 1; z <= n; z++)
                for (long y = 1; y <= n; y++) {
                        const double *u = from + z * plane + y * row;
                        double *v = to + z * plane + y * row;

                        for (long x = 1; x <= n; x++)
                                v[x] = u[x] + conduction * (u[x - 1] + u[x + 1] + u[x - row] + u[x + row] +
                                                            u[x - plane] + u[x + plane] - 6 * u[x]);
                }
}

/* The slowest mode of the cube, times AMPLITUDE: a step shrinks it without changing its shape. */
static double mode(long n, long x, long y, long z, double amplitude)
{
        const double k = M_PI / (n + 1);

        return amplitude * sin(k * x) * sin(k * y) * sin(k * z);
}

static bool run(long n, long rounds, double *ret_value, double *ret_error)
{
        const long row = n + 2, points = row * row * row;
        const double shrink = 1 - 12 * conduction * (1 - cos(M_PI / (n + 1))) / 2;
        double *from = calloc(points, sizeof *from), *to = calloc(points, sizeof *to), sum = 0, worst = 0;

        if (!from || !to) {
                free(from);
                free(to);
                return false;
        }
        for (long i = 0; i < points; i++)
                from[i] = mode(n, i % row, i / row % row, i / row / row, 1);
        /* sin(pi) is not quite 0. */
        for (long i = 0; i < points; i++)
                if (i % row % (n + 1) == 0 || i / row % row % (n + 1) == 0 || i / row / row % (n + 1) == 0)
                        from[i] = 0;
        for (long round = 0; round < rounds; round++) {
                step(n, from, to);
                double *swap = from;
                from = to;
                to = swap;
        }
        for (long i = 0; i < points; i++) {
                sum += from[i];
                worst = fmax(worst, fabs(from[i] - mode(n, i % row, i / row % row, i / row / row, pow(shrink, rounds))));
        }
        free(from);
        free(to);
        *ret_value = sum;
        *ret_error = worst / (1e-15 * (rounds + 10));
        return true;
}

const struct kernel kernel = {"stencil", "points per side", "steps", 64, 2000, 2, 1000, run};
