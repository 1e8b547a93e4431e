/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the worker: running ld.lld over the parts of a job. */
#ifndef JIT_WORKER_LINK_H
#define JIT_WORKER_LINK_H

#include "jit_worker_linker.h"
#include "jit_worker_parts.h"

struct jit_worker_tools {
        const char *linker;
        const char *threads;               /* of the linker: a number */
        struct jit_worker_linker *waiting; /* for the first run */
        const char *folder;                /* scratch */
};

struct jit_worker_linked {
        uint64_t compiled; /* modules that ld.lld compiled: the others came from seeds */
        unsigned opt;      /* level that worked in the end */
};

/* Links PARTS into JIT_WORKER_OUTPUT: at the job's level, and if that fails, once more at -O1
 * without seeds (SMALL: at -O1 at once). Messages of ld.lld go to our stderr as well. -EBADMSG,
 * -ENOMEM, -ETIMEDOUT and a sentence (the caller frees it). */
int jit_worker_link(const struct jit_worker_tools *tools, const struct jit_worker_parts *parts,
        bool small, struct jit_worker_linked *ret, char **ret_reason);

#endif
