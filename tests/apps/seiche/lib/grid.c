/* SPDX-License-Identifier: Apache-2.0 */
#include "seiche.h"

#include <stdlib.h>
#include <string.h>

/* A cache line, and the widest vector there is. */
#define ALIGNMENT 64

int seiche_grid_create(struct seiche_grid *grid, int size)
{
        const ptrdiff_t line = ALIGNMENT / sizeof(float);
        const ptrdiff_t side = size + 2 * SEICHE_HALO;

        /* The first inner cell of every row is aligned, so a row begins one line before it. */
        grid->size = size;
        grid->y_pitch = line + (size + SEICHE_HALO + line - 1) / line * line;
        /* An odd number of lines per plane: planes at a power of two would share cache sets. */
        grid->z_pitch = grid->y_pitch * side;
        if (grid->z_pitch / line % 2 == 0)
                grid->z_pitch += line;

        size_t floats = (size_t)(grid->z_pitch * side + line);
        grid->storage = aligned_alloc(ALIGNMENT, (floats + line - 1) / line * ALIGNMENT);
        if (!grid->storage)
                return -1;
        memset(grid->storage, 0, floats * sizeof(float));
        grid->cells = grid->storage + SEICHE_HALO * (grid->z_pitch + grid->y_pitch) + line;
        return 0;
}

void seiche_grid_destroy(struct seiche_grid *grid)
{
        free(grid->storage);
        grid->storage = NULL;
        grid->cells = NULL;
}

unsigned long long seiche_checksum(const struct seiche_grid *grid)
{
        unsigned long long sum = 0;

#pragma omp parallel for reduction(+ : sum)
        for (int z = 0; z < grid->size; z++)
                for (int y = 0; y < grid->size; y++)
                        for (int x = 0; x < grid->size; x++) {
                                unsigned bits;
                                memcpy(&bits, &grid->cells[seiche_index(grid, x, y, z)],
                                        sizeof(bits));
                                sum += bits;
                        }
        return sum;
}
