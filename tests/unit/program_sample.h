/* SPDX-License-Identifier: Apache-2.0 */
/* Programs for the tests of jit/: C sources compiled to ThinLTO bitcode by the machine's clang-19,
 * put into records and a bundle by hand, as capture and pack would. Any failure ends the test. */
#ifndef PROGRAM_SAMPLE_H
#define PROGRAM_SAMPLE_H

#include "fmt_bundle.h"
#include "fmt_manifest.h"
#include "fmt_record.h"

struct sample_image {
        char *folder; /* scratch */
        struct fmt_bundle_writer *writer;
        struct fmt_manifest *manifest;
        struct fmt_bundle *bundle; /* after sample_image_close */
        struct fmt_source_memory memory;
};

/* A new, empty image in a folder of its own under $TMPDIR or /tmp. Exits with 77 where there is no
 * clang-19. */
void sample_image_open(struct sample_image *image);
/* Everything added: writes the bundle and opens it. */
void sample_image_close(struct sample_image *image);
void sample_image_done(struct sample_image *image);

/* A record for a program of KIND with crt files, and stubs of libc for the dynamic kinds. */
struct fmt_record *sample_record(struct sample_image *image, enum fmt_output_kind kind);

/* Compiles SOURCE (C) with FLAGS and appends it to the only variant as module NAME; attributes
 * that name a CPU are taken out unless KEEP. */
struct fmt_input *sample_module(struct sample_image *image, struct fmt_record *record,
        const char *name, const char *source, const char *flags, bool keep);
/* The bitcode alone; the caller frees it. */
void *sample_bitcode(struct sample_image *image, const char *source, const char *flags, bool keep,
        size_t *ret_size);
/* The same as a native object. */
struct fmt_input *sample_native(struct sample_image *image, struct fmt_record *record,
        const char *name, const char *source, const char *flags);
/* Appends SIZE bytes as module NAME, whatever they are. */
struct fmt_input *sample_bytes(struct sample_image *image, struct fmt_record *record,
        const char *name, const void *data, size_t size);

/* Closes the record (crt files at its end), adds it under PATH with promised SIZE, frees it and
 * returns its index in the manifest. */
size_t sample_program(
        struct sample_image *image, struct fmt_record *record, const char *path, uint64_t size);
const struct fmt_program *sample_find(const struct sample_image *image, const char *path);

/* Runs the program in FD and returns its stdout (the caller frees it); ends the test if it fails.
 */
char *sample_run(struct sample_image *image, int fd);

#endif
