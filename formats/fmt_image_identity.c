/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_image_identity.h"

#include "fmt_index.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
/* FAT counts in two seconds, ext3 in one, the clock of others ticks at least every 10 ms. */
#define COARSEST (2 * SECOND)

_Static_assert(sizeof(struct fmt_image_identity) == 8 + 32 + 6 * 8 + FMT_SUPERBLOCK_SIZE,
        "it has no padding");
_Static_assert(sizeof XAASFS_VERSION <= 32, "the version fits");

static int64_t nanoseconds(const struct timespec *time)
{
        return time->tv_sec * SECOND + time->tv_nsec;
}

int fmt_image_identity(int fd, uint64_t offset, struct fmt_image_identity *ret)
{
        struct fmt_image_identity identity = {
                .format = FMT_INDEX_MAGIC, .written_by = XAASFS_VERSION};
        struct stat st;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -ENOTSUP;
        if (pread(fd, identity.superblock, FMT_SUPERBLOCK_SIZE, (off_t)offset) !=
                FMT_SUPERBLOCK_SIZE)
                return -EIO;
        identity.device = st.st_dev;
        identity.inode = st.st_ino;
        identity.size = (uint64_t)st.st_size;
        identity.offset = offset;
        identity.mtime_ns = nanoseconds(&st.st_mtim);
        identity.ctime_ns = nanoseconds(&st.st_ctim);
        *ret = identity;
        return 0;
}

bool fmt_image_identity_settled(const struct fmt_image_identity *identity)
{
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        return nanoseconds(&now) - identity->ctime_ns >= COARSEST;
}
