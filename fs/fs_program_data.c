/* SPDX-License-Identifier: Apache-2.0 */
/* What an open program gives to read: its native ELF, or the generic one with a hole behind it. */
#include "fs_program_tier.h"
#include "fs_statistics.h"

#include "fmt_cleanup.h"

#include <string.h>

static const char zeroes[FMT_VIEW_MAX];

/* The backing file of whoever has the program open now, or -1 in the baseline tier. */
static int backing_of(struct fs_program *program)
{
        pthread_mutex_lock(&program->lock);
        int fd = program->backing_fd;
        pthread_mutex_unlock(&program->lock);
        return fd;
}

static void read_native(const struct fs *fs, fuse_req_t req, int fd, size_t size, off_t offset)
{
        _cleanup_free_ char *buffer = malloc(size);
        if (buffer == NULL) {
                fuse_reply_err(req, ENOMEM);
                return;
        }
        size_t done = 0;
        while (done < size) {
                ssize_t n = pread(fd, buffer + done, size - done, offset + (off_t)done);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        fuse_reply_err(req, errno);
                        return;
                }
                if (n == 0)
                        break;
                done += (size_t)n;
        }
        fs_statistics_add(fs->statistics, FS_BYTES_REPLIED, (int64_t)done);
        fuse_reply_buf(req, buffer, done);
}

static void read_baseline(struct fs_program *program, fuse_req_t req, size_t size, off_t offset)
{
        struct iovec pieces[FMT_VIEW_PIECES + 1];
        struct fmt_view view;
        const uint64_t promised = program->entry->size;
        uint64_t left = (uint64_t)offset < promised ? promised - (uint64_t)offset : 0;
        left = left < FMT_VIEW_MAX ? left : FMT_VIEW_MAX;
        size = size < left ? size : (size_t)left;
        int error = fmt_squashfs_view(
                program->shared->fs->image, program->inode, size, (uint64_t)offset, &view);
        if (error < 0) {
                fuse_reply_err(req, -error);
                return;
        }
        memcpy(pieces, view.pieces, view.n_pieces * sizeof *pieces);
        pieces[view.n_pieces].iov_base = (void *)(uintptr_t)zeroes;
        pieces[view.n_pieces].iov_len = size - view.size;
        fs_statistics_add(program->shared->fs->statistics, FS_BYTES_REPLIED, (int64_t)size);
        fuse_reply_iov(req, pieces, (int)view.n_pieces + (view.size < size));
        fmt_view_done(&view);
}

void fs_program_read(struct fs_program *program, fuse_req_t req, size_t size, off_t offset)
{
        int fd = backing_of(program);
        if (fd >= 0)
                read_native(program->shared->fs, req, fd, size < FMT_VIEW_MAX ? size : FMT_VIEW_MAX,
                        offset);
        else
                read_baseline(program, req, size, offset);
}

/* The generic file's own data and holes, then one hole up to the promised size. */
static int seek_baseline(struct fs_program *program, uint64_t offset, int whence, uint64_t *ret)
{
        struct fmt_squashfs *image = program->shared->fs->image;
        struct stat st;
        int error = fmt_squashfs_stat(image, program->inode, &st);
        if (error < 0)
                return error;
        if (offset >= program->entry->size)
                return -ENXIO;
        if (offset < (uint64_t)st.st_size)
                return fmt_squashfs_seek(image, program->inode, offset, whence, ret);
        *ret = offset;
        return whence == SEEK_HOLE ? 0 : -ENXIO;
}

void fs_program_seek(struct fs_program *program, fuse_req_t req, off_t offset, int whence)
{
        int fd = backing_of(program);
        uint64_t found = 0;
        int error = 0;
        if (offset < 0 || (whence != SEEK_DATA && whence != SEEK_HOLE)) {
                error = -EINVAL;
        } else if (fd >= 0) {
                /* Its own position is nothing that anybody uses. */
                off_t at = lseek(fd, offset, whence);
                error = at < 0 ? -errno : 0;
                found = (uint64_t)at;
        } else {
                error = seek_baseline(program, (uint64_t)offset, whence, &found);
        }
        if (error < 0)
                fuse_reply_err(req, -error);
        else
                fuse_reply_lseek(req, (off_t)found);
}

/* With the lock held. Behind the key: what it has to do with profiles. */
static int describe_native(struct fs_program *program, const char *hex, char **ret)
{
        const char *target = program->shared->target;
        _cleanup_free_ char *fit = NULL;
        if (jit_program_counts(program->loaded))
                return asprintf(ret, "native %s %s, counting", target, hex);
        if (jit_program_profile(program->loaded) == NULL ||
                jit_session_profile_fit(program->shared->session, program->loaded, &fit) < 0)
                return asprintf(ret, "native %s %s", target, hex);
        return asprintf(ret, "native %s %s, profile: %s", target, hex, fit);
}

/* With the lock held. Behind the key: how far what replaces it is. */
static int describe_fast(struct fs_program *program, char **ret)
{
        struct fmt_digest key;
        char hex[FMT_DIGEST_HEX_SIZE];
        _cleanup_free_ char *reason = NULL;
        const char *target = program->shared->target, *full = "not begun";
        enum jit_state state =
                jit_session_state(program->shared->session, program->loaded, &reason);
        jit_program_key(program->fast, &key);
        fmt_digest_to_hex(&key, hex);
        if (fs_tier_is_cached(program, program->loaded))
                full = "ready";
        else if (state == JIT_RUNNING)
                full = "compiling";
        else if (state == JIT_FAILED)
                return asprintf(ret, "fast %s %s, full: failed %s", target, hex,
                        reason != NULL ? reason : "compiling");
        return asprintf(ret, "fast %s %s, full: %s", target, hex, full);
}

/* With the lock held. */
static int describe(struct fs_program *program, char **ret)
{
        struct fmt_digest key;
        char hex[FMT_DIGEST_HEX_SIZE];
        if (program->tier == FS_TIER_BASELINE)
                return asprintf(ret, "%s %s", program->failure != NULL ? "failed" : "baseline",
                        program->baseline_reason);
        if (fs_tier_load(program) < 0)
                return asprintf(ret, "failed its program record cannot be used");
        const char *unsupported = jit_program_unsupported(program->loaded);
        if (unsupported != NULL)
                return asprintf(ret, "baseline %s", unsupported);
        jit_program_key(program->loaded, &key);
        fmt_digest_to_hex(&key, hex);
        if (program->tier == FS_TIER_FAST)
                return describe_fast(program, ret);
        if (program->tier == FS_TIER_NATIVE || fs_tier_is_cached(program, program->loaded))
                return describe_native(program, hex, ret);
        if (program->fast != NULL && fs_tier_is_cached(program, program->fast))
                return describe_fast(program, ret);
        _cleanup_free_ char *reason = NULL;
        enum jit_state state =
                jit_session_state(program->shared->session, program->loaded, &reason);
        if (program->compiling || state == JIT_RUNNING)
                return asprintf(ret, "compiling");
        if (program->failure != NULL || state == JIT_FAILED)
                return asprintf(ret, "failed %s",
                        program->failure != NULL ? program->failure
                        : reason != NULL         ? reason
                                                 : "compiling");
        return asprintf(ret, "portable");
}

/* COMPILED: program->fast or ->loaded; NULL: there is none. */
static bool find_progress(const struct fs_program *program, const struct jit_program *compiled,
        struct jit_progress *ret)
{
        return compiled != NULL &&
               jit_session_progress(program->shared->session, compiled, ret) == 0;
}

void fs_program_opens(struct fs_program *program, struct fs_program_opens *ret)
{
        const struct fs_waiter *waiter;
        *ret = (struct fs_program_opens){0};
        pthread_mutex_lock(&program->lock);
        ret->ever = program->opens_ever;
        if (program->tier == FS_TIER_NATIVE)
                ret->native = program->opens;
        if (program->tier == FS_TIER_FAST)
                ret->fast = program->opens;
        if (program->tier == FS_TIER_BASELINE)
                ret->baseline = program->opens;
        TAILQ_FOREACH(waiter, &program->waiters, in_list)
        {
                if (ret->waiting == 0 || waiter->arrived < ret->waits_since)
                        ret->waits_since = waiter->arrived;
                ret->waiting++;
        }
        ret->compiles = find_progress(program, program->fast, &ret->progress) ||
                        find_progress(program, program->loaded, &ret->progress);
        pthread_mutex_unlock(&program->lock);
}

int fs_program_state(struct fs_program *program, char **ret)
{
        pthread_mutex_lock(&program->lock);
        int size = describe(program, ret);
        pthread_mutex_unlock(&program->lock);
        return size < 0 ? -ENOMEM : 0;
}
