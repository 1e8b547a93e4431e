/* SPDX-License-Identifier: Apache-2.0 */
/* How a program is compiled beyond the machine it is compiled for: what a person may choose, and
 * what can be measured to be best for one program (`xaas tune`).
 *
 *     policy := "opt=" ("0" | "1" | "2" | "3") option*
 *     option := one of these, each at most once and in this order:
 *       ",fp=strict"      no multiply and add become one rounding: digits as the generic build's,
 *                         unless the program was itself built to let the compiler reorder
 *                         (-ffast-math). Else as a native build has it: contracted within an
 *                         expression where the machine can
 *       ",lto=full"       all modules become one before they are optimised; else ThinLTO
 *       ",lto=off"        each module is optimised by itself
 *       ",width=" ("128" | "256" | "512")   bits of the vectors that loops prefer; else what the
 *                         tuning model prefers
 *       ",tune=" NAME     LLVM's name of the CPU to schedule for; else the target's
 *       ",target=" NAME   compiled for NAME (jit_target_detect) instead of the mount's target
 *       ",profile=off"    without the profile that there is of it (jit_profile.h)
 *       ",veclib=libmvec" loops may call the C library's vector functions for sin, cos, exp, log
 *                         and pow, if the image has them: right to 4 units in the last place, where
 *                         the scalar ones are to 1. Not together with fp=strict, unless the program
 *                         was built so
 *
 * opt=0 is for who cannot wait (`-o first=fast`): modules are turned into code as they were captured,
 * but for loops, which wait for the machine's vectors until here. Nothing moves between modules.
 *
 * The text is canonical: equal policies have equal texts; it is part of the key of what is compiled
 * (jit_key.h) and the form in which choices are stored. */
#ifndef JIT_POLICY_H
#define JIT_POLICY_H

#include <stdbool.h>

enum jit_fp { JIT_FP_DEFAULT, JIT_FP_STRICT };
enum jit_lto { JIT_LTO_THIN, JIT_LTO_FULL, JIT_LTO_OFF };

/* Into how many parts the one module of full LTO is split after it was optimised, to be turned into
 * code by several threads. Which code comes of it depends on this number, and must not on how many
 * cores are free: the key knows nothing of those. */
#define JIT_FULL_LTO_PARTS 8

#define JIT_POLICY_NAME_SIZE 32 /* of the longest CPU name and its NUL */

struct jit_policy {
        unsigned opt; /* 0 to 3 */
        enum jit_fp fp;
        enum jit_lto lto;
        unsigned width;                    /* bits; 0: the model's own */
        char tune[JIT_POLICY_NAME_SIZE];   /* "": the target's */
        char target[JIT_POLICY_NAME_SIZE]; /* "": the mount's */
        bool no_profile;
        bool veclib;
};

/* The library that JIT_POLICY's veclib is about: part of glibc on x86-64 since 2.22. */
#define JIT_LIBMVEC "libmvec.so.1"

/* What everything is compiled with unless somebody chose or measured. */
#define JIT_POLICY_DEFAULT ((struct jit_policy){.opt = 3})

/* What answers first where POLICY takes too long: for the same machine, with as much contraction. */
struct jit_policy jit_policy_fast(const struct jit_policy *policy);

/* -EINVAL and a sentence in *ret_reason (the caller frees; optional) if TEXT is not one of the
 * above. Names of CPUs are looked at by who uses them. */
int jit_policy_parse(const char *text, struct jit_policy *ret, char **ret_reason);
/* The caller frees *ret_text. */
int jit_policy_format(const struct jit_policy *policy, char **ret_text);
bool jit_policy_equal(const struct jit_policy *a, const struct jit_policy *b);

/* What a person asked for on a command line; all of it may be missing. */
struct jit_wish {
        bool has_policy, has_fp, has_lto;
        bool no_profile;          /* whatever is known of how programs run */
        struct jit_policy policy; /* instead of whatever was chosen for a program */
        enum jit_fp fp;           /* instead of that policy's */
        enum jit_lto lto;
};

/* The options of xaasfs and `xaas prewarm`: NAME is "policy" (as above), "fp" (strict, default) or
 * "lto" (full, thin, off). -EINVAL and a sentence in *ret_reason, which the caller frees. */
int jit_wish_set(struct jit_wish *wish, const char *name, const char *value, char **ret_reason);

/* FEATURES (a target's, "+avx2,…") with what POLICY adds for the code generator. The caller frees
 * it; NULL: out of memory. */
char *jit_policy_features(const struct jit_policy *policy, const char *features);

#endif
