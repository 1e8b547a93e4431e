/* SPDX-License-Identifier: Apache-2.0 */
/* xaasfs IMAGE MOUNTPOINT
 *
 * The order of things matters (fork, then processes, then threads):
 *   1. fork to the background; the parent waits for "ready" (fs_daemon.h)
 *   2. open the cache and the image: maps the index that the cache has, or runs the confined
 *      indexer, which ends
 *   3. start the spawner, if there may be programs, and the guard if one is asked for: children
 *      that stay, and must inherit neither threads nor signal masks
 *   4. find the programs, detect the host: everything that can be refused
 *   5. start the threads that wait for compiles
 *   6. mount and answer the first request
 *   7. say "ready", give the cache the index, serve, and take everything down in the opposite
 *      order */
#include "fs.h"
#include "fs_daemon.h"
#include "fs_index.h"
#include "fs_options.h"
#include "fs_portable.h"
#include "fs_root.h"
#include "fs_serve.h"
#include "fs_statistics.h"

#include "cache_index.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_status.h"

#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

static int print_version(void)
{
        printf("xaasfs %s\nlibfuse %s\n", XAASFS_VERSION, fuse_pkgversion());
        return 0;
}

/* Each compiled program that is open, or was seconds ago, is a descriptor here; the customary 1024
 * would be used up by a backup of a large image, and then programs get their baselines. */
static void allow_many_descriptors(void)
{
        struct rlimit limit;
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= limit.rlim_max)
                return;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                fmt_debug("cannot raise the number of open files");
}

/* Glibc has an arena for each few threads and keeps in all of them what was once in use at the same
 * time, more the larger it was; a mount's memory would depend on how many have read from it. */
static void keep_memory_small(void)
{
        mallopt(M_ARENA_MAX, 2);
        mallopt(M_MMAP_THRESHOLD, 1 << 20);
        mallopt(M_TRIM_THRESHOLD, 1 << 20);
}

static int serve(struct fs *fs, const struct fs_options *options, struct jit_spawner *spawner,
        struct fs_guard *guard, struct fs_daemon *daemon)
{
        struct fs_session *session = NULL;
        struct fs_index *index = NULL;
        int error = fs->portable != NULL ? fs_portable_start(fs->portable, options, spawner) : 0;
        if (error == 0)
                error = fs_session_mount(fs, options, guard, &session);
        if (error == 0) {
                if (fs->portable != NULL)
                        fs_portable_connect(fs->portable, fs_session_device(session));
                fs_daemon_ready(daemon);
                fs_index_start(fs, &index);
                error = fs_session_serve(session, options);
        }
        /* Parked requests are answered while there is still somebody to answer. */
        fs_portable_free(fs->portable);
        fs->portable = NULL;
        fs_index_finish(index);
        fs_session_free(session);
        return error;
}

/* Without a cache, an image that has no programs is indexed each time: nothing that its user needs
 * to know. */
static int open_image(struct fs *fs, const struct fs_options *options)
{
        const struct cache_options cache_options = {.directory = options->cache,
                .limit = options->cache_limit,
                .complaints = FMT_LOG_DEBUG};
        struct fmt_squashfs_options image_options = {
                .offset = options->offset, .cache_size = options->block_cache};
        struct fmt_index_keeper keeper;
        if (cache_open(&cache_options, &fs->cache) == 0) {
                keeper = cache_index_keeper(fs->cache);
                image_options.keeper = &keeper;
        }
        return fmt_squashfs_open(options->image, &image_options, &fs->image);
}

static int run(const struct fs_options *options, struct fs_daemon *daemon)
{
        struct fs fs = {
                .path = realpath(options->image, NULL),
                .uid = options->uid,
                .gid = options->gid,
                .checks_users = options->allow_root,
        };
        if (fs.path == NULL)
                fs.path = strdup(options->image);
        struct jit_spawner *spawner = NULL;
        struct fs_guard *guard = NULL;
        allow_many_descriptors();
        keep_memory_small();
        int error = open_image(&fs, options);
        if (error == 0)
                error = fs_root_enter(&fs, options->image, options->subdir);
        if (error == 0)
                error = fs_statistics_new(&fs.statistics);
        if (error == 0 && fs_portable_may_exist(&fs))
                error = jit_spawner_start(options->jit_cores, &spawner);
        if (error == 0 && options->auto_unmount)
                error = fs_guard_start(&guard);
        if (error == 0) {
                struct fmt_squashfs_facts facts;
                fmt_squashfs_facts(fs.image, &facts);
                fs.any_xattrs = facts.xattr_sets > 0;
                fs_signals_block();
                error = fs_portable_open(&fs, options);
        }
        if (error == 0)
                error = serve(&fs, options, spawner, guard, daemon);
        jit_spawner_stop(spawner);
        fs_guard_dismiss(guard);
        fs_statistics_free(fs.statistics);
        fmt_squashfs_free(fs.image);
        cache_close(fs.cache);
        free(fs.path);
        free(fs.subdir);
        return error;
}

int main(int argc, char **argv)
{
        struct fs_options options;
        struct fs_daemon daemon;
        fmt_log_setup("xaasfs", FMT_LOG_INFO);
        /* Some service managers start programs with it ignored; then no child can be waited for. */
        signal(SIGCHLD, SIG_DFL);
        if (fs_options_parse(argc, argv, &options) < 0)
                return 2;
        if (options.debug)
                fmt_log_setup("xaasfs", FMT_LOG_DEBUG);
        int status = 0;
        if (options.help)
                fputs(fs_usage, stdout);
        else if (options.version)
                print_version();
        else if (options.stats)
                status = fmt_status_show(options.image, options.json);
        else if (fs_daemon_begin(options.foreground, options.ready_fd, argv, &daemon) < 0 ||
                 run(&options, &daemon) < 0)
                status = 1;
        fs_options_done(&options);
        return status;
}
