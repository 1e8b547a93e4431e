/* SPDX-License-Identifier: Apache-2.0 */
/* The programs that compile, the libraries they load, and what identifies them.
 *
 * The libraries are found as ld.so finds them (RUNPATH with $ORIGIN, then the loader's cache of
 * default folders, glibc-hwcaps included), without running anything. They are the only files that a
 * worker may open besides its inputs; the GNU build-ids of the linker, of LLVM's libraries and of our
 * own programs go into every key: "19.1.7" alone does not say which code generator it was, and a
 * number of ours would once not be raised. */
#ifndef JIT_TOOLCHAIN_H
#define JIT_TOOLCHAIN_H

struct jit_toolchain {
        char *linker;    /* ld.lld, resolved */
        char *worker;    /* xaas-worker */
        char *bitcode;   /* xaas-bitcode */
        char **readable; /* files that these need to run: NULL-terminated */
        char *identity;  /* one line, for the key */
};

/* LIBEXEC and LINKER as in struct jit_options. -ENOENT with a message for what is missing. */
int jit_toolchain_find(const char *libexec, const char *linker, struct jit_toolchain **ret);
/* PROGRAM, resolved, and all files that it needs to run, appended to *ret. -ENOENT with a message
 * for what is missing. */
int jit_toolchain_close_over(const char *program, char ***ret);
void jit_toolchain_free(struct jit_toolchain *toolchain);

#endif
