/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_index.h"

#include "cache_index.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

struct fs_index {
        pthread_t thread;
        struct cache *cache;
        const char *path; /* of the image */
        struct fmt_index_origin origin;
};

static void *look_after(void *context)
{
        const struct fs_index *index = context;
        int error = cache_index_keep(index->cache, &index->origin);
        if (error < 0)
                fmt_debug("%s: its index is not kept in the cache: %s", index->path,
                        strerror(-error));
        if (cache_index_check(index->cache, &index->origin) == -EBADMSG) {
                fmt_error("%s: its index in the cache was damaged, so this mount ends; mount it "
                          "again",
                        index->path);
                kill(getpid(), SIGTERM);
        }
        return NULL;
}

int fs_index_start(const struct fs *fs, struct fs_index **ret)
{
        struct fmt_index_origin origin;
        fmt_squashfs_index_origin(fs->image, &origin);
        if (fs->cache == NULL || (!origin.is_kept && !origin.may_be_kept))
                return 0;
        struct fs_index *index = malloc(sizeof *index);
        if (index == NULL)
                return -ENOMEM;
        *index = (struct fs_index){.cache = fs->cache, .path = fs->path, .origin = origin};
        int error = -pthread_create(&index->thread, NULL, look_after, index);
        if (error < 0)
                free(index);
        else
                *ret = index;
        return error;
}

void fs_index_finish(struct fs_index *index)
{
        if (index == NULL)
                return;
        pthread_join(index->thread, NULL);
        free(index);
}
