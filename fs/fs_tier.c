/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_options.h"
#include "fs_program_tier.h"
#include "fs_watch.h"

#include "cache_store.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

/* A native program stays ready for this long after its last user: looking it up again costs more
 * than the round trip of the open itself. It holds a descriptor and, should the cache throw the
 * object out, its disk space. */
#define LINGER_NS UINT64_C(5000000000)

/* linux/fuse.h, since 6.9: FUSE_DEV_IOC_BACKING_CLOSE. */
#define BACKING_CLOSE _IOW(229, 2, uint32_t)

const char fs_passthrough_untried[] = "no compiled program has been opened yet";

static bool same_contents(const struct fs_contents *a, const struct fs_contents *b)
{
        return a->tier == b->tier && a->device == b->device && a->inode == b->inode &&
               a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* The kernel drops its pages of the file at each open without keep_cache, which must happen if they
 * are of another tier. All opens of this tier do it, since an open that follows could
 * otherwise overtake the one that drops them. */
static void begin(struct fs_program *program, const struct fs_contents *contents)
{
        program->tier = contents->tier;
        program->present = *contents;
        program->keep_cache = program->in_page_cache.tier == FS_TIER_NONE ||
                              same_contents(contents, &program->in_page_cache);
}

/* Whether anybody would wait for it, and it for less than the whole. */
static bool wants_fast(const struct fs_program *program)
{
        const struct fs_programs *shared = program->shared;
        return shared->first_is_fast && jit_program_unsupported(program->loaded) == NULL &&
               !jit_program_counts(program->loaded) &&
               jit_program_policy(program->loaded)->opt > 0 &&
               !(program->entry->baseline && shared->patience_ns == 0);
}

int fs_tier_load(struct fs_program *program)
{
        if (!program->load_tried) {
                program->load_tried = true;
                program->load_error = jit_program_load(
                        program->shared->session, program->entry, &program->loaded);
                if (program->load_error < 0)
                        fmt_warning(
                                "/%s: its program record cannot be used: %s; pack the image again",
                                program->entry->path, strerror(-program->load_error));
                else if (wants_fast(program) &&
                         jit_program_load_fast(
                                 program->shared->session, program->entry, &program->fast) < 0)
                        program->fast = NULL; /* the other one will do */
        }
        return program->load_error;
}

void fs_tier_forget_fast(struct fs_program *program)
{
        jit_program_free(program->fast);
        program->fast = NULL;
}

static int open_passthrough(struct fs_program *program, int fd, fuse_req_t req)
{
        struct fs_programs *shared = program->shared;
        const char *why_not = atomic_load(&shared->no_passthrough);
        if (why_not != NULL && why_not != fs_passthrough_untried)
                return 0;
        int id = fuse_passthrough_open(req, fd);
        if (id > 0) {
                if (why_not != NULL)
                        atomic_compare_exchange_strong(&shared->no_passthrough, &why_not, NULL);
                return id;
        }
        /* True for every file. */
        const char *reason = geteuid() != 0 || errno == EPERM
                                     ? "that needs root on the host"
                                     : "the cache's file system does not allow it (an overlay?)";
        why_not = atomic_exchange(&shared->no_passthrough, reason);
        if (why_not == NULL || why_not == fs_passthrough_untried)
                fmt_info("compiled programs are served through the page cache, not by passthrough: "
                         "%s",
                        reason);
        return 0;
}

int fs_tier_use_compiled(struct fs_program *program, enum fs_tier tier, int fd, fuse_req_t req)
{
        struct stat st;
        if (fstat(fd, &st) < 0 || (uint64_t)st.st_size != program->entry->size) {
                close(fd);
                return -EIO;
        }
        const struct fs_contents contents = {
                .tier = tier,
                .device = st.st_dev,
                .inode = st.st_ino,
                .changed = st.st_mtim,
        };
        begin(program, &contents);
        program->backing_fd = fd;
        program->is_kept = st.st_nlink > 0;
        program->backing_id = open_passthrough(program, fd, req);
        return 0;
}

int fs_tier_use_baseline(struct fs_program *program, const char *reason)
{
        if (!program->entry->baseline)
                return -EIO;
        char *copy = strdup(reason);
        if (copy == NULL)
                return -ENOMEM;
        free(program->baseline_reason);
        program->baseline_reason = copy;
        begin(program, &(struct fs_contents){.tier = FS_TIER_BASELINE});
        return 0;
}

void fs_tier_join(struct fs_program *program, struct fuse_file_info *fi)
{
        program->opens++;
        program->opens_ever++;
        fi->backing_id = program->backing_id;
        fi->keep_cache = program->backing_id == 0 && program->keep_cache;
}

/* Gives the backing file back to the kernel; the request that libfuse's own function wants is not
 * always at hand. */
static void close_passthrough(struct fs_program *program)
{
        uint32_t id = (uint32_t)program->backing_id;
        if (id > 0 && ioctl(program->shared->device, BACKING_CLOSE, &id) < 0)
                fmt_debug("/%s: its backing file stays open: %s", program->entry->path,
                        strerror(errno));
        program->backing_id = 0;
}

void fs_tier_end(struct fs_program *program)
{
        close_passthrough(program);
        fmt_close_fd(&program->backing_fd);
        program->backing_fd = -1;
        program->tier = FS_TIER_NONE;
}

bool fs_tier_leave(struct fs_program *program)
{
        if (--program->opens > 0)
                return false;
        if (program->backing_id == 0)
                program->in_page_cache = program->present;
        if (program->tier != FS_TIER_NATIVE) {
                fs_tier_end(program);
                return false;
        }
        program->linger_ends = fs_watch_now() + LINGER_NS;
        return !atomic_exchange(&program->shared->anyone_lingers, true);
}

int fs_tier_resume(struct fs_program *program)
{
        struct stat st;
        if (program->tier == FS_TIER_NONE)
                return -ENOENT;
        if (program->opens > 0)
                return 0;
        /* Thrown out of the cache meanwhile; but what the cache could not take has no other place.
         */
        if (program->is_kept && (fstat(program->backing_fd, &st) < 0 || st.st_nlink == 0)) {
                fs_tier_end(program);
                return -ENOENT;
        }
        begin(program, &program->present);
        cache_count(program->shared->cache, CACHE_HITS, 1);
        return 0;
}

bool fs_tier_is_cached(struct fs_program *program, const struct jit_program *compiled)
{
        _cleanup_close_ int fd = -1;
        return jit_session_peek(program->shared->session, compiled, &fd) == 0;
}

int fs_tier_request(struct fs_program *program)
{
        struct jit_session *session = program->shared->session;
        int error = program->fast != NULL ? jit_session_request(session, program->fast,
                                                    fs_program_compiled_fast, program)
                                          : jit_session_request(session, program->loaded,
                                                    fs_program_compiled, program);
        if (error < 0) {
                fmt_warning("/%s: compiling it cannot be started: %s", program->entry->path,
                        strerror(-error));
                return fs_tier_use_baseline(program, strerror(-error));
        }
        program->compiling = true;
        return -EINPROGRESS;
}

void fs_tier_request_full(struct fs_program *program)
{
        int error = jit_session_request_for_later(program->shared->session, program->loaded);
        if (error < 0 && error != -ECANCELED)
                fmt_warning("/%s: compiling it in full cannot be started: %s", program->entry->path,
                        strerror(-error));
}

/* What the cache has of it, or -ENOENT. */
static int take_cached(struct fs_program *program, fuse_req_t req)
{
        struct jit_session *session = program->shared->session;
        int fd;
        if (jit_session_lookup(session, program->loaded, &fd) == 0)
                return fs_tier_use_compiled(program, FS_TIER_NATIVE, fd, req);
        if (program->fast == NULL || jit_session_lookup(session, program->fast, &fd) < 0)
                return -ENOENT;
        fs_tier_request_full(program);
        return fs_tier_use_compiled(program, FS_TIER_FAST, fd, req);
}

int fs_tier_choose(struct fs_program *program, fuse_req_t req)
{
        if (fs_tier_load(program) < 0)
                return fs_tier_use_baseline(program, "its program record cannot be used");
        const char *unsupported = jit_program_unsupported(program->loaded);
        if (unsupported != NULL)
                return fs_tier_use_baseline(program, unsupported);
        if (!program->compiling) {
                int error = take_cached(program, req);
                if (error == -ENOENT)
                        error = fs_tier_request(program);
                if (error != -EINPROGRESS)
                        return error;
        }
        /* Without a baseline there is nothing to lose patience for. */
        if (program->shared->patience_ns == 0 && program->entry->baseline)
                return fs_tier_use_baseline(
                        program, "it is being compiled and -o patience=0 does not wait");
        return -EINPROGRESS;
}
