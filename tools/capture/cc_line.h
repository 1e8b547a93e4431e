/* SPDX-License-Identifier: Apache-2.0 */
/* A compiler's command line, understood as far as capture needs: what it makes, out of which
 * sources, and whether bitcode can come along. */
#ifndef CC_LINE_H
#define CC_LINE_H

#include <stdbool.h>
#include <stddef.h>

enum cc_mode {
        CC_OTHER,   /* -E, -S, -M, --version, no inputs: nothing to capture */
        CC_COMPILE, /* -c */
        CC_LINK,    /* executable, shared library or -r object, perhaps from sources */
};

struct cc_source {
        size_t word;          /* index of its path in words */
        const char *language; /* what -x said, or NULL: by its name */
        bool fortran;         /* by its name */
        bool bitcode;         /* C, C++, Objective-C: clang makes bitcode of it */
};

struct cc_line {
        char **words; /* without argv[0]; @files expanded, what only gcc knows and LTO flags left
                         out */
        enum cc_mode mode;
        struct cc_source *sources;
        size_t n_sources;
        size_t output; /* index of -o's value in words, or of the joined -oFILE; 0: none (see
                          has_output) */
        bool has_output;
        const char *linker;    /* value of -fuse-ld= or --ld-path=, or NULL */
        const char *forbidden; /* why no bitcode comes along, or NULL */
        bool splits_badly;     /* a flag names side outputs after the final output: no splitting */
        bool wants_dependencies;  /* -MD or -MMD */
        bool has_dependency_file; /* -MF */
        bool has_target;          /* -MT or -MQ */
};

/* What the name we were called by says. */
struct cc_identity {
        bool cxx;             /* links with the C++ library */
        bool like_gcc;        /* flags that only gcc knows are left out */
        const char *standard; /* -std= implied by c89 and c99, or NULL */
};
struct cc_identity cc_identify(const char *name);

/* ARGV without argv[0]. 0 or a negative errno. */
int cc_line_parse(char *const *argv, const struct cc_identity *identity, struct cc_line *ret);
/* Appends the words that have a say in compiling: no inputs, no output, nothing for the linker. */
int cc_line_compile_flags(const struct cc_line *line, char ***ret);

void cc_line_done(struct cc_line *line);

#endif
