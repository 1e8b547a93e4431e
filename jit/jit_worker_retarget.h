/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the worker: modules that have features of their own are rewritten for the target; all of
 * them are for full LTO, to count how often they run, and with a profile.
 *
 * A function with target-features of its own does not hear what ld.lld is told by -mattr, so
 * those modules go through xaas-bitcode first. Starting LLVM takes 30 ms: where no module
 * needs it, nothing is started, and where many do, several processes share the work. */
#ifndef JIT_WORKER_RETARGET_H
#define JIT_WORKER_RETARGET_H

#include "jit_worker_parts.h"
#include "jit_worker_report.h"

/* PROGRAM is xaas-bitcode. Replaces the archives in PARTS by ones with rewritten modules, and says
 * what became of the profile. As jit_worker_link. */
int jit_worker_retarget(const char *program, struct jit_worker_parts *parts,
        struct jit_worker_profiled *ret_profiled, char **ret_reason);

#endif
