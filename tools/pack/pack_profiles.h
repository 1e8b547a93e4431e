/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles that go into the image with the programs they are of (`xaas pack --profile`). */
#ifndef PACK_PROFILES_H
#define PACK_PROFILES_H

#include "fmt_bundle.h"
#include "fmt_manifest.h"

/* Each of GIVEN (NULL-terminated, or NULL) is "PATH=FILE", the profile of the program at PATH, or a
 * folder as `xaas profile export` makes them. Says which of them cannot be read. */
int pack_profiles_check(char *const *given);

/* Puts the profile that GIVEN has for the program into the bundle and into ENTRY, whose path is
 * known; of several the last one. Says what is wrong with it. */
int pack_profiles_take(
        char *const *given, struct fmt_bundle_writer *writer, struct fmt_program *entry);

/* Warns of those from which no program of MANIFEST has a profile. */
void pack_profiles_warn(char *const *given, const struct fmt_manifest *manifest);

#endif
