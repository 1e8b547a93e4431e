/* SPDX-License-Identifier: Apache-2.0 */
#include "seiche.h"

static double laplacian(const struct seiche_grid *grid, ptrdiff_t i)
{
        const float *u = grid->cells + i;
        double sum = 3.0 * seiche_weights[0] * u[0];

        for (int m = 1; m <= SEICHE_HALO; m++)
                sum += seiche_weights[m] *
                       ((double)u[-m] + u[m] + u[-m * grid->y_pitch] + u[m * grid->y_pitch] +
                               u[-m * grid->z_pitch] + u[m * grid->z_pitch]);
        return sum;
}

double seiche_energy(const struct seiche_grid *now, const struct seiche_grid *next,
        const struct seiche_grid *medium)
{
        double energy = 0;

#pragma omp parallel for reduction(+ : energy)
        for (int z = 0; z < now->size; z++)
                for (int y = 0; y < now->size; y++)
                        for (int x = 0; x < now->size; x++) {
                                ptrdiff_t i = seiche_index(now, x, y, z);
                                double change = (double)next->cells[i] - now->cells[i];
                                energy += change * change / medium->cells[i] -
                                          next->cells[i] * laplacian(now, i);
                        }
        return energy;
}
