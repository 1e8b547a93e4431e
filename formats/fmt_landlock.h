/* SPDX-License-Identifier: Apache-2.0 */
/* The file-system and network part of a box: Landlock (Linux 5.13 and later).
 *
 * Handles every access right that the running kernel knows, so that what is not granted here is
 * denied. Not covered by Landlock, and therefore fmt_syscalls.h's business: stat, readlink, chmod,
 * chown, extended attributes, times; before Linux 6.2 truncation, before 6.12 signals. A memfd lies
 * on no mount that Landlock rules over: opening it through /proc/self/fd/N always works. */
#ifndef FMT_LANDLOCK_H
#define FMT_LANDLOCK_H

#include "fmt_confine.h"

/* Needs no_new_privs or CAP_SYS_ADMIN. *ret_signals_stay: this kernel (6.12 and later) keeps
 * signals inside the box. -EOPNOTSUPP: it has no Landlock. */
int fmt_landlock_restrict(const struct fmt_confinement *confinement, bool *ret_signals_stay);

#endif
