/* SPDX-License-Identifier: Apache-2.0 */
#include "ld_output.h"

#include "fmt_cleanup.h"
#include "fmt_elf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

int ld_output_attach(const char *path, const char *name, const void *data, size_t size)
{
        char real[PATH_MAX];
        struct stat st;
        if (!realpath(path, real))
                return -errno;
        _cleanup_close_ int fd = open(real, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        _cleanup_free_ char *temporary = NULL;
        if (asprintf(&temporary, "%s.xaas-XXXXXX", real) < 0)
                return -ENOMEM;
        _cleanup_close_ int out = mkostemp(temporary, O_CLOEXEC);
        if (out < 0)
                return -errno;
        int r = fmt_elf_with_section(fd, name, data, size, out);
        if (r == 0 && (st.st_uid != geteuid() || st.st_gid != getegid()) &&
                fchown(out, st.st_uid, st.st_gid) < 0 && errno != EPERM)
                r = -errno;
        if (r == 0 && fchmod(out, st.st_mode & 07777) < 0)
                r = -errno;
        if (r == 0 && rename(temporary, real) < 0)
                r = -errno;
        if (r < 0)
                unlink(temporary);
        return r;
}
