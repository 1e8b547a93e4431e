/* SPDX-License-Identifier: Apache-2.0 */
/* Two thousand damaged images: refused, or everything that can be asked of them is answered; never
 * a crash, a hang or a leak. */
#include "fmt_cleanup.h"
#include "index_use.h"
#include "squashfs_tree.h"
#include "unit_check.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define IMAGES 8
#define MUTATIONS 250
#define MOST_BYTES (1 << 20)

static char scratch[] = "/tmp/xaasfs-damage-XXXXXX";

static size_t make_image(char *bytes, uint64_t *state)
{
        char tree[100], path[100];
        snprintf(tree, sizeof tree, "%s/tree", scratch);
        snprintf(path, sizeof path, "%s/image", scratch);
        REQUIRE(mkdir(tree, 0755) == 0);
        tree_make(tree, 30, 4096, state);
        tree_pack(tree, path, 4096, state);
        tree_remove(tree);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t size = read(fd, bytes, MOST_BYTES);
        REQUIRE(size > 96 && size < MOST_BYTES && unlink(path) == 0);
        return (size_t)size;
}

/* A few bytes change, mostly where metadata is: at the end, and in the superblock. */
static size_t damage(char *bytes, size_t size, uint64_t *state)
{
        for (uint64_t i = 0, n = 1 + unit_random(state) % 8; i < n; i++) {
                const size_t near = size < 4096 ? size : 4096;
                const size_t from_end = unit_random(state) % (unit_random(state) % 3 ? near : size);
                const size_t at =
                        unit_random(state) % 8 ? size - from_end - 1 : unit_random(state) % 96;
                bytes[at] = (char)(unit_random(state) >> 9);
        }
        return unit_random(state) % 10 ? size : unit_random(state) % size;
}

/* True if it was mounted. */
static bool try_damaged(const char *original, size_t size, uint64_t *state)
{
        static char bytes[MOST_BYTES];
        char path[40];
        struct fmt_squashfs *image;
        _cleanup_close_ int fd = memfd_create("image", MFD_CLOEXEC);
        memcpy(bytes, original, size);
        size = damage(bytes, size, state);
        REQUIRE(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        const int error = fmt_squashfs_open(path, NULL, &image);
        if (error < 0) {
                /* Some have no end; on a machine with much else to do, that shows by the clock. */
                CHECK(error == -EBADMSG || error == -EMEDIUMTYPE || error == -EOPNOTSUPP ||
                        error == -ETIMEDOUT);
                return false;
        }
        index_use_everything(image);
        fmt_squashfs_free(image);
        return true;
}

int main(void)
{
        static char bytes[MOST_BYTES];
        uint64_t state = unit_seed();
        unsigned mounted = 0;
        REQUIRE(mkdtemp(scratch) != NULL);
        for (unsigned i = 0; i < IMAGES; i++) {
                const size_t size = make_image(bytes, &state);
                for (unsigned j = 0; j < MUTATIONS; j++)
                        mounted += try_damaged(bytes, size, &state);
        }
        printf("%u of %u damaged images were mounted\n", mounted, IMAGES * MUTATIONS);
        CHECK(mounted > 0 && mounted < IMAGES * MUTATIONS);
        tree_remove(scratch);
        return unit_report();
}
