/* SPDX-License-Identifier: Apache-2.0 */
#include "seiche.h"

#include <string.h>

/* The stencil is a cross: edges and corners of the halo are never read. */
void seiche_halo_exchange(struct seiche_grid *grid)
{
        const int size = grid->size;
        const size_t row = (size_t)size * sizeof(float);

#pragma omp parallel for
        for (int z = 0; z < size; z++) {
                float *plane = grid->cells + z * grid->z_pitch;
                for (int y = 0; y < size; y++) {
                        float *cells = plane + y * grid->y_pitch;
                        for (int i = 1; i <= SEICHE_HALO; i++) {
                                cells[-i] = cells[size - i];
                                cells[size - 1 + i] = cells[i - 1];
                        }
                }
                for (int i = 1; i <= SEICHE_HALO; i++) {
                        memcpy(plane - i * grid->y_pitch, plane + (size - i) * grid->y_pitch, row);
                        memcpy(plane + (size - 1 + i) * grid->y_pitch,
                                plane + (i - 1) * grid->y_pitch, row);
                }
        }
#pragma omp parallel for
        for (int y = 0; y < size; y++) {
                float *rows = grid->cells + y * grid->y_pitch;
                for (int i = 1; i <= SEICHE_HALO; i++) {
                        memcpy(rows - i * grid->z_pitch, rows + (size - i) * grid->z_pitch, row);
                        memcpy(rows + (size - 1 + i) * grid->z_pitch,
                                rows + (i - 1) * grid->z_pitch, row);
                }
        }
}
