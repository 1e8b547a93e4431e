/* SPDX-License-Identifier: Apache-2.0 */
/* How to talk to xaas-bitcode, the only program that loads LLVM to look into bitcode.
 *
 *     xaas-bitcode normalise [--keep-debug]
 *     xaas-bitcode retarget --tune=MODEL --features=LIST [--full-lto] [--count | --profile=FILE]
 *     xaas-bitcode host                          what LLVM calls this machine; reads nothing
 *
 * Descriptor 0 is a memfd (or file) with the input, from offset 0; 1 is a memfd that takes the
 * answers from its current position on; 2 takes messages for people (cap and drain it). The process
 * confines itself before it reads the first byte: it can open nothing, fork nothing, talk to
 * nobody. It can be started from inside a box made by fmt_confine with may_exec. Anything it writes
 * is to be mistrusted: the functions below check it.
 *
 *     input  := question*                       until the end of the file
 *     question := "xaasbcIN" flags:u32 zero:u32 size:u64 module[size] padding
 *     output := answer*                         one for each question, in order
 *     answer := "xaasbOUT" error:u32 flags:u32 size:u64 reason_size:u32 required_size:u32
 *               extras_size:u32 functions:u32 profiled:u32 changed:u32 zero:u64 module[size]
 *               reason required extras padding
 *
 * Integers are little-endian; each question and answer is padded with zeros to a multiple of 8
 * bytes; texts are UTF-8 without a NUL. error is 0 or 74 (EBADMSG): then `reason` is a sentence and
 * there is no module.
 *
 * The exit status is 0 when every question has its answer. Otherwise (a crash, 70 for LLVM's fatal
 * errors, SIGKILL for a limit) the answers that are there are good, and the first question without
 * one is the one that ended it: ask the others again without it.
 *
 * retarget takes modules in normal form. Every function of the answer says target-cpu "x86-64",
 * tune-cpu MODEL and target-features LIST followed by the function's own, so that nothing is left
 * to what ld.lld's -mcpu would imply; with JIT_BITCODE_CAPTURED_ONLY the LIST is left out. LIST is
 * complete, plus and minus, as in struct jit_target. With --full-lto the answer has no ThinLTO
 * summary, so that ld.lld makes one module of all of them. With --count it counts how often its
 * code runs (jit_profile_runtime.c). With --profile the functions are told what such counts were:
 * of `functions` with a body `profiled` were, and `changed` others were not because the counts are
 * of another body; a file that is no profile changes nothing. FILE is something like
 * /proc/self/fd/3: an ordinary path cannot be opened. */
#ifndef JIT_BITCODE_PROTOCOL_H
#define JIT_BITCODE_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JIT_BITCODE_PROGRAM "xaas-bitcode" /* in the libexec folder */
#define JIT_BITCODE_FATAL_STATUS 70        /* EX_SOFTWARE: LLVM gave up */
#define JIT_BITCODE_USAGE_STATUS 64        /* EX_USAGE */
#define JIT_BITCODE_BOX_STATUS 71          /* EX_OSERR: could not be confined, nothing was read */
#define JIT_BITCODE_INPUT_STATUS 65        /* EX_DATAERR: the input is not as above */
#define JIT_BITCODE_OUTPUT_STATUS 74       /* EX_IOERR: an answer could not be written */

enum jit_bitcode_question_flags {
        JIT_BITCODE_CAPTURED_ONLY = 1, /* retarget: as fmt_module_facts.captured_only says */
};

enum jit_bitcode_answer_flags {
        JIT_BITCODE_HAS_EXTRAS = 1,
        JIT_BITCODE_IS_CAPTURED_ONLY = 2,
        JIT_BITCODE_NOT_OPTIMISED = 4,
        JIT_BITCODE_PROFILE_UNREADABLE = 8,
};

struct jit_bitcode_question {
        uint32_t flags;
        const void *data;
        size_t size;
};

struct jit_bitcode_answer {
        int error; /* 0 or -EBADMSG */
        uint32_t flags;
        const void *data;
        size_t size;
        const char *reason; /* texts are not terminated */
        size_t reason_size;
        const char *required; /* features the host must have */
        size_t required_size;
        const char *extras; /* union of what functions ask for themselves */
        size_t extras_size;
        uint32_t functions, profiled, changed;
};

/* Appends to FD at its current position. 0 or a negative errno. */
int jit_bitcode_ask(int fd, const struct jit_bitcode_question *question);
int jit_bitcode_reply(int fd, const struct jit_bitcode_answer *answer);

/* Take the next one off BUFFER at *OFFSET and move *OFFSET behind it; what they return points into
 * BUFFER. 1: there was one; 0: the buffer is at its end; -EBADMSG: it is not as described above, or
 * cut off. */
int jit_bitcode_next_question(
        const void *buffer, size_t size, size_t *offset, struct jit_bitcode_question *ret);
int jit_bitcode_next_answer(
        const void *buffer, size_t size, size_t *offset, struct jit_bitcode_answer *ret);

/* Maps what FD holds, read-only, and gives its size in bytes; unmap with munmap. An empty file
 * gives NULL and 0. */
int jit_bitcode_map(int fd, const void **ret, size_t *ret_size);

#endif
