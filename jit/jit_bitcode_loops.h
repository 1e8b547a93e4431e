/* SPDX-License-Identifier: Apache-2.0 */
/* What a profile must not say of loops. LLVM 19 peels a loop that went round seven times or less on
 * average: code for each round, and a loop behind it that seldom runs. That pays (a Fourier
 * transform of 2^14 numbers: 0.77 of the time), but is decided once loops are vectorised. A round
 * then stands for 8 to 32 of those that were counted, a long loop looks like a short one, and its
 * vectors are peeled, with more addresses than there are registers (a stencil of 64^3
 * points: 1.06). So loops that were long before are marked as peeled as often as LLVM may; what is
 * made of them inherits that. */
#ifndef JIT_BITCODE_LOOPS_H
#define JIT_BITCODE_LOOPS_H

#include <llvm-c/Core.h>

/* For all functions of MODULE, which know their profile. -ENOMEM. */
int jit_bitcode_keep_long_loops(LLVMModuleRef module);

#endif
