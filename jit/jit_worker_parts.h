/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the worker: the job as it came through descriptors, made into paths that ld.lld opens. */
#ifndef JIT_WORKER_PARTS_H
#define JIT_WORKER_PARTS_H

#include "fmt_record.h"
#include "jit_worker_job.h"

#include <stdbool.h>

/* A file in memory that the programs we start can open by path. */
struct jit_worker_file {
        int fd;        /* -1: none */
        char path[32]; /* "/proc/self/fd/N" */
};
int jit_worker_file_new(const char *name, struct jit_worker_file *ret);
void jit_worker_file_done(struct jit_worker_file *file);

struct jit_worker_parts {
        struct jit_worker_job job;
        struct fmt_record *record;
        const struct fmt_variant *variant;   /* of record */
        struct jit_worker_file inputs, lazy; /* ar archives; lazy.fd is -1 if there are none */
        struct jit_worker_file *stubs;       /* one each */
        struct jit_worker_file *files;       /* one for each option; fd -1 where it takes none */
        struct jit_worker_file profile;      /* how often its code ran; fd -1: not known */
        struct jit_worker_file runtime;      /* linked in where it is to be counted; or fd -1 */
        struct jit_worker_file *spares;      /* empty: what becomes a part is one of them */
        size_t n_spares;
};

#define JIT_WORKER_NO_PARTS                                                                        \
        ((struct jit_worker_parts){                                                                \
                .inputs.fd = -1, .lazy.fd = -1, .profile.fd = -1, .runtime.fd = -1})

/* Makes N spares, so that a linker that is started before they are written inherits them. */
int jit_worker_parts_begin(size_t n, struct jit_worker_parts *ret);
/* Waits until the descriptors of jit_worker.h are complete and reads them. */
int jit_worker_parts_load(struct jit_worker_parts *parts);
void jit_worker_parts_done(struct jit_worker_parts *parts);

/* One of the spares. -EBADMSG: there are more parts than were announced. */
int jit_worker_parts_take(struct jit_worker_parts *parts, struct jit_worker_file *ret);
/* It is not needed after all; if it is one. */
void jit_worker_parts_return(struct jit_worker_parts *parts, struct jit_worker_file *file);

/* What becomes of one member when an archive is written again: 0: it stays; 1: *ret_data (freed
 * by the caller) takes its place; or a negative errno. */
typedef int jit_worker_replacer(
        void *context, const struct fmt_input *input, void **ret_data, size_t *ret_size);

/* Writes the archive of all inputs that are LAZY, or of all that are not, again. */
int jit_worker_rewrite(struct jit_worker_parts *parts, bool lazy, jit_worker_replacer *replace,
        void *context, struct jit_worker_file *ret);

/* A whole file of the scratch folder; a NUL follows. The caller frees *ret_data. */
int jit_worker_read(const char *path, char **ret_data, size_t *ret_size);

#endif
