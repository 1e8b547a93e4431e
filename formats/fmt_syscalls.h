/* SPDX-License-Identifier: Apache-2.0 */
/* The system-call part of a box: a seccomp filter that lists what may be called.
 *
 * Everything else answers ENOSYS, which makes the C library fall back where it can. Calls of
 * another architecture (i386, x32) kill the process. */
#ifndef FMT_SYSCALLS_H
#define FMT_SYSCALLS_H

#include "fmt_confine.h"

/* Last step of a box: the other steps need calls that are refused from here on. SIGNALS_STAY:
 * Landlock keeps signals inside the box; otherwise a process with children may send none at all
 * (its abort then ends in SIGSEGV). */
int fmt_syscalls_restrict(const struct fmt_confinement *confinement, bool signals_stay);

#endif
