/* SPDX-License-Identifier: Apache-2.0 */
#include "chain.h"

#include <stdlib.h>
#include <string.h>

#define NEIGHBOURS 26

static int add_row(struct matrix *matrix, int size, int x, int y, int z, int at)
{
        for (int c = z - 1; c <= z + 1; c++)
                for (int b = y - 1; b <= y + 1; b++)
                        for (int a = x - 1; a <= x + 1; a++) {
                                if (a < 0 || b < 0 || c < 0 || a >= size || b >= size ||
                                    c >= size || (a == x && b == y && c == z))
                                        continue;
                                matrix->column[at] = (c * size + b) * size + a;
                                matrix->value[at++] = -1;
                        }
        return at;
}

int matrix_make(struct matrix *matrix, int size)
{
        size_t rows = (size_t)size * size * size;
        int at = 0, row = 0;

        memset(matrix, 0, sizeof *matrix);
        matrix->start = malloc((rows + 1) * sizeof *matrix->start);
        matrix->column = malloc(rows * NEIGHBOURS * sizeof *matrix->column);
        matrix->value = malloc(rows * NEIGHBOURS * sizeof *matrix->value);
        matrix->diagonal = malloc(rows * sizeof *matrix->diagonal);
        if (!matrix->start || !matrix->column || !matrix->value || !matrix->diagonal) {
                matrix_free(matrix);
                return -1;
        }
        for (int z = 0; z < size; z++)
                for (int y = 0; y < size; y++)
                        for (int x = 0; x < size; x++) {
                                matrix->start[row] = at;
                                matrix->diagonal[row++] = NEIGHBOURS;
                                at = add_row(matrix, size, x, y, z, at);
                        }
        matrix->start[row] = at;
        matrix->rows = row;
        return 0;
}

void matrix_free(struct matrix *matrix)
{
        free(matrix->start);
        free(matrix->column);
        free(matrix->value);
        free(matrix->diagonal);
        memset(matrix, 0, sizeof *matrix);
}
