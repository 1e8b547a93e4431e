/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_read_ahead.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

void fs_read_ahead_raise(dev_t device, uint32_t kib)
{
        char path[64];
        snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", major(device),
                minor(device));
        _cleanup_close_ int file = open(path, O_WRONLY | O_CLOEXEC);
        if (file < 0 || dprintf(file, "%u\n", kib) < 0)
                fmt_debug(
                        "the kernel reads ahead as far as it likes: %s: %s", path, strerror(errno));
}
