/* SPDX-License-Identifier: Apache-2.0 */
/* What a link really took, in the linker's own words: the map of GNU ld, the trace of ld.lld.
 * Search paths, scripts, groups and needs are thereby the linker's business and never ours. */
#ifndef LD_TAKEN_H
#define LD_TAKEN_H

#include <stdbool.h>
#include <stddef.h>

struct ld_taken {
        char *path;   /* file, or archive */
        char *member; /* archive member's last component, or NULL */
        char *symbol; /* one symbol that it was taken for, where the linker says so, or NULL */
};

struct ld_taken_list {
        struct ld_taken *items; /* in link order */
        size_t n;
};

/* MAP: text of GNU ld's -Map. */
int ld_taken_from_map(const char *map, struct ld_taken_list *ret);

/* TRACE: stdout of ld.lld --trace; REASONS: text of its --why-extract. Lines of TRACE that name no
 * file are printed to stdout (all of them with ECHO). */
int ld_taken_from_trace(
        const char *trace, const char *reasons, bool echo, struct ld_taken_list *ret);

void ld_taken_done(struct ld_taken_list *list);

#endif
