/* SPDX-License-Identifier: Apache-2.0 */
/* The normal form of bitcode, and its way back to a host. Both run in a confined xaas-bitcode process
 * (the only one that loads LLVM); these functions start it, feed it and read its answer.
 *
 * Normal form: ThinLTO pre-link bitcode without target-cpu and tune-cpu, target-features reduced to what each function
 * asked for itself, source_filename reduced to its last component, debug information dropped (or kept),
 * summary and module hash written anew. Rules and traps: DESIGN.md "Bitcode in one normal form",
 * facts on silent wrong code (vectors across boundaries, intrinsics, inline assembly). */
#ifndef JIT_BITCODE_H
#define JIT_BITCODE_H

#include "fmt_record.h"
#include "jit_host.h"
#include "jit_spawner.h"

struct jit_bitcode_result {
        int error;                     /* 0, or -EBADMSG: `reason` says why it cannot be used */
        char *reason;                  /* sentence, or NULL */
        void *data;                    /* normalised bitcode */
        size_t size;
        struct fmt_module_facts facts; /* strings owned by the result */
        bool not_optimised;            /* every function is optnone (-O0): will not be specialised */
};
void jit_bitcode_result_done(struct jit_bitcode_result *result);

struct jit_bitcode_input {
        const void *data;
        size_t size;
        const char *name; /* for messages */
};

/* Normalises N modules with up to THREADS processes (several modules per process: LLVM takes
 * 30 ms to start). results: N slots, each filled in. 0 if the processes could be run at all. */
int jit_bitcode_normalise(struct jit_spawner *spawner, const struct jit_bitcode_input *inputs,
        size_t n, bool keep_debug, unsigned threads,
        void (*progress)(void *context, size_t done, size_t total), void *context,
        struct jit_bitcode_result *results);

#endif
