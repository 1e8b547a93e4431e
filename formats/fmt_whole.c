/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_whole.h"

#include <errno.h>
#include <unistd.h>

int fmt_read_whole(int fd, void *buffer, size_t size, uint64_t offset)
{
        for (char *to = buffer; size > 0;) {
                ssize_t n = pread(fd, to, size, (off_t)offset);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                to += n;
                offset += (uint64_t)n;
                size -= (size_t)n;
        }
        return 0;
}

int fmt_write_whole(int fd, const void *data, size_t size)
{
        for (const char *from = data; size > 0;) {
                ssize_t n = write(fd, from, size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                from += n;
                size -= (size_t)n;
        }
        return 0;
}
