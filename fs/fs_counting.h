/* SPDX-License-Identifier: Apache-2.0 */
/* Which programs of this mount count how often their code runs (jit_counting.h): what -o profile=
 * says, or else what `xaas profile start` left in the cache. */
#ifndef FS_COUNTING_H
#define FS_COUNTING_H

#include "fs_options.h"

#include "cache_store.h"
#include "fmt_bundle.h"
#include "fmt_manifest.h"
#include "jit_counting.h"

/* Makes the programs of MANIFEST that count as large as they will be. The caller frees with
 * jit_counting_done. Says what is wrong. */
int fs_counting_begin(const struct fs_options *options, struct cache *cache,
        const struct fmt_bundle *bundle, struct fmt_manifest *manifest, struct jit_counting *ret);

#endif
