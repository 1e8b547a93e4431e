/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the worker: modules that have features of their own are rewritten for the target, and for
 * full LTO all of them.
 *
 * A function with target-features of its own does not hear what ld.lld is told by -mattr, so
 * those modules go through xaas-bitcode first. Starting LLVM takes 30 ms: where no module
 * needs it, nothing is started, and where many do, several processes share the work. */
#ifndef JIT_WORKER_RETARGET_H
#define JIT_WORKER_RETARGET_H

#include "jit_worker_parts.h"

/* PROGRAM is xaas-bitcode. Replaces the archives in PARTS by ones with rewritten modules. As
 * jit_worker_link. */
int jit_worker_retarget(const char *program, struct jit_worker_parts *parts, char **ret_reason);

#endif
