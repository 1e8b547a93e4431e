/* SPDX-License-Identifier: Apache-2.0 */
/* Which policy was found to be best for a program on a target: written by `xaas tune`, read by
 * every session. A note of the cache (cache_note.h), kind "choice":
 *
 *     {"version": 1, "program": PATH, "target": TEXT, "policy": TEXT, "why": TEXT}
 *
 * named by SHA-256 of the program's inputs and recipe (the canonical JSON of its variant) and the
 * target's description. The toolchain is left out on purpose: another version of LLVM is still told
 * what was best for the one before it. */
#ifndef JIT_CHOICE_H
#define JIT_CHOICE_H

#include "cache_store.h"
#include "fmt_record.h"
#include "jit_policy.h"

/* TARGET: jit_target_describe. */
int jit_choice_name(const struct fmt_variant *variant, const char *target, struct fmt_digest *ret);

struct jit_choice {
        char *program; /* a path that it was made for: for people */
        char *target;
        struct jit_policy policy;
        char *why; /* a sentence, for people: what was measured */
};

/* -ENOENT; -EBADMSG: damaged, or of another version. The caller frees with jit_choice_done. */
int jit_choice_read(struct cache *cache, const struct fmt_digest *name, struct jit_choice *ret);
/* Replaces what was chosen before. As cache_note_write. */
int jit_choice_write(
        struct cache *cache, const struct fmt_digest *name, const struct jit_choice *choice);
/* -ENOENT. */
int jit_choice_remove(struct cache *cache, const struct fmt_digest *name);
void jit_choice_done(struct jit_choice *choice);

/* Calls VISIT with every choice that can be read, until it returns something else than 0. */
int jit_choice_each(struct cache *cache,
        int (*visit)(void *context, const struct fmt_digest *name, const struct jit_choice *choice),
        void *context);

#endif
