/* SPDX-License-Identifier: Apache-2.0 */
/* A sparse matrix, by rows, and one sweep of the Gauss-Seidel method (Saad, "Iterative Methods for
 * Sparse Linear Systems", 4.1) over it: each row waits for the one before it, and each sum for its
 * own last term. So the latency of one floating-point operation is what counts. */
#ifndef CHAIN_H
#define CHAIN_H

struct matrix {
        int rows;
        int *start;       /* rows + 1: where each row's entries begin */
        int *column;      /* of each entry outside the diagonal */
        double *value;    /* of the same */
        double *diagonal; /* of each row */
};

/* Of a cube of SIZE^3 points, each tied to its 26 neighbours: 26 on the diagonal and -1 elsewhere,
 * as HPCG has it. 0, or -1 without memory. */
int matrix_make(struct matrix *matrix, int size);
void matrix_free(struct matrix *matrix);

/* One sweep, from the first row to the last. */
void sweep(const struct matrix *matrix, const double *right, double *x);

#endif
