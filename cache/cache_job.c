/* SPDX-License-Identifier: Apache-2.0 */
/* Scratch folders of compiles: DIR/v1/jobs/job-…, each locked by its owner as long as it lives. */
#include "cache_folder.h"
#include "cache_internal.h"
#include "fmt_cleanup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

struct cache_job {
        int parent; /* where the folder is */
        int fd;     /* the folder itself, locked */
        char name[CACHE_RANDOM_NAME_SIZE];
        char *path;
};

static int open_parent(struct cache *cache, char **ret_path, int *ret_fd)
{
        const char *temporary = secure_getenv("TMPDIR");
        int r;

        if (cache->read_only)
                r = asprintf(ret_path, "%s", temporary && *temporary == '/' ? temporary : "/tmp");
        else
                r = asprintf(ret_path, "%s/v1/jobs", cache->directory);
        if (r < 0) {
                *ret_path = NULL;
                return -ENOMEM;
        }
        *ret_fd = cache->read_only
                          ? open(*ret_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                          : openat(cache->jobs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return *ret_fd < 0 ? -errno : 0;
}

/* -ESTALE: gc was quicker than our lock and has removed the folder. */
static int make_folder(struct cache_job *job)
{
        struct stat st;

        cache_random_name("job", job->name);
        if (mkdirat(job->parent, job->name, 0700) < 0)
                return errno == EEXIST ? -ESTALE : -errno;
        job->fd = openat(job->parent, job->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (job->fd < 0)
                return errno == ENOENT ? -ESTALE : -errno;
        if ((flock(job->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) ||
                fstat(job->fd, &st) < 0 || st.st_nlink == 0) {
                fmt_close_fd(&job->fd);
                job->fd = -1;
                return -ESTALE;
        }
        return 0;
}

static void job_free(struct cache_job *job)
{
        fmt_close_fd(&job->fd);
        fmt_close_fd(&job->parent);
        free(job->path);
        free(job);
}

int cache_job_begin(struct cache *cache, struct cache_job **ret)
{
        _cleanup_free_ char *parent = NULL;
        struct cache_job *job = calloc(1, sizeof(*job));
        int r;

        if (!job)
                return -ENOMEM;
        job->fd = job->parent = -1;
        r = open_parent(cache, &parent, &job->parent);
        while (r == 0 && job->fd < 0) {
                r = make_folder(job);
                if (r == -ESTALE)
                        r = 0;
        }
        if (r == 0 && asprintf(&job->path, "%s/%s", parent, job->name) < 0) {
                job->path = NULL;
                unlinkat(job->parent, job->name, AT_REMOVEDIR);
                r = -ENOMEM;
        }
        if (r < 0) {
                job_free(job);
                return r;
        }
        *ret = job;
        return 0;
}

const char *cache_job_path(const struct cache_job *job)
{
        return job->path;
}

void cache_job_end(struct cache_job *job)
{
        if (!job)
                return;
        cache_tree_remove(job->parent, job->name);
        job_free(job);
}
