/* SPDX-License-Identifier: Apache-2.0 */
/* A whole jit session over a sample image, for the tests of jit/. Any failure ends the test. */
#ifndef SESSION_HARNESS_H
#define SESSION_HARNESS_H

#include "cache_store.h"
#include "jit_session.h"
#include "program_sample.h"
#include "unit_check.h"

#include <stdio.h>
#include <stdlib.h>

struct session_harness {
        struct sample_image *image;
        struct cache *cache;
        struct jit_target *target;
        struct jit_session *session;
        bool is_shared; /* another process uses the cache at the same time */
};

/* The spawner must be there before any thread: call this first in main. */
struct jit_spawner *harness_spawner(void);

/* CACHE_NAME is a folder below the image's; TARGET as in jit_target_detect (NULL: this host).
 * OPTIONS may be NULL. */
void harness_open(struct session_harness *harness, struct sample_image *image,
        struct jit_spawner *spawner, const char *cache_name, const char *target,
        const struct jit_options *options);
/* Also checks that no scratch folder is left. */
void harness_close(struct session_harness *harness);

/* One request, awaited. */
struct harness_answer {
        int error;
        char *reason;
        int fd;
        bool from_cache;
        struct jit_phases phases;
};
/* Loads PATH, asks for it and waits; the caller frees with harness_answer_done. */
void harness_ask(struct session_harness *harness, const char *path, struct harness_answer *ret);
void harness_answer_done(struct harness_answer *answer);
/* The same, and what the program prints; ends the test if it cannot be compiled. */
char *harness_ask_and_run(struct session_harness *harness, const char *path);

struct jit_program *harness_load(struct session_harness *harness, const char *path);
uint64_t harness_counter(struct session_harness *harness, enum cache_counter counter);
/* How many names lie in FOLDER below the cache's v1. */
size_t harness_count_files(struct session_harness *harness, const char *folder);
/* SHA-256 of what FD holds, as hexadecimal digits. */
void harness_digest(int fd, char ret_hex[FMT_DIGEST_HEX_SIZE]);

#endif
