/* SPDX-License-Identifier: Apache-2.0 */
/* Bitcode in and out, for the program that loads LLVM. Nothing here is used by another program. */
#ifndef JIT_BITCODE_MODULE_H
#define JIT_BITCODE_MODULE_H

#include <llvm-c/Core.h>
#include <stddef.h>

/* A module with its context. Zero-initialised it is empty. */
struct jit_bitcode_module {
        LLVMContextRef context;
        LLVMModuleRef module;
        char *complaint; /* the first error that LLVM reported about it, or NULL */
        unsigned warnings; /* and as many of these */
        LLVMMemoryBufferRef plain; /* of jit_bitcode_module_write_plain */
};

/* Parses SIZE bytes at DATA, which must outlive the module. -EBADMSG and a sentence in *ret_reason
 * (the caller frees) if it is not valid bitcode for x86-64. */
int jit_bitcode_module_read(
        const void *data, size_t size, struct jit_bitcode_module *ret, char **ret_reason);
void jit_bitcode_module_done(struct jit_bitcode_module *module);

/* -EBADMSG and a sentence unless it is what -flto=thin makes (full LTO is already vectorised for
 * the machine it was built for). */
int jit_bitcode_module_check_thin(LLVMModuleRef module, char **ret_reason);

/* Bitcode with ThinLTO summary and module hash; the bytes belong to the module. */
int jit_bitcode_module_write(
        struct jit_bitcode_module *module, const void **ret, size_t *ret_size, char **ret_reason);

/* Bitcode without them, which ld.lld takes for full LTO; the bytes belong to the module. */
int jit_bitcode_module_write_plain(
        struct jit_bitcode_module *module, const void **ret, size_t *ret_size, char **ret_reason);

/* Text of a function attribute, not terminated; NULL if it has none of that name. */
const char *jit_bitcode_attribute(LLVMValueRef function, const char *name, size_t *ret_size);
void jit_bitcode_set_attribute(LLVMValueRef function, const char *name, const char *value);
void jit_bitcode_drop_attribute(LLVMValueRef function, const char *name);

#endif
