/* SPDX-License-Identifier: Apache-2.0 */
#include "image_ground.h"

#include "cache_index.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

/* SIGINT and SIGTERM as a descriptor; threads and children start with the mask of this moment. */
static int catch_signals(int *ret_fd)
{
        sigset_t signals;

        sigemptyset(&signals);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return -errno;
        *ret_fd = signalfd(-1, &signals, SFD_CLOEXEC);
        return *ret_fd < 0 ? -errno : 0;
}

static int open_cache(const struct image_ground_wish *wish, struct cache **ret)
{
        struct cache_options how = {.directory = wish->cache};
        int r = cache_open(&how, ret);

        if (r < 0 || !cache_is_read_only(*ret))
                return r;
        fmt_error("cannot keep anything in the cache %s: it may not be written to; run "
                  "`xaas %s` as its owner, or name another one with --cache",
                cache_directory(*ret), wish->command);
        return -EROFS;
}

/* With the image's index in the cache, mounts need not make one. */
static int open_image(
        const struct image_ground_wish *wish, struct cache *cache, struct image_bundle *ret)
{
        const struct fmt_index_keeper keeper = cache_index_keeper(cache);
        struct fmt_index_origin origin;
        int r = image_bundle_open(wish->image, &keeper, ret);

        if (r < 0)
                return r;
        fmt_squashfs_index_origin(ret->image, &origin);
        r = cache_index_keep(cache, &origin);
        if (r < 0)
                fmt_warning("cannot keep the index of %s in the cache %s: %s; make room there, or "
                            "each mount makes its own",
                        wish->image, cache_directory(cache), strerror(-r));
        return 0;
}

/* The order matters: the spawner and the image's indexer are forked before there are threads or
 * locks. */
int image_ground_lay(const struct image_ground_wish *wish, struct image_ground *ret)
{
        int r = jit_spawner_start(wish->cores, &ret->spawner);

        if (r == 0)
                r = catch_signals(&ret->stop_fd);
        if (r < 0) {
                fmt_error("cannot start processes: %s; raise the limits of this user (ulimit -a)",
                        strerror(-r));
                return r;
        }
        r = open_cache(wish, &ret->cache);
        if (r == 0)
                r = open_image(wish, ret->cache, &ret->image);
        if (r < 0 || !ret->image.manifest)
                return r;
        r = jit_target_detect(wish->target, wish->runs_elsewhere, &ret->target);
        return r == 0 && !jit_target_takes_images(ret->target) ? -ENOTSUP : r;
}

void image_ground_done(struct image_ground *ground)
{
        jit_target_free(ground->target);
        cache_close(ground->cache);
        image_bundle_done(&ground->image);
        jit_spawner_stop(ground->spawner);
        fmt_close_fd(&ground->stop_fd);
        *ground = IMAGE_GROUND_EMPTY;
}
