/* SPDX-License-Identifier: Apache-2.0 */
#include "tool_target.h"

#include <string.h>

const char *tool_target_cpu(const char *description, int *ret_size)
{
        const char *tune = description ? strstr(description, "tune=") : NULL;
        const char *cpu = tune ? tune + strlen("tune=") : "?";

        *ret_size = (int)strcspn(cpu, " ");
        return cpu;
}
