/* SPDX-License-Identifier: Apache-2.0 */
/* "did you mean …?" for names that people mistype: commands, options, mount options. */
#ifndef FMT_SUGGEST_H
#define FMT_SUGGEST_H

/* The name in KNOWN (NULL-terminated) that is closest to GIVEN by edit distance (insertions,
 * deletions, replacements and swaps of neighbours), or of which GIVEN is a beginning; NULL if
 * none is close enough to be what was meant. Points into KNOWN. */
const char *fmt_suggest(const char *given, const char *const *known);

#endif
