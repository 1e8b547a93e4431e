/* SPDX-License-Identifier: Apache-2.0 */
#include "seiche.h"

const float seiche_weights[SEICHE_HALO + 1] = {
        -205.0f / 72, 8.0f / 5, -1.0f / 5, 8.0f / 315, -1.0f / 560};

/* Rows of one block stay in the first-level cache while the next plane's reads reuse them. */
#define BLOCK 16

static void step_row(float *restrict past, const float *restrict present,
        const float *restrict medium, int size, ptrdiff_t y_pitch, ptrdiff_t z_pitch)
{
        const float w0 = 3 * seiche_weights[0];
        const float w1 = seiche_weights[1];
        const float w2 = seiche_weights[2];
        const float w3 = seiche_weights[3];
        const float w4 = seiche_weights[4];

#pragma omp simd
        for (int x = 0; x < size; x++) {
                const float *u = present + x;
                float near = u[-1] + u[1] + u[-y_pitch] + u[y_pitch] + u[-z_pitch] + u[z_pitch];
                float second = u[-2] + u[2] + u[-2 * y_pitch] + u[2 * y_pitch] + u[-2 * z_pitch] +
                               u[2 * z_pitch];
                float third = u[-3] + u[3] + u[-3 * y_pitch] + u[3 * y_pitch] + u[-3 * z_pitch] +
                              u[3 * z_pitch];
                float fourth = u[-4] + u[4] + u[-4 * y_pitch] + u[4 * y_pitch] + u[-4 * z_pitch] +
                               u[4 * z_pitch];
                float laplacian = w0 * u[0] + w1 * near + w2 * second + w3 * third + w4 * fourth;
                past[x] = 2 * u[0] - past[x] + medium[x] * laplacian;
        }
}

void seiche_step(struct seiche_grid *past, const struct seiche_grid *present,
        const struct seiche_grid *medium)
{
        const int size = present->size;

#pragma omp parallel for collapse(2) schedule(static)
        for (int block = 0; block < size; block += BLOCK)
                for (int z = 0; z < size; z++)
                        for (int y = block; y < size && y < block + BLOCK; y++) {
                                ptrdiff_t i = seiche_index(present, 0, y, z);
                                step_row(past->cells + i, present->cells + i, medium->cells + i,
                                        size, present->y_pitch, present->z_pitch);
                        }
}
