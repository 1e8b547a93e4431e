/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_size.h"

#include <stddef.h>
#include <stdio.h>

const char *fmt_size_text(uint64_t bytes, char ret_text[FMT_SIZE_TEXT])
{
        static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        double value = (double)bytes / 1024;
        size_t unit = 0;

        if (bytes < 1024) {
                snprintf(ret_text, FMT_SIZE_TEXT, "%u B", (unsigned)bytes);
                return ret_text;
        }
        while (value >= 1023.95 && unit < 5) {
                value /= 1024;
                unit++;
        }
        snprintf(ret_text, FMT_SIZE_TEXT, "%.1f %s", value, units[unit]);
        return ret_text;
}
