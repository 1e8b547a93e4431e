/* SPDX-License-Identifier: Apache-2.0 */
/* Which input each piece of a linked program came from, out of ld.lld's --Map.
 *
 * The line of an input section reads
 *     VMA LMA Size Align <9 blanks>FILE:(SECTION)
 * in hexadecimal, where FILE is "ARCHIVE(MEMBER)" for a native member and
 * "DIRECTORY/-.lto.STEM(MEMBER at OFFSET).o" for what ThinLTO made out of a bitcode member, and
 * "DIRECTORY/-.lto.o" for what full LTO made out of all of them. */
#ifndef JIT_LINK_MAP_H
#define JIT_LINK_MAP_H

#include "fmt_record.h"
#include "jit_check_code.h"

struct jit_link_map {
        struct jit_code_range *ranges; /* sorted by start, not overlapping */
        size_t n;
        char *all_extras; /* of all modules, what code of full LTO may use; or NULL */
};

/* TEXT: SIZE bytes of a map, terminated by a NUL and cut up in place; the ranges' origins point
 * into it. VARIANT tells what each module may use (its ranges' features point into it; a name
 * that several modules bear stands for the union of one of them: the first with extras). */
int jit_link_map_parse(
        char *text, size_t size, const struct fmt_variant *variant, struct jit_link_map *ret);
void jit_link_map_done(struct jit_link_map *map);

#endif
