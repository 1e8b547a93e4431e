/* SPDX-License-Identifier: Apache-2.0 */
/* The bitcode modules of everything that is packed, each once: first as the compiler wrote them,
 * then in normal form. Builds that differ in CPU flags alone meet here and become one. */
#ifndef PACK_MODULES_H
#define PACK_MODULES_H

#include "fmt_record.h"
#include "jit_spawner.h"

struct pack_module {
        struct fmt_digest raw;    /* names it in the fat ELF's record */
        struct fmt_digest normal; /* and in the image's */
        char *name;               /* of one input that it is, for messages */
        void *data;               /* what the compiler wrote, later the normal form */
        size_t size;
        size_t raw_size;
        struct fmt_module_facts facts;
        char *reason;       /* why it cannot be used, or NULL */
        bool not_optimised; /* -O0: will not be specialised */
};

struct pack_modules;

int pack_modules_new(struct pack_modules **ret);
void pack_modules_free(struct pack_modules *modules);

/* The module with that raw digest, or NULL. */
const struct pack_module *pack_modules_find(
        const struct pack_modules *modules, const struct fmt_digest *raw);

/* Takes over DATA, also on failure. The digest must not be known yet. */
int pack_modules_add(struct pack_modules *modules, const struct fmt_digest *raw, const char *name,
        void *data, size_t size);

/* Brings every module that was added since the last time into its normal form, in confined
 * processes. PROGRESS may be NULL. */
int pack_modules_normalise(struct pack_modules *modules, struct jit_spawner *spawner,
        bool keep_debug, unsigned threads,
        void (*progress)(void *context, size_t done, size_t total), void *context);

/* Frees the bytes of a module in normal form that nobody needs here any more. */
void pack_modules_release(struct pack_modules *modules, const struct pack_module *module);

/* Bytes of what waits to be normalised. */
size_t pack_modules_waiting(const struct pack_modules *modules);
size_t pack_modules_done(const struct pack_modules *modules); /* as many are in normal form */

#endif
