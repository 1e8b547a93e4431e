/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE session of a mount: mounting, serving, ending. */
#ifndef FS_SERVE_H
#define FS_SERVE_H

#include "fs.h"
#include "fs_guard.h"
#include "fs_options.h"

struct fs_session;

/* Mounts on options->mountpoint (a folder, or /dev/fd/N with a /dev/fuse descriptor that somebody
 * else has mounted) and answers the kernel's first request, so that the mount serves from
 * the moment this returns. GUARD, if not NULL, is told of it. Says what is wrong and what cures
 * it. */
int fs_session_mount(struct fs *fs, const struct fs_options *options, struct fs_guard *guard,
        struct fs_session **ret);

/* Its /dev/fuse, borrowed. */
int fs_session_device(const struct fs_session *session);

/* Serves until somebody unmounts. SIGTERM, SIGINT and SIGHUP detach the mount at once and end it
 * when its last user is gone; a second one ends it right away. They must be blocked already
 * (fs_signals_block). */
int fs_session_serve(struct fs_session *session, const struct fs_options *options);

/* Unmounts where that has not happened. */
void fs_session_free(struct fs_session *session);

/* Call before the first thread, after whatever forks for good. */
void fs_signals_block(void);

#endif
