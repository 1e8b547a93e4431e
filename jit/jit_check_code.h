/* SPDX-License-Identifier: Apache-2.0 */
/* Looks for instructions that a target does not have in compiled code.
 *
 * A linear sweep with Zydis over the executable sections of an ELF file. It is a net under the
 * compiler, not a proof: what does not decode (data in code, instructions newer than Zydis) is
 * stepped over and counted; of the instructions that only a system's kernel or hand-written
 * assembly uses, none is looked for; `rep bsf`, which LLVM writes for every CPU, is not held to be
 * tzcnt. */
#ifndef JIT_CHECK_CODE_H
#define JIT_CHECK_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A range of addresses whose code came from one input of the link. */
struct jit_code_range {
        uint64_t start, end;  /* [start, end) */
        const char *origin;   /* the input's name, or NULL */
        const char *features; /* what this code may use beyond the target, "+avx2,…", or NULL */
        bool is_native;       /* kept native: not looked at */
};

struct jit_code_finding {
        uint64_t address;
        const char *mnemonic;   /* static */
        const char *feature;    /* the missing one; static */
        const char *origin;     /* of the range it lies in, or NULL */
        uint64_t swept;         /* bytes looked at */
        uint64_t not_decodable; /* bytes stepped over */
};

/* FEATURES: the target's complete list. RANGES: sorted by start, not overlapping; code outside of
 * them is the linker's own and is held to the target's features. 0: nothing found (ret's counters
 * are filled); 1: ret tells the first instruction; -EBADMSG: not an ELF file to go by. */
int jit_check_code(int fd, const char *features, const struct jit_code_range *ranges, size_t n,
        struct jit_code_finding *ret);

#endif
