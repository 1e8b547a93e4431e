/* SPDX-License-Identifier: Apache-2.0 */
#include "seiche.h"

#include <math.h>

#define TWO_PI 6.28318530717958647692

static double mode_value(const struct seiche_grid *grid, const int k[3], int x, int y, int z)
{
        double unit = TWO_PI / grid->size;

        return sin(unit * k[0] * x) * sin(unit * k[1] * y) * sin(unit * k[2] * z);
}

void seiche_mode_fill(struct seiche_grid *grid, const int k[3], double amplitude)
{
#pragma omp parallel for
        for (int z = 0; z < grid->size; z++)
                for (int y = 0; y < grid->size; y++)
                        for (int x = 0; x < grid->size; x++)
                                grid->cells[seiche_index(grid, x, y, z)] =
                                        (float)(amplitude * mode_value(grid, k, x, y, z));
}

double seiche_mode_error(const struct seiche_grid *grid, const int k[3], double amplitude)
{
        double largest = 0;

#pragma omp parallel for reduction(max : largest)
        for (int z = 0; z < grid->size; z++)
                for (int y = 0; y < grid->size; y++)
                        for (int x = 0; x < grid->size; x++) {
                                double wanted = amplitude * mode_value(grid, k, x, y, z);
                                double seen = grid->cells[seiche_index(grid, x, y, z)];
                                largest = fmax(largest, fabs(seen - wanted));
                        }
        return largest;
}

/*
 * A mode is an eigenvector of the discrete Laplacian too, with eigenvalue lambda; leapfrog then
 * turns it by omega per step, with 2 cos(omega) - 2 = courant^2 lambda. So the program is compared
 * with what the scheme itself must yield, and only rounding is left.
 */
double seiche_mode_frequency(int size, const int k[3], float courant)
{
        double lambda = 0;

        for (int axis = 0; axis < 3; axis++) {
                lambda += seiche_weights[0];
                for (int m = 1; m <= SEICHE_HALO; m++)
                        lambda += 2 * seiche_weights[m] * cos(TWO_PI / size * k[axis] * m);
        }
        return acos(1 + courant * (double)courant * lambda / 2);
}
