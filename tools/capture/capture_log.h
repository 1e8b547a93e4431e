/* SPDX-License-Identifier: Apache-2.0 */
/* What capture did during one `xaas build`, for the summary at its end.
 *
 * Many compilers and linkers run at once; each appends one line per event to the file that
 * $XAAS_CAPTURE_LOG names (O_APPEND, one write: lines never mix). Without it, nothing is written:
 * xaas-cc used by itself is as quiet as a compiler. */
#ifndef CAPTURE_LOG_H
#define CAPTURE_LOG_H

#include <stddef.h>

#define CAPTURE_LOG_VARIABLE "XAAS_CAPTURE_LOG"

/* A program or library was captured from MODULES modules and NATIVE native inputs. */
void capture_log_program(const char *path, size_t modules, size_t natives);
/* PATH stays native because of REASON (a sentence). */
void capture_log_native(const char *path, const char *reason);
/* Source file PATH was compiled without bitcode because of REASON. */
void capture_log_uncaptured(const char *path, const char *reason);
/* PATH needs shared library NAME, which a plain runtime image may lack. */
void capture_log_library(const char *path, const char *name);

/* Prints the summary of LOG to stderr. */
void capture_log_summarise(const char *log);

#endif
