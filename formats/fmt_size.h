/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of bytes as people read them. */
#ifndef FMT_SIZE_H
#define FMT_SIZE_H

#include <stdint.h>

/* "1.5 GiB". Room for 16 bytes. */
#define FMT_SIZE_TEXT 16
const char *fmt_size_text(uint64_t bytes, char ret_text[FMT_SIZE_TEXT]);

#endif
