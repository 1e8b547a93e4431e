/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of struct fs_program: shared by the files that implement fs_program.h. */
#ifndef FS_PROGRAM_TIER_H
#define FS_PROGRAM_TIER_H

#include "fs_program.h"
#include "fs_waiter.h"

#include <pthread.h>

enum fs_tier { FS_TIER_NONE, FS_TIER_NATIVE, FS_TIER_FAST, FS_TIER_BASELINE };

/* Which bytes: of nothing yet, of the image's own file, or of a file in the cache. */
struct fs_contents {
        enum fs_tier tier;
        dev_t device;
        ino_t inode;
        struct timespec changed;
};

struct fs_program {
        struct fs_programs *shared;
        fmt_inode inode;
        const struct fmt_program *entry;
        atomic_flag asked;    /* fs_program_is_first */
        pthread_mutex_t lock; /* guards all that follows */

        bool load_tried;
        int load_error;
        struct jit_program *loaded;
        struct jit_program *fast; /* what is compiled before it; NULL: nothing is */

        /* While opens > 0 the tier and what belongs to it stay as they are. */
        unsigned opens;
        uint64_t opens_ever;
        uint64_t linger_ends; /* NATIVE without opens: until when it is kept at hand */
        enum fs_tier tier;
        bool keep_cache;
        int backing_fd; /* NATIVE and FAST, else -1 */
        int backing_id; /* > 0: passthrough */
        bool is_kept;   /* the cache has it, so it can be looked up again */
        struct fs_contents present;
        char *baseline_reason; /* BASELINE */

        struct fs_contents in_page_cache; /* what the kernel may still have from earlier opens */

        bool compiling;                /* a callback of ours is still to come */
        char *failure;                 /* why the last compile failed; NULL: it did not */
        struct fs_waiter_list waiters; /* not empty only while compiling and not open */
        uint64_t patience_ends;
};

/* All with the lock held. */

/* 0 if a tier is chosen (which is then program->tier), -EINPROGRESS to wait for the compile that
 * runs now, or the errno that the open gets. */
int fs_tier_choose(struct fs_program *program, fuse_req_t req);
/* TIER: NATIVE or FAST. FD, of the promised size, becomes the program's own. */
int fs_tier_use_compiled(
        struct fs_program *program, enum fs_tier tier, int fd, fuse_req_t req);
/* -EIO in a lean image. */
int fs_tier_use_baseline(struct fs_program *program, const char *reason);
/* One more open of the present tier: sets FI's part of the reply. */
void fs_tier_join(struct fs_program *program, struct fuse_file_info *fi);
/* One less. After the last one the baseline tier ends; a native one lingers. True: poke the watch
 * (without the lock), which has nothing else to look after that lingers. */
bool fs_tier_leave(struct fs_program *program);
/* 0: the present tier, lingering or not, can be joined; -ENOENT: there is none. */
int fs_tier_resume(struct fs_program *program);
/* Without opens only. */
void fs_tier_end(struct fs_program *program);
/* Makes program->loaded and ->fast. */
int fs_tier_load(struct fs_program *program);
/* COMPILED is program->loaded or ->fast. Without counting it as a hit. */
bool fs_tier_is_cached(struct fs_program *program, const struct jit_program *compiled);
/* Starts the compile that comes first, or joins it: as fs_tier_choose. */
int fs_tier_request(struct fs_program *program);
/* Starts the full compile for opens to come. */
void fs_tier_request_full(struct fs_program *program);
/* From now on there is none: it cannot be compiled. */
void fs_tier_forget_fast(struct fs_program *program);

/* The session's answers: jit_callbacks whose context is the program. */
void fs_program_compiled(void *context, const struct jit_result *result);
void fs_program_compiled_fast(void *context, const struct jit_result *result);

#endif
