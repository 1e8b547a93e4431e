/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SEICHE_H
#define SEICHE_H

/*
 * Sound waves in a periodic box of SIZE^3 cells: u_tt = c^2 (u_xx + u_yy + u_zz), eighth order in
 * space, leapfrog in time, single precision. All lengths are in cells and all times in steps; the
 * medium holds (c dt / h)^2 per cell.
 */

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Cells on either side that the stencil reaches: half the order of accuracy. */
#define SEICHE_HALO 4

/* Most cells per side. */
#define SEICHE_MAX_SIZE 1024

/* Weights of the eighth-order second derivative at distance 0 to 4 (Fornberg 1988, table 1). */
extern const float seiche_weights[SEICHE_HALO + 1];

/* A cube of floats with a halo on every side. Rows are contiguous in x. */
struct seiche_grid {
        int size;          /* cells per side, without the halo */
        ptrdiff_t y_pitch; /* floats from one row to the next */
        ptrdiff_t z_pitch; /* floats from one plane to the next */
        float *cells;      /* the first cell inside the halo */
        float *storage;
};

/* Returns 0, or -1 when there is no memory. The cells are zero. */
int seiche_grid_create(struct seiche_grid *grid, int size);
void seiche_grid_destroy(struct seiche_grid *grid);

static inline ptrdiff_t seiche_index(const struct seiche_grid *grid, int x, int y, int z)
{
        return z * grid->z_pitch + y * grid->y_pitch + x;
}

/* Copies the opposite faces into the halo, which makes the box periodic. */
void seiche_halo_exchange(struct seiche_grid *grid);

enum seiche_medium {
        SEICHE_HOMOGENEOUS, /* one speed: the wave has a closed form */
        SEICHE_LAYERED,     /* eight layers of alternating speed in z */
};

void seiche_medium_fill(struct seiche_grid *medium, enum seiche_medium kind, float courant);

/*
 * One step in time: reads PRESENT, whose halo must be valid, and turns PAST into the future.
 */
void seiche_step(struct seiche_grid *past, const struct seiche_grid *present,
        const struct seiche_grid *medium);

/* The wave cos(phase) * sin(2 pi kx x / size) * ... , with K whole wavelengths per side. */
void seiche_mode_fill(struct seiche_grid *grid, const int k[3], double amplitude);

/* Largest difference between GRID and that wave. */
double seiche_mode_error(const struct seiche_grid *grid, const int k[3], double amplitude);

/* Phase by which the discrete wave advances per step in a homogeneous medium; radians. */
double seiche_mode_frequency(int size, const int k[3], float courant);

/*
 * The energy that leapfrog conserves in any medium, up to rounding:
 * sum of (u' - u)^2 / (c dt / h)^2 - u' L u over two neighbouring steps. NOW must have a valid
 * halo.
 */
double seiche_energy(const struct seiche_grid *now, const struct seiche_grid *next,
        const struct seiche_grid *medium);

/* Sum of the bit patterns of all cells: equal for equal results, whatever the number of threads. */
unsigned long long seiche_checksum(const struct seiche_grid *grid);

#ifdef __cplusplus
}
#endif

#endif
