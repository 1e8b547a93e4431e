/* SPDX-License-Identifier: Apache-2.0 */
/* A machine as it describes itself: this one, or one that was recorded.
 *
 * A record is a text file, so that a machine can be reported, tested and compiled for elsewhere:
 *
 *     machine  := "machine " ("x86-64" | "AArch64") LF line*
 *     line     := "#" text LF | LF
 *               | "name " text LF         what it calls itself, printable ASCII
 *     x86-64:   | "cpuid " LEAF " " SUBLEAF " " EAX " " EBX " " ECX " " EDX LF    hexadecimal
 *               | "xcr0 " HEX LF          xgetbv(0), without 0x
 *               | "flags " words LF       of /proc/cpuinfo; without it, it denies nothing
 *     AArch64:  | "core " N " " MIDR LF   that many cores with this MIDR_EL1 (hexadecimal)
 *               | "features " words LF    of /proc/cpuinfo
 *
 * At most JIT_MACHINE_MAX_SIZE bytes. */
#ifndef JIT_MACHINE_H
#define JIT_MACHINE_H

#include "jit_host_aarch64.h"
#include "jit_host_x86.h"

#define JIT_MACHINE_MAX_SIZE ((size_t)64 << 10)

struct jit_machine {
        const struct jit_architecture *architecture;
        char *name; /* or NULL */
        struct jit_x86_raw x86;
        struct jit_aarch64_raw aarch64;
};

/* This machine. -ENOTSUP: neither architecture. */
int jit_machine_read(struct jit_machine *ret);

/* A record. -EBADMSG with a sentence in *ret_reason, which the caller frees; -E2BIG; errors of
 * opening and reading. */
int jit_machine_load(const char *path, struct jit_machine *ret, char **ret_reason);

/* Writes a record. The stream keeps the error, if any. */
void jit_machine_print(const struct jit_machine *machine, FILE *stream);

void jit_machine_done(struct jit_machine *machine);

void jit_machine_detect(const struct jit_machine *machine, struct jit_detection *ret);

#endif
