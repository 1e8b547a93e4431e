/* SPDX-License-Identifier: Apache-2.0 */
#include "chain.h"

/* Every subtraction needs the result of the one before it, while the products could all be ready:
 * fused into one operation they wait as well, which takes longer wherever a fused multiply-add has
 * more latency than an addition. */
void sweep(const struct matrix *matrix, const double *right, double *x)
{
        for (int row = 0; row < matrix->rows; row++) {
                double sum = right[row];
                for (int i = matrix->start[row]; i < matrix->start[row + 1]; i++)
                        sum -= matrix->value[i] * x[matrix->column[i]];
                x[row] = sum / matrix->diagonal[row];
        }
}
