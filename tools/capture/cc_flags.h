/* SPDX-License-Identifier: Apache-2.0 */
/* What capture must know of gcc's and clang's command-line flags. */
#ifndef CC_FLAGS_H
#define CC_FLAGS_H

#include <stdbool.h>

/* Takes the next word as its value. */
bool cc_flag_takes_value(const char *flag);

/* gcc knows it, clang 19 does not (an error, or a warning that -Werror turns into one), and
 * leaving it out changes nothing that a program may rely on. */
bool cc_flag_is_gcc_only(const char *flag);

/* The project's own wishes for link-time optimisation: ours decide. */
bool cc_flag_is_lto(const char *flag);

/* Why a step with FLAG is compiled without bitcode: a sentence, or NULL. */
const char *cc_flag_forbids_bitcode(const char *flag);

#endif
