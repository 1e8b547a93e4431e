/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_worker_job.h"

#include "fmt_cleanup.h"

#include <inttypes.h>
#include <string.h>

int jit_worker_job_encode(const struct jit_worker_job *job, char **ret_text)
{
        _cleanup_free_ char *policy = NULL;
        int r = jit_policy_format(&job->policy, &policy);
        if (r < 0)
                return r;
        int n = asprintf(ret_text,
                "triple %s\ntune %s\nfeatures %s\npolicy %s\nsize %" PRIu64 "\nthreads %u\n"
                "%s%s%s%s%s%s",
                job->triple, job->tune, job->features, policy, job->size, job->threads,
                job->counts_folder ? "counts-folder " : "",
                job->counts_folder ? job->counts_folder : "", job->counts_folder ? "\n" : "",
                job->counts_stem ? "counts-stem " : "", job->counts_stem ? job->counts_stem : "",
                job->counts_stem ? "\n" : "");
        return n < 0 ? -ENOMEM : 0;
}

static int take_line(struct jit_worker_job *job, const char *key, const char *value)
{
        char **text = strcmp(key, "triple") == 0          ? &job->triple
                      : strcmp(key, "tune") == 0          ? &job->tune
                      : strcmp(key, "features") == 0      ? &job->features
                      : strcmp(key, "counts-folder") == 0 ? &job->counts_folder
                      : strcmp(key, "counts-stem") == 0   ? &job->counts_stem
                                                          : NULL;
        if (text) {
                free(*text);
                *text = strdup(value);
                return *text ? 0 : -ENOMEM;
        }
        if (strcmp(key, "policy") == 0) {
                job->has_policy = jit_policy_parse(value, &job->policy, NULL) == 0;
                return job->has_policy ? 0 : -EBADMSG;
        }
        uint64_t number = strtoull(value, NULL, 10);
        if (strcmp(key, "size") == 0)
                job->size = number;
        else if (strcmp(key, "threads") == 0)
                job->threads = (unsigned)number;
        else
                return -EBADMSG;
        return 0;
}

int jit_worker_job_decode(const char *text, size_t size, struct jit_worker_job *ret)
{
        *ret = (struct jit_worker_job){0};
        _cleanup_free_ char *copy = strndup(text, size);
        if (!copy)
                return -ENOMEM;
        int r = 0;
        for (char *line = copy, *end; r == 0 && (end = strchr(line, '\n')); line = end + 1) {
                *end = '\0';
                char *value = strchr(line, ' ');
                if (!value) {
                        r = -EBADMSG;
                        break;
                }
                *value++ = '\0';
                r = take_line(ret, line, value);
        }
        if (r == 0 &&
                (!ret->triple || !ret->tune || !ret->features || !ret->has_policy || !ret->size ||
                        !ret->threads || !ret->counts_folder != !ret->counts_stem))
                r = -EBADMSG;
        if (r < 0)
                jit_worker_job_done(ret);
        return r;
}

void jit_worker_job_done(struct jit_worker_job *job)
{
        free(job->triple);
        free(job->tune);
        free(job->features);
        free(job->counts_folder);
        free(job->counts_stem);
        *job = (struct jit_worker_job){0};
}
