/* SPDX-License-Identifier: Apache-2.0 */
/* How the enumerations of a record are spelt in JSON: shared by its encoder and decoder. */
#ifndef FMT_RECORD_NAMES_H
#define FMT_RECORD_NAMES_H

#include "fmt_record.h"

#define RECORD_FORMAT "xaas-record"

static const char *const record_output_names[] = {
        [FMT_OUTPUT_EXECUTABLE] = "executable",
        [FMT_OUTPUT_PIE] = "pie",
        [FMT_OUTPUT_STATIC] = "static",
        [FMT_OUTPUT_STATIC_PIE] = "static-pie",
        [FMT_OUTPUT_SHARED] = "shared",
};

static const char *const record_linker_names[] = {
        [FMT_LINKER_BFD] = "bfd",
        [FMT_LINKER_LLD] = "lld",
};

static const char *const record_input_names[] = {
        [FMT_INPUT_MODULE] = "module",
        [FMT_INPUT_NATIVE] = "native",
};

#define RECORD_N_NAMES(names) (sizeof(names) / sizeof((names)[0]))

#endif
