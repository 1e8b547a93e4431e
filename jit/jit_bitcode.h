/* SPDX-License-Identifier: Apache-2.0 */
/* The normal form of bitcode, and its way back to a host. Both run in a confined xaas-bitcode
 * process (the only one that loads LLVM); these functions start it, feed it and read its answer.
 *
 * Normal form is ThinLTO pre-link bitcode that says nothing about the CPU, the folder or, unless
 * kept, the source lines of its build, so that builds that differ only there give the same bytes:
 *   - target-cpu and tune-cpu are gone; target-features holds what the function asked for itself
 *     (jit_function_target.h), with minus signs where it asked for less;
 *   - source_filename is its last component; debug information is gone;
 *   - the summary and the module hash are written anew.
 * Three kinds of module are tied to what they were compiled for, and say so in their facts:
 *   - captured_only: a vector of more than 128 bits crosses a function's boundary. It travels in
 *     other registers with AVX than without, on both sides of the call, so the module is compiled
 *     with its captured features and never with the host's;
 *   - required: x86 intrinsics or assembly were written for what the build's CPU had. A host
 *     without these features gets the generic program;
 *   - refused: full LTO (vectorised already), no ThinLTO at all, another machine, assembly that
 *     takes in files. The program stays native and `reason` says why. */
#ifndef JIT_BITCODE_H
#define JIT_BITCODE_H

#include "fmt_record.h"
#include "jit_host.h"
#include "jit_spawner.h"

struct jit_bitcode_result {
        int error;    /* 0, or -EBADMSG: `reason` says why it cannot be used */
        char *reason; /* sentence, or NULL */
        void *data;   /* normalised bitcode */
        size_t size;
        struct fmt_module_facts facts; /* strings owned by the result */
        bool not_optimised; /* every function is optnone (-O0): will not be specialised */
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

/* What LLVM itself calls this machine, for people: nothing is compiled for that name. The caller
 * frees it. -ENOENT and other errors of starting programs; -EBADMSG: no name came. */
int jit_bitcode_host_name(char **ret_name);

#endif
