/* SPDX-License-Identifier: Apache-2.0 */
#include "seiche.h"

#define LAYERS 8
/* Speed of the slow layers as a part of the fast ones'. */
#define SLOW 0.7f

void seiche_medium_fill(struct seiche_grid *medium, enum seiche_medium kind, float courant)
{
#pragma omp parallel for
        for (int z = 0; z < medium->size; z++) {
                int layer = z * LAYERS / medium->size;
                float speed = kind == SEICHE_LAYERED && layer % 2 ? SLOW * courant : courant;
                for (int y = 0; y < medium->size; y++)
                        for (int x = 0; x < medium->size; x++)
                                medium->cells[seiche_index(medium, x, y, z)] = speed * speed;
        }
}
