/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the worker: the object that is linked into programs which count how often their code runs
 * (jit_profile_runtime.c). It is part of this program. */
#ifndef JIT_WORKER_RUNTIME_H
#define JIT_WORKER_RUNTIME_H

#include "jit_worker_parts.h"

/* A file that holds the object, told where JOB wants the counts. -EINVAL: that is too long. */
int jit_worker_runtime(const struct jit_worker_job *job, struct jit_worker_file *ret);

#endif
