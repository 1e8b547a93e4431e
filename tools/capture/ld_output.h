/* SPDX-License-Identifier: Apache-2.0 */
/* Putting what capture found into the file that the linker made. */
#ifndef LD_OUTPUT_H
#define LD_OUTPUT_H

#include <stddef.h>

/* Replaces PATH by a copy with section NAME holding DATA, in one step: whoever opens PATH sees the
 * old file or the new one. Mode and (as far as may be) owner stay. 0 or a negative errno; then
 * PATH is as it was. */
int ld_output_attach(const char *path, const char *name, const void *data, size_t size);

#endif
