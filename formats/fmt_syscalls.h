/* SPDX-License-Identifier: Apache-2.0 */
/* The system-call part of a box: a seccomp filter that lists what may be called.
 *
 * Everything else answers ENOSYS, which makes the C library fall back where it can. Calls of
 * another architecture (i386, x32) kill the process. */
#ifndef FMT_SYSCALLS_H
#define FMT_SYSCALLS_H

#include "fmt_confine.h"

/* Last step of a box: the other steps need calls that are refused from here on. */
int fmt_syscalls_restrict(const struct fmt_confinement *confinement);

#endif
