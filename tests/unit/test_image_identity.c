/* SPDX-License-Identifier: Apache-2.0 */
/* An image file is recognised, and is another one after every change. */
#include "fmt_cleanup.h"
#include "fmt_image_identity.h"
#include "unit_check.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static char path[256], other_path[256];

static void write_bytes(const char *where, char filler, int flags)
{
        _cleanup_close_ int fd = open(where, O_WRONLY | flags, 0600);
        char bytes[4096];

        memset(bytes, filler, sizeof bytes);
        REQUIRE(fd >= 0 && write(fd, bytes, sizeof bytes) == sizeof bytes);
}

static struct fmt_image_identity identity(const char *where, uint64_t offset)
{
        _cleanup_close_ int fd = open(where, O_RDONLY);
        struct fmt_image_identity ret;

        REQUIRE(fd >= 0 && fmt_image_identity(fd, offset, &ret) == 0);
        return ret;
}

static bool same(const struct fmt_image_identity *a, const struct fmt_image_identity *b)
{
        return memcmp(a, b, sizeof *a) == 0;
}

static void test_changes(void)
{
        struct fmt_image_identity before, after;
        struct timespec times[2];

        write_bytes(path, 'a', O_CREAT | O_EXCL);
        before = identity(path, 0);
        after = identity(path, 0);
        CHECK(same(&before, &after));
        after = identity(path, 1);
        CHECK(!same(&before, &after));

        /* The clock of file times ticks every few milliseconds. */
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
        times[0] = times[1] =
                (struct timespec){before.mtime_ns / 1000000000, before.mtime_ns % 1000000000};
        write_bytes(path, 'a', 0);
        REQUIRE(utimensat(AT_FDCWD, path, times, 0) == 0);
        after = identity(path, 0);
        CHECK(after.mtime_ns == before.mtime_ns && after.size == before.size);
        CHECK(!same(&before, &after));

        /* The same bytes and times in its place. */
        write_bytes(other_path, 'a', O_CREAT | O_EXCL);
        REQUIRE(utimensat(AT_FDCWD, other_path, times, 0) == 0 && rename(other_path, path) == 0);
        before = identity(path, 0);
        CHECK(!same(&before, &after) && before.inode != after.inode);

        before.ctime_ns -= INT64_C(2000000000);
        CHECK(fmt_image_identity_settled(&before));
        before.ctime_ns += INT64_C(100000000000);
        CHECK(!fmt_image_identity_settled(&before));
}

static void test_refused(void)
{
        struct fmt_image_identity ret;
        _cleanup_close_ int null = open("/dev/null", O_RDONLY), fd = open(path, O_RDONLY);

        CHECK(fmt_image_identity(null, 0, &ret) == -ENOTSUP);
        CHECK(fmt_image_identity(fd, 4096 - FMT_SUPERBLOCK_SIZE, &ret) == 0);
        CHECK(fmt_image_identity(fd, 4096 - FMT_SUPERBLOCK_SIZE + 1, &ret) == -EIO);
}

int main(void)
{
        const char *temporary = getenv("TMPDIR");
        char folder[200];

        snprintf(
                folder, sizeof folder, "%s/xaasfs-identity-XXXXXX", temporary ? temporary : "/tmp");
        REQUIRE(mkdtemp(folder));
        snprintf(path, sizeof path, "%s/image", folder);
        snprintf(other_path, sizeof other_path, "%s/other", folder);
        test_changes();
        test_refused();
        unlink(path);
        rmdir(folder);
        return unit_report();
}
