/* SPDX-License-Identifier: Apache-2.0 */
/* The part of jit_profile_runtime.c's object that whoever links it fills in (jit_worker_runtime.c),
 * found by its mark. Without a C library. */
#ifndef JIT_PROFILE_PLACE_H
#define JIT_PROFILE_PLACE_H

#include <linux/limits.h>

#define JIT_PROFILE_MARK "xaas-prof-place"

struct jit_profile_place {
        char mark[16];         /* JIT_PROFILE_MARK */
        char folder[PATH_MAX]; /* where counts go */
        char stem[80];         /* how files of them begin */
};

#endif
