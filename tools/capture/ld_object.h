/* SPDX-License-Identifier: Apache-2.0 */
/* What capture wants to know of one relocatable object. */
#ifndef LD_OBJECT_H
#define LD_OBJECT_H

#include <stdbool.h>
#include <stddef.h>

struct ld_object {
        void *copy;          /* aligned copy of the object where the original was not, or NULL */
        const void *bitcode; /* content of .llvm.lto, or NULL */
        size_t bitcode_size;
        bool is_list; /* that content is a bundle: the parts of an `ld -r` */
        bool has_constructors;
        bool is_gcc_lto; /* carries gcc's intermediate code */
        char *producer;  /* the clang of .comment, or NULL */
};

/* -ENOEXEC, -EBADMSG, -ENOMEM. bitcode points into DATA or copy. */
int ld_object_read(const void *data, size_t size, struct ld_object *ret);
void ld_object_done(struct ld_object *object);

/* Calls VISIT for every global symbol that the object defines (DEFINED) or lacks. */
typedef int ld_symbol_visitor(void *context, const char *name, bool defined);
int ld_object_symbols(const void *data, size_t size, ld_symbol_visitor *visit, void *context);

#endif
