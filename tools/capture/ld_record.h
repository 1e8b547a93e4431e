/* SPDX-License-Identifier: Apache-2.0 */
/* From a finished link to its program record. */
#ifndef LD_RECORD_H
#define LD_RECORD_H

#include "fmt_bundle.h"
#include "fmt_elf.h"
#include "jit_recipe.h"
#include "ld_file.h"
#include "ld_taken.h"

/* A record under construction. */
struct ld_record {
        const struct jit_link_line *line;
        struct fmt_record *record;
        struct fmt_variant *variant;
        struct fmt_bundle_writer *writer;
        struct ld_file **files; /* every file of the link, opened once */
        size_t n_files;
        size_t n_modules, n_natives;
};

int ld_record_new(const struct jit_link_line *line, struct ld_record *ret);
void ld_record_done(struct ld_record *record);

/* The file at PATH, opened if it was not; stays the record's. */
int ld_record_file(struct ld_record *record, const char *path, struct ld_file **ret);

/* Adds one object under NAME: its module, the parts of its list, or itself as native input. */
int ld_record_add_object(
        struct ld_record *record, const char *name, const void *data, size_t size, bool lazy);

/* Adds all objects that the link took, in order. */
int ld_record_add_taken(struct ld_record *record, const struct ld_taken_list *taken);

/* Adds stubs of the shared libraries and the recipe, as the output in FD (with FACTS) says. */
int ld_record_add_recipe(struct ld_record *record, const struct ld_taken_list *taken, int fd,
        const struct fmt_elf_facts *facts, enum fmt_linker linker);

/* Says that the program stays native because of REASON. */
int ld_record_keep_native(struct ld_record *record, const char *reason);

/* The bundle with the record as its root. With kept-native reasons the variants are left out.
 * The caller frees *ret_data. */
int ld_record_finish(struct ld_record *record, void **ret_data, size_t *ret_size);

/* ---- ld_libcalls.c ---- */

/* Adds, as lazy inputs, archive members that code for another host may call although this one's
 * did not: LLVM's runtime library calls that no library of the link provides, and what those need.
 */
int ld_record_add_libcalls(struct ld_record *record, const struct ld_taken_list *taken);

#endif
