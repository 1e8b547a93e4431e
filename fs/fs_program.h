/* SPDX-License-Identifier: Apache-2.0 */
/* One portable object of the mount: which bytes its opens get.
 *
 * A file has one tier at a time: while anyone holds it open, everybody gets what the first one
 * got (ranks of one job must not run different code, and the kernel allows one mode per inode).
 * The tier is chosen at an open that finds no other open:
 *
 *     no open --open, cache hit----------------------------> NATIVE
 *             --open, cache miss--> parked until compiled --> NATIVE
 *                                   | compile fails --------> BASELINE, or EIO without one
 *                                   | patience ends --------> BASELINE
 *     BASELINE --last release-------------------------------> no open
 *     NATIVE   --last release, and no other open for seconds-> no open
 *
 * With -o first=fast a cache miss asks for what can be compiled in the least time, and for the
 * rest behind that:
 *
 *     no open --open, cache miss--> parked until compiled fast-> FAST, and the full compile begins
 *                                   | that fails -----------> parked until compiled, as above
 *     FAST     --last release-------------------------------> no open
 *
 * A parked open holds no thread. The inode never changes and nothing is ever invalidated from
 * here: an open of another tier than the last simply lets the kernel drop the old pages. */
#ifndef FS_PROGRAM_H
#define FS_PROGRAM_H

#include "fs.h"

#include "fmt_manifest.h"
#include "jit_session.h"

struct fs_program;
struct fs_watch;

/* FS_PROGRAMS.no_passthrough: the next open of a compiled program will tell. */
extern const char fs_passthrough_untried[];

/* What all programs of a mount share. */
struct fs_programs {
        const struct fs *fs;
        struct jit_session *session;
        struct cache *cache;
        struct fs_watch *watch;
        const char *target;                   /* what is compiled for, in short */
        uint64_t patience_ns;                 /* FS_PATIENCE_FOREVER: waits */
        bool first_is_fast;                   /* -o first=fast */
        bool notifies;                        /* who waits is told so (fs_notice.h) */
        _Atomic(const char *) no_passthrough; /* why opens do not get it; NULL: they do */
        atomic_bool anyone_lingers;
        int device; /* the session's /dev/fuse */
};

/* ENTRY and SHARED are borrowed. */
int fs_program_new(struct fs_programs *shared, fmt_inode inode, const struct fmt_program *entry,
        struct fs_program **ret);
/* Nobody may wait for it any more. */
void fs_program_free(struct fs_program *program);

fmt_inode fs_program_inode(const struct fs_program *program);
const struct fmt_program *fs_program_entry(const struct fs_program *program);

/* The program's record and key, read when first asked for; valid as long as the program. A
 * negative errno after a warning if it cannot be read: then there is only the baseline. */
int fs_program_load(struct fs_program *program, const struct jit_program **ret);

/* Asks for its compile unless it is in the cache, and does not wait for it. */
void fs_program_start(struct fs_program *program);
/* True once, for the first who asks. */
bool fs_program_is_first(struct fs_program *program);

/* Answers REQ: now, or when the program is compiled. */
void fs_program_open(struct fs_program *program, fuse_req_t req, const struct fuse_file_info *fi);
void fs_program_release(struct fs_program *program, fuse_req_t req);

/* For whoever has it open without passthrough. */
void fs_program_read(struct fs_program *program, fuse_req_t req, size_t size, off_t offset);
/* SEEK_DATA, SEEK_HOLE. */
void fs_program_seek(struct fs_program *program, fuse_req_t req, off_t offset, int whence);

/* The sentence of user.xaasfs.state; the caller frees it. */
int fs_program_state(struct fs_program *program, char **ret);

/* Who has it open, or wants to. */
struct fs_program_opens {
        unsigned native, fast, baseline;
        uint64_t ever;        /* opens that were answered with it since the mount began */
        unsigned waiting;     /* for its compile */
        uint64_t waits_since; /* the first of those: fs_watch_now */
        bool compiles;        /* `progress` is how far that is */
        struct jit_progress progress;
};
void fs_program_opens(struct fs_program *program, struct fs_program_opens *ret);

/* Part of the watch's sweep: answers those who are being killed, and everybody once patience is at
 * its end; lets go of what lingers. When it wants to be called again (fs_watch.h). */
uint64_t fs_program_sweep(struct fs_program *program, uint64_t now);

#endif
