/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_worker_runtime.h"

#include "fmt_cleanup.h"
#include "fmt_whole.h"
#include "jit_profile_place.h"

#include <string.h>

static const unsigned char object[] = {
#include "jit_profile_runtime.inc"
};

int jit_worker_runtime(struct jit_worker_parts *parts)
{
        const struct jit_worker_job *job = &parts->job;
        _cleanup_free_ char *copy = malloc(sizeof object);
        if (!copy)
                return -ENOMEM;
        memcpy(copy, object, sizeof object);
        struct jit_profile_place place = {.mark = JIT_PROFILE_MARK};
        char *at = memmem(copy, sizeof object, place.mark, sizeof place.mark);
        if (!at || (size_t)(copy + sizeof object - at) < sizeof place ||
                strlen(job->counts_folder) >= sizeof place.folder ||
                strlen(job->counts_stem) >= sizeof place.stem)
                return -EINVAL;
        memcpy(place.folder, job->counts_folder, strlen(job->counts_folder));
        memcpy(place.stem, job->counts_stem, strlen(job->counts_stem));
        memcpy(at, &place, sizeof place);
        int r = jit_worker_parts_take(parts, &parts->runtime);
        return r < 0 ? r : fmt_write_whole(parts->runtime.fd, copy, sizeof object);
}
