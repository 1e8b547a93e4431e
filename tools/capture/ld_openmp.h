/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LD_OPENMP_H
#define LD_OPENMP_H

#include "jit_recipe.h"

/* clang's OpenMP calls __kmpc_…, which only LLVM's run-time library has; that one also has gcc's
 * GOMP_…. Where an input calls the former, an explicit -lgomp in WORDS becomes -lomp. */
int ld_openmp_choose(const struct jit_link_line *line, char **words);

#endif
