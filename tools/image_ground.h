/* SPDX-License-Identifier: Apache-2.0 */
/* What a command stands on that compiles programs of an image without mounting it. */
#ifndef IMAGE_GROUND_H
#define IMAGE_GROUND_H

#include "cache_store.h"
#include "image_bundle.h"
#include "jit_host.h"
#include "jit_spawner.h"

struct image_ground {
        struct jit_spawner *spawner;
        struct cache *cache;
        struct image_bundle image;
        struct jit_target *target; /* NULL for an image without portable objects */
        int stop_fd;               /* polls readable when SIGINT or SIGTERM came */
};

#define IMAGE_GROUND_EMPTY ((struct image_ground){.stop_fd = -1})

struct image_ground_wish {
        const char *command; /* "prewarm": for messages */
        const char *image;
        const char *cache;   /* folder, or NULL */
        const char *target;  /* or NULL: this host */
        const struct jit_cores *cores; /* that compiles are kept on, or NULL */
        bool runs_elsewhere; /* what is compiled need not run here */
};

/* Opens all of it, and leaves the image's index in the cache. SIGINT and SIGTERM are blocked from
 * here on, in threads and children too. Call while single-threaded. Says what is wrong; whatever
 * happens, image_ground_done takes RET down. */
int image_ground_lay(const struct image_ground_wish *wish, struct image_ground *ret);
/* Sessions that stand on it must be gone. */
void image_ground_done(struct image_ground *ground);

#endif
