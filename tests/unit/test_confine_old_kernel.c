/* SPDX-License-Identifier: Apache-2.0 */
/* The same box where Landlock stops at ABI 2 (Linux 5.19 to 6.1, as in Debian 12): what it does not
 * see yet, the filter of system calls must stop. */
#define ABI_MAX 2
#include "fmt_confine.c"
#include "fmt_landlock.c"
#include "fmt_syscalls.c"

#include "test_confine.c"
