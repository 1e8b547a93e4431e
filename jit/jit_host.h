/* SPDX-License-Identifier: Apache-2.0 */
/* What a program is compiled for.
 *
 * Detection is by feature, never by name (LLVM calls a Sapphire Rapids guest "rocketlake"): on
 * x86-64 those that cpuid shows AND xgetbv says the OS saves AND /proc/cpuinfo does not deny, on
 * AArch64 those that the kernel lists, in LLVM's spelling, plus and minus; then the tuning model
 * that matches them best (jit_detection.h tells why, jit_machine.h what it goes by). */
#ifndef JIT_HOST_H
#define JIT_HOST_H

#include <stdbool.h>

struct jit_target {
        char *triple;   /* "x86_64-pc-linux-gnu", "aarch64-unknown-linux-gnu" */
        char *tune;     /* LLVM CPU name used for scheduling and as -mcpu, e.g. "icelake-server" */
        char *features; /* "+avx2,…,-avx512f,…": every feature with its sign, sorted by name */
        char *label; /* short, for people: "native" or what -o target= said, e.g. "x86-64-v3"; of a
                      * recorded machine the name of its file */
};

/* NAME: NULL or "native": this host; "x86-64", "x86-64-v2/3/4", on AArch64 "armv8-a" and so on, or
 * any other CPU name of LLVM 19 for this host's architecture; with a '/' in it: the file of a
 * recorded machine (jit_machine.h), which gives what "native" gives there. A target that this host
 * cannot run: -ENOTSUP with a message, unless FORCE; what a CPU name or machine has that no
 * compiler emits unasked (SGX, protection keys: a guest seldom has them) is left out instead.
 * -EINVAL with a message: no such target. Runs no other program. */
int jit_target_detect(const char *name, bool force, struct jit_target **ret);
void jit_target_free(struct jit_target *target);

/* Whether what images hold, bitcode for x86-64, can be compiled for it; if not, says so. */
bool jit_target_takes_images(const struct jit_target *target);

/* Whether REQUIRED ("+avx2,+fma", or NULL) holds on TARGET; ret_missing (optional) names the
 * first missing feature and is the caller's to free. */
bool jit_target_has(const struct jit_target *target, const char *required, char **ret_missing);

/* One line that holds everything that can change the generated code: goes into the key. */
int jit_target_describe(const struct jit_target *target, char **ret_text);

#endif
