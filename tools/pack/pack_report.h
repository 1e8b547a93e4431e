/* SPDX-License-Identifier: Apache-2.0 */
/* What `xaas pack` says while it works and when it is done. */
#ifndef PACK_REPORT_H
#define PACK_REPORT_H

#include "pack_programs.h"

/* A line on stderr that is written over and over, a few times a second; only on a terminal. */
void pack_report_progress(void *context, const char *what, size_t done, size_t total);
void pack_report_progress_end(void);

/* The summary, to stdout. */
void pack_report_summary(const char *path, const struct pack_tree *tree,
        const struct pack_programs *programs, uint64_t bundle_size, uint64_t image_size);

#endif
