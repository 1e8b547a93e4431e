/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the worker: the object that is linked into programs which count how often their code runs
 * (jit_profile_runtime.c). It is part of this program. */
#ifndef JIT_WORKER_RUNTIME_H
#define JIT_WORKER_RUNTIME_H

#include "jit_worker_parts.h"

/* Makes the object, told where the job wants the counts, one of PARTS. -EINVAL: that is too long. */
int jit_worker_runtime(struct jit_worker_parts *parts);

#endif
