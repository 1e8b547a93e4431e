/* SPDX-License-Identifier: Apache-2.0 */
/* Compiling programs of an image ahead of time: what the parts of `xaas prewarm` share, and what
 * `xaas tune` does for each of its candidates. */
#ifndef PREWARM_H
#define PREWARM_H

#include "image_ground.h"
#include "jit_session.h"

#include <stdbool.h>

enum prewarm_state {
        PREWARM_UNWANTED, /* not among what was asked for */
        PREWARM_WAITING,
        PREWARM_CACHED, /* was there, or somebody else was quicker */
        PREWARM_COMPILED,
        PREWARM_UNSUPPORTED, /* this target can only have the baseline: `reason` */
        PREWARM_FAILED,      /* `reason` */
};

/* One portable object of the image. */
struct prewarm_program {
        const struct fmt_program *entry; /* in the manifest */
        struct jit_program *loaded;      /* NULL until it is needed */
        fmt_inode inode;                 /* 0: the manifest names a file that is not there */
        enum prewarm_state state;
        char *reason; /* sentence, or NULL */
};

struct prewarm {
        const struct image_bundle *image;
        struct jit_session *session;
        struct prewarm_program *programs; /* as many as the manifest has, in its order */
        size_t n_programs;
        size_t n_wanted;
};

/* GROUND has a target, and must outlive RET. Starts threads. Says what is wrong. */
int prewarm_begin(
        const struct image_ground *ground, const struct jit_options *how, struct prewarm *ret);
/* Lets what is being compiled end. */
void prewarm_done(struct prewarm *prewarm);

/* Loads what is known of a program, once. */
int prewarm_load(struct prewarm *prewarm, struct prewarm_program *program);

/* Marks as PREWARM_WAITING what PATHS (NULL-terminated; none: everything) ask for: programs and
 * the libraries that they need, folders with all programs below. Says which path is not in the
 * image; then -ENOENT. */
int prewarm_select(struct prewarm *prewarm, const char *const *paths);

/* The portable object that PATH in the image is, links followed; NULL: it is none. Call after
 * prewarm_select. */
struct prewarm_program *prewarm_find(struct prewarm *prewarm, const char *path);

/* Compiles what is waiting and is not in the cache; with a line of progress if stderr is a
 * terminal. Afterwards no program is waiting. -ECANCELED: a signal asked us to stop. STOP_FD polls
 * readable when one did. */
int prewarm_run(struct prewarm *prewarm, int stop_fd);

#endif
