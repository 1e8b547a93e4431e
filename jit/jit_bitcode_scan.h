/* SPDX-License-Identifier: Apache-2.0 */
/* What in a module ties it to the CPU it was compiled for, attributes aside. */
#ifndef JIT_BITCODE_SCAN_H
#define JIT_BITCODE_SCAN_H

#include <llvm-c/Core.h>
#include <stdbool.h>
#include <stdint.h>

/* Calls an x86 intrinsic beyond SSE2, or holds assembly that means something to an assembler: the
 * code was chosen by someone who knew what the build's CPU has (#ifdef __AVX2__). */
bool jit_bitcode_needs_baseline(LLVMValueRef function);

/* The same for assembly outside of functions. Directives (.symver) and labels alone need nothing.
 */
bool jit_bitcode_module_asm_needs_baseline(LLVMModuleRef module);

/* Its assembly takes in other files (.incbin, .include), which will not be there. A courtesy: what
 * hides the words better finds nothing to open in the box. */
bool jit_bitcode_includes_files(LLVMModuleRef module);

/* Asks the linker for a library by its path (#pragma comment(lib, "/…")). By name they are only
 * ignored: what the program was linked with is in its record. */
bool jit_bitcode_names_library_files(LLVMModuleRef module);

/* Takes, returns or passes to a call a vector of more than 128 bits (or one of bits): where such a
 * value travels depends on the CPU features of both sides, so both must keep those they were
 * compiled with. */
bool jit_bitcode_has_wide_vectors(LLVMValueRef function);

#endif
