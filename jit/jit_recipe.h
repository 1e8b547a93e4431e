/* SPDX-License-Identifier: Apache-2.0 */
/* From a linker's command line to a recipe and back.
 *
 * The vocabulary is closed (jit_link_options.h): an option is either expressed here, or known to be
 * without effect on the result, or it makes the program stay native ("-T script.ld: linker scripts
 * cannot be repeated"). One table serves both directions: capture reads a GNU ld or ld.lld command
 * line, the worker writes an ld.lld command line. The full table of options that a record may hold
 * is in man/xaas-image.5. */
#ifndef JIT_RECIPE_H
#define JIT_RECIPE_H

#include "fmt_record.h"
#include "jit_policy.h"

/* One file of the link as it stands on the line, in order, with the state that applied there. */
struct jit_link_file {
        char *path;      /* as given, or NAME of -lNAME with is_library */
        bool is_library; /* -lNAME */
        bool as_needed;
        bool whole_archive;
        bool prefer_static; /* -Bstatic applied */
};

struct jit_link_option_given {
        char *text; /* as in struct fmt_option */
        char *file; /* path of the file it takes, or NULL */
};

struct jit_link_line {
        char *output;              /* -o, "a.out" by default */
        bool relocatable;          /* -r */
        enum fmt_output_kind kind; /* unless relocatable */
        struct jit_link_file *files;
        size_t n_files;
        char **search; /* -L in order */
        char *sysroot; /* or NULL */
        struct jit_link_option_given *options;
        size_t n_options;
        char **native_reasons;   /* sentences; not empty: this link cannot be repeated.
                                    NULL-terminated */
        bool strips_debug;       /* -s or -S was given */
        bool binds_symbols;      /* -Bsymbolic or -Bsymbolic-functions: others cannot override the
                                    library's own */
        bool excludes_libraries; /* --exclude-libs: expressed by the exports of the result */
        bool uses_gcc_plugin; /* -plugin liblto_plugin.so: matters for gcc's -flto objects only */
};

/* ld.lld's -m. */
#define JIT_LINK_EMULATION "elf_x86_64"

/* ARGV with every @file replaced by the words in it. The caller frees with fmt_strings_free. */
int jit_response_expand(char *const *argv, char ***ret);

/* What an @file holds that stands for WORDS, of which none is empty. The caller frees it. */
int jit_response_write(char *const *words, char **ret);

/* Parses ARGV (without argv[0]; @files expanded here). The kind is what the line asks for; only
 * the output tells EXECUTABLE from STATIC for certain. Options that cannot be repeated or are not
 * known become native_reasons. -ENOMEM, or the errno of an @file that cannot be read. */
int jit_link_line_parse(char *const *argv, struct jit_link_line **ret);
void jit_link_line_free(struct jit_link_line *line);

/* Where the worker finds the parts of the link: everything is a path such as /proc/self/fd/7. */
struct jit_link_paths {
        const char *inputs;       /* ar archive of all inputs in order, but for lazy ones (see
                                     jit_worker.h): --whole-archive */
        const char *lazy_inputs;  /* ar archive of the lazy inputs, linked after them as any library
                                     is; or NULL */
        const char *const *stubs; /* as many as the variant has */
        const char *const *option_files; /* as many as the recipe has options; NULL where no file */
        const char *runtime;             /* object that counts how often code runs, or NULL */
        const char *thinlto_cache;       /* folder, or NULL */
        bool is_profiled;                /* the inputs know how often their code runs */
};

/* The ld.lld command line ("ld.lld" first, "-o -" included) that makes VARIANT again for
 * TUNE/FEATURES (either may be NULL: no module needs them) by POLICY, whose own CPU and features
 * must be in those already, with THREADS threads. The caller frees with fmt_strings_free. -EINVAL with a message where the record cannot
 * be expressed: an option outside the vocabulary, a library in `needed` that has no stub. */
int jit_recipe_command(const struct fmt_variant *variant, const struct jit_link_paths *paths,
        const char *tune, const char *features, const struct jit_policy *policy, unsigned threads,
        char ***ret_argv);

/* ld.lld places what it compiles from modules after all native inputs, so constructors of
 * native inputs that stood behind a module would run too early. True where that can matter: then
 * the map of the link has to be looked at (jit_link_order.h). */
bool jit_recipe_order_matters(const struct fmt_variant *variant);

/* 0, or -EINVAL with a message if an option of RECIPE is not in the vocabulary (hostile record). */
int jit_recipe_check(const struct fmt_recipe *recipe);

#endif
