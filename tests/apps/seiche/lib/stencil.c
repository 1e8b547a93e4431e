/* SPDX-License-Identifier: Apache-2.0 */
#include "seiche.h"

const float seiche_weights[SEICHE_HALO + 1] = {
        -205.0f / 72, 8.0f / 5, -1.0f / 5, 8.0f / 315, -1.0f / 560};

/* Rows of one block stay in the first-level cache while the next plane's reads reuse them. */
#define BLOCK 16

/* The part of the Laplacian that lies in the plane of the row. */
static void plane_part(
        float *restrict sum, const float *restrict present, int size, ptrdiff_t pitch)
{
        const float w0 = 3 * seiche_weights[0];
        const float w1 = seiche_weights[1];
        const float w2 = seiche_weights[2];
        const float w3 = seiche_weights[3];
        const float w4 = seiche_weights[4];

#pragma omp simd
        for (int x = 0; x < size; x++) {
                const float *u = present + x;
                sum[x] = w0 * u[0] + w1 * (u[-1] + u[1] + u[-pitch] + u[pitch]) +
                         w2 * (u[-2] + u[2] + u[-2 * pitch] + u[2 * pitch]) +
                         w3 * (u[-3] + u[3] + u[-3 * pitch] + u[3 * pitch]) +
                         w4 * (u[-4] + u[4] + u[-4 * pitch] + u[4 * pitch]);
        }
}

/* Adds the part across planes and takes the step. Two loops over a row and not one: the sixteen
 * neighbouring rows of a single loop are more addresses than there are registers. */
static void step_row(float *restrict past, const float *restrict sum, const float *restrict present,
        const float *restrict medium, int size, ptrdiff_t pitch)
{
        const float w1 = seiche_weights[1];
        const float w2 = seiche_weights[2];
        const float w3 = seiche_weights[3];
        const float w4 = seiche_weights[4];

#pragma omp simd
        for (int x = 0; x < size; x++) {
                const float *u = present + x;
                float laplacian =
                        sum[x] + w1 * (u[-pitch] + u[pitch]) + w2 * (u[-2 * pitch] + u[2 * pitch]) +
                        w3 * (u[-3 * pitch] + u[3 * pitch]) + w4 * (u[-4 * pitch] + u[4 * pitch]);
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
                                float sum[SEICHE_MAX_SIZE];
                                plane_part(sum, present->cells + i, size, present->y_pitch);
                                step_row(past->cells + i, sum, present->cells + i,
                                        medium->cells + i, size, present->z_pitch);
                        }
}
