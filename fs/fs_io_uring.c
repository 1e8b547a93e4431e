/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_io_uring.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"

#define KERNEL_SWITCH "/sys/module/fuse/parameters/enable_uring"
#define LEAST_LIBFUSE FUSE_MAKE_VERSION(3, 18)

static bool kernel_has_it(void)
{
        _cleanup_fclose_ FILE *parameter = fopen(KERNEL_SWITCH, "re");
        return parameter != NULL && fgetc(parameter) == 'Y';
}

int fs_io_uring_check(const struct fs *fs)
{
        if (fuse_version() < LEAST_LIBFUSE) {
                fmt_error(
                        "cannot mount with -o io_uring: this is libfuse %s, and 3.18 is the first "
                        "that has it; build xaasfs with a newer one, or leave the option out",
                        fuse_pkgversion());
                return -EOPNOTSUPP;
        }
        if (!kernel_has_it()) {
                fmt_error("cannot mount with -o io_uring: this kernel does not offer it; have root "
                          "do `echo Y >" KERNEL_SWITCH "` (Linux 6.14), or leave the option out");
                return -EOPNOTSUPP;
        }
        /* A ring has few places, one is taken until its request is answered, and nobody can be
         * released from it: opens that wait for a compile would stop the whole mount. */
        if (fs->portable != NULL) {
                fmt_error("cannot mount with -o io_uring: %s has programs to compile, and whoever "
                          "waits for them would hold up everybody; leave the option out",
                        fs->path);
                return -EOPNOTSUPP;
        }
        return 0;
}
