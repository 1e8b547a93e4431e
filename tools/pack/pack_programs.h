/* SPDX-License-Identifier: Apache-2.0 */
/* The fat ELFs of a tree, and what becomes of them: the bundle and manifest of the image, and the
 * file that stands in each one's place.
 *
 *     find      each fat ELF: its record, what the file says of itself now, its modules
 *     normalise all modules, in confined processes
 *     collect   records in their final form, and everything they name, into the bundle
 *     content   for the stream: the generic ELF, or the text of a lean image */
#ifndef PACK_PROGRAMS_H
#define PACK_PROGRAMS_H

#include "fmt_bundle.h"
#include "fmt_manifest.h"
#include "jit_spawner.h"
#include "pack_modules.h"
#include "pack_tree.h"

struct pack_program {
        const struct pack_name *name; /* the first of the file's names */
        struct fmt_record *record;
        struct fmt_digest elf; /* of the ELF as packed */
        uint64_t elf_size;     /* bytes */
        char *native;          /* why it stays an ordinary ELF; NULL: it is a portable object */
        bool not_optimised;    /* all its modules were built with -O0 */
};

struct pack_programs_options {
        bool lean;
        bool keep_debug;
        unsigned level; /* zstd */
        unsigned threads;
        const struct fmt_digest *trusted; /* roots of earlier images */
        size_t n_trusted;
        char *const *profiles; /* as for pack_profiles_take */
        void (*progress)(void *context, const char *what, size_t done, size_t total); /* or NULL */
        void *context;
};

struct pack_programs {
        const struct pack_programs_options *options;
        const struct pack_tree *tree;
        struct pack_modules *modules;
        struct pack_program **list; /* in the tree's order */
        size_t count;
        size_t portable;     /* as many of them are portable objects */
        size_t plain_elfs;   /* executables and shared libraries that were not captured */
        size_t references;   /* to modules, by all portable objects */
        size_t shared;       /* of these: to a module that another program brought */
        size_t used_modules; /* different ones, in normal form */
        uint64_t bitcode;    /* bytes of these */
        uint64_t elf_bytes;  /* bytes of the generic ELFs */
};

/* OPTIONS and TREE are borrowed. Files of the tree that are programs get file->program set. */
int pack_programs_find(const struct pack_tree *tree, const struct pack_programs_options *options,
        struct jit_spawner *spawner, struct pack_programs **ret);
void pack_programs_free(struct pack_programs *programs);

/* Writes the bundle to FD unless no program is portable (then *ret_size is 0). */
int pack_programs_bundle(struct pack_programs *programs, int fd, uint64_t *ret_size);

/* A descriptor of what the image has in place of the program's fat ELF. */
int pack_program_content(
        const struct pack_programs *programs, const struct pack_program *program, int *ret_fd);

#endif
