/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_counting.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <string.h>

static int read_note(struct cache *cache, const struct fmt_bundle *bundle, struct jit_counting *ret)
{
        struct fmt_digest root;
        fmt_bundle_root(bundle, &root);
        int error = jit_counting_read(cache, &root, ret);
        if (error == -ENOENT || error == -ENOMEM)
                return error == -ENOENT ? 0 : error;
        if (error < 0)
                fmt_warning("what `xaas profile start` asked for cannot be read: %s; nothing is "
                            "counted; start again",
                        strerror(-error));
        return 0;
}

int fs_counting_begin(const struct fs_options *options, struct cache *cache,
        const struct fmt_bundle *bundle, struct fmt_manifest *manifest, struct jit_counting *ret)
{
        *ret = (struct jit_counting){0};
        int error = 0;
        size_t n = 0;
        if (options->profile == NULL)
                error = read_note(cache, bundle, ret);
        else if (!options->wish.no_profile && (ret->folder = strdup(options->profile)) == NULL)
                error = -ENOMEM;
        if (error < 0 || ret->folder == NULL)
                return error;
        for (size_t i = 0; i < manifest->n_programs; i++) {
                struct fmt_program *program = &manifest->programs[i];
                if (!jit_counting_has(ret, program->path))
                        continue;
                program->size *= JIT_COUNTING_GROWTH;
                n++;
        }
        fmt_info("%zu programs count how often their code runs, in %s; `xaas profile finish` makes "
                 "profiles of it",
                n, ret->folder);
        return 0;
}
