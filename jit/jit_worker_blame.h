/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the worker: which module it is that ld.lld stumbles over.
 *
 * Of broken bitcode ld.lld says what is wrong but not where ("Unterminated VBR"), and a crash
 * says nothing. So the modules are compiled again without optimisation and without linking, first
 * together, then halves of those that still fail: a few runs of some 30 ms, after a failure only.
 */
#ifndef JIT_WORKER_BLAME_H
#define JIT_WORKER_BLAME_H

#include "jit_worker_parts.h"

/* The name of the first module (borrowed from PARTS) that fails alone, or NULL if none does: then
 * the fault lies elsewhere. Overwrites JIT_WORKER_OUTPUT. */
const char *jit_worker_blame(const char *linker, const struct jit_worker_parts *parts);

#endif
