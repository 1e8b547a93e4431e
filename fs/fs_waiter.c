/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_waiter.h"

#include "fmt_cleanup.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

/* A fatal signal is turned into SIGKILL for every thread by the kernel (signal.c,
 * complete_signal), which /proc/PID/status shows as pending. */
#define KILL_BIT (UINT64_C(1) << (SIGKILL - 1))

bool fs_waiter_is_killed(const struct fs_waiter *waiter)
{
        char path[40], line[200];
        const pid_t pid = fuse_req_ctx(waiter->req)->pid;
        if (pid <= 0)
                return false;
        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        _cleanup_fclose_ FILE *status = fopen(path, "re");
        if (status == NULL)
                return false;
        while (fgets(line, sizeof line, status) != NULL) {
                uint64_t pending;
                if ((sscanf(line, "SigPnd: %" SCNx64, &pending) == 1 ||
                            sscanf(line, "ShdPnd: %" SCNx64, &pending) == 1) &&
                        (pending & KILL_BIT) != 0)
                        return true;
        }
        return false;
}
