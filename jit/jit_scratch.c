/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_scratch.h"

#include "fmt_cleanup.h"

#include <ftw.h>
#include <sys/statvfs.h>

struct jit_scratch {
        struct cache_job *job; /* or NULL: then path is ours */
        char *path;
};

static bool has_room(const char *folder, uint64_t needed)
{
        struct statvfs st;
        return statvfs(folder, &st) == 0 && (uint64_t)st.f_bavail * st.f_frsize >= needed;
}

static int make_own(struct jit_scratch *scratch)
{
        const char *parent = secure_getenv("TMPDIR");
        if (asprintf(&scratch->path, "%s/xaasfs-XXXXXX",
                    parent && *parent == '/' ? parent : "/tmp") < 0) {
                scratch->path = NULL;
                return -ENOMEM;
        }
        return mkdtemp(scratch->path) ? 0 : -errno;
}

int jit_scratch_begin(struct cache *cache, uint64_t needed, struct jit_scratch **ret)
{
        struct jit_scratch *scratch = calloc(1, sizeof *scratch);
        if (!scratch)
                return -ENOMEM;
        int r = -ENOSPC;
        if (has_room(cache_directory(cache), needed))
                r = cache_job_begin(cache, &scratch->job);
        if (r < 0) {
                scratch->job = NULL;
                r = make_own(scratch);
        }
        if (r < 0) {
                free(scratch->path);
                free(scratch);
                return r;
        }
        *ret = scratch;
        return 0;
}

const char *jit_scratch_path(const struct jit_scratch *scratch)
{
        return scratch->job ? cache_job_path(scratch->job) : scratch->path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *position)
{
        (void)st, (void)type, (void)position;
        (void)remove(path);
        return 0;
}

void jit_scratch_end(struct jit_scratch *scratch)
{
        if (!scratch)
                return;
        if (scratch->job)
                cache_job_end(scratch->job);
        else
                nftw(scratch->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        free(scratch->path);
        free(scratch);
}
