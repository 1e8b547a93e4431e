/* SPDX-License-Identifier: Apache-2.0 */
/* The program record: how one executable or shared library is made again out of its parts.
 *
 * Stored as JSON (RFC 8259) in canonical form: compact, object keys sorted, no insignificant
 * whitespace; the digest of those bytes names the record. Blobs are named by digest and live in
 * the bundle that the record lies in. man/xaas-image.5 is the field-by-field description.
 *
 * A record holds variants: configurations of one program (SIMD level by #ifdef, MPI or not …),
 * each with its own recipe and inputs; equal modules are shared since they have one digest. */
#ifndef FMT_RECORD_H
#define FMT_RECORD_H

#include "fmt_digest.h"
#include "fmt_strings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FMT_RECORD_SECTION ".xaas.record"
#define FMT_RECORD_VERSION 1

enum fmt_output_kind {
        FMT_OUTPUT_EXECUTABLE, /* position-dependent, dynamic */
        FMT_OUTPUT_PIE,
        FMT_OUTPUT_STATIC,
        FMT_OUTPUT_STATIC_PIE,
        FMT_OUTPUT_SHARED,
};

/* Which linker made the original: decides defaults that ld.lld must be told (link.md, 11). */
enum fmt_linker { FMT_LINKER_BFD, FMT_LINKER_LLD };

enum fmt_input_kind {
        FMT_INPUT_MODULE, /* bitcode */
        FMT_INPUT_NATIVE, /* ELF object kept as it was */
};

/* What a module needs beyond "any host". Set by pack when it normalises the bitcode; before
 * that `raw` is set and nothing else. */
struct fmt_module_facts {
        bool raw;           /* as the compiler wrote it: not CPU-neutral yet */
        bool has_extras;    /* some function keeps target-features of its own: needs retargeting */
        bool captured_only; /* wide vectors cross its boundary: compile with captured features only
                             */
        char *required;     /* "+avx2,+fma": the host must have these, or NULL */
        char *extras;       /* union of what its functions ask for themselves, or NULL */
};

struct fmt_input {
        enum fmt_input_kind kind;
        struct fmt_digest digest;
        uint64_t size; /* bytes, raw */
        char *name;    /* for messages: "src/force.c" or "libfoo.a(bar.o)"; never a build path */
        bool lazy;     /* linked only if something refers to it, like an archive member */
        bool has_constructors; /* native input with .init_array/.ctors/.fini_array/.dtors: order
                                  matters */
        struct fmt_module_facts module; /* kind == FMT_INPUT_MODULE */
};

/* A shared library of the original link, reduced to what a linker reads. */
struct fmt_stub {
        char *soname; /* as it stands in NEEDED */
        struct fmt_digest digest;
        uint64_t size;
        bool needed; /* false: only there to resolve symbols of other libraries */
};

/* A linker option with an optional file. The vocabulary is closed: jit/jit_recipe.h lists it;
 * capture records nothing else, and a reader refuses what it does not know. */
struct fmt_option {
        char *text;    /* ld.lld's own spelling, e.g. "--gc-sections", "-z", "--wrap=malloc" */
        bool has_file; /* then text ends in '=' and the file's path is appended */
        struct fmt_digest file;
};

struct fmt_recipe {
        enum fmt_output_kind kind;
        enum fmt_linker linker;
        char *interpreter; /* PT_INTERP, or NULL */
        char *soname;      /* or NULL */
        char **needed;     /* DT_NEEDED in order, NULL-terminated; never NULL */
        char *rpath;       /* DT_RUNPATH or DT_RPATH, or NULL */
        bool rpath_is_old; /* DT_RPATH */
        bool interposable; /* no import across modules: a shared library whose symbols others may
                            * override, or modules that assembly gives default versions (.symver
                            * with "@@"), which LLVM 19 cannot import from */
        struct fmt_option *options;
        size_t n_options;
};

struct fmt_variant {
        char *name;     /* "default" for the only one */
        char *required; /* features the host must have, "+avx512f,…", or NULL */
        struct fmt_recipe recipe;
        struct fmt_input *inputs; /* in link order, crt files included */
        size_t n_inputs;
        struct fmt_stub *stubs; /* in link order */
        size_t n_stubs;
        char **exports; /* defined dynamic symbols "name" or "name@@VERSION", sorted;
                           NULL-terminated */
};

struct fmt_record {
        unsigned version;
        char *producer; /* "clang 19.1.7 …": who wrote the bitcode */
        char *machine;  /* "x86_64" */
        struct fmt_variant *variants;
        size_t n_variants;
        char **kept_native; /* sentences: what stayed native and why; NULL-terminated. Not empty
                               where there is no variant: then it is the whole program */
};

/* Decodes SIZE bytes of JSON. -EBADMSG with a message through fmt_log(DEBUG) for anything that
 * is not a record, -EPROTONOSUPPORT for a newer version. Unknown keys and control characters are
 * errors; what a recipe's options mean is not looked at (jit_recipe_check). */
int fmt_record_decode(const void *json, size_t size, struct fmt_record **ret);

/* The canonical JSON; the caller frees *ret_json. -EINVAL for a record that would not be decoded
 * again: a string that is no UTF-8 or has control characters, an unknown kind, neither a variant
 * nor a reason. */
int fmt_record_encode(const struct fmt_record *record, char **ret_json, size_t *ret_size);
/* The same of what was decoded, or of a part of that: whether it can be is not tried again, which is two
 * thirds of the work. */
int fmt_record_encode_again(const struct fmt_record *record, char **ret_json, size_t *ret_size);

/* An empty record, and empty slots grown in place: a pointer into an array is good until the next
 * slot of that array is added. Strings put into them are owned by the record (malloc). */
int fmt_record_new(struct fmt_record **ret);
int fmt_record_add_variant(struct fmt_record *record, const char *name, struct fmt_variant **ret);
int fmt_variant_add_input(struct fmt_variant *variant, struct fmt_input **ret);
int fmt_variant_add_stub(struct fmt_variant *variant, struct fmt_stub **ret);
/* The stub of a library, or NULL. Borrowed. */
const struct fmt_stub *fmt_variant_find_stub(const struct fmt_variant *variant, const char *soname);
/* Takes out the INDEXth. */
void fmt_variant_remove_stub(struct fmt_variant *variant, size_t index);
int fmt_variant_add_option(struct fmt_variant *variant, struct fmt_option **ret);
void fmt_record_free(struct fmt_record *record);
static inline void fmt_record_freep(struct fmt_record **record)
{
        fmt_record_free(*record);
}

#endif
