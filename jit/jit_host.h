/* SPDX-License-Identifier: Apache-2.0 */
/* What a program is compiled for.
 *
 * Detection is by feature, never by name (LLVM calls a Sapphire Rapids guest "rocketlake"):
 * features that cpuid shows AND xgetbv says the OS saves AND /proc/cpuinfo does not deny, in
 * LLVM's spelling, plus and minus; then the tuning model that matches them best. */
#ifndef JIT_HOST_H
#define JIT_HOST_H

#include <stdbool.h>

struct jit_target {
        char *triple;   /* "x86_64-pc-linux-gnu" */
        char *tune;     /* LLVM CPU name used for scheduling and as -mcpu, e.g. "icelake-server" */
        char *features; /* "+avx2,…,-avx512f,…": every feature with its sign, sorted by name */
        char *label;    /* short, for people: "native" or what -o target= said, e.g. "x86-64-v3" */
};

/* NAME: NULL or "native": this host; "x86-64", "x86-64-v2/3/4" or any other CPU name of LLVM 19
 * for x86-64. A target that this host cannot run: -ENOTSUP with a message, unless FORCE; what a CPU
 * name has that no compiler emits unasked (SGX, protection keys: a guest seldom has them) is left
 * out instead. -EINVAL with a message: no such target, or a host that is not x86-64. Runs no other
 * program. */
int jit_target_detect(const char *name, bool force, struct jit_target **ret);
void jit_target_free(struct jit_target *target);

/* Whether REQUIRED ("+avx2,+fma", or NULL) holds on TARGET; ret_missing (optional) names the
 * first missing feature and is the caller's to free. */
bool jit_target_has(const struct jit_target *target, const char *required, char **ret_missing);

/* One line that holds everything that can change the generated code: goes into the key. */
int jit_target_describe(const struct jit_target *target, char **ret_text);

#endif
