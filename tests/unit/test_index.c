/* SPDX-License-Identifier: Apache-2.0 */
/* The check of the flat index is what stands between a subverted indexer and the mount: indexes
 * with any bytes changed are refused, or everything that can be asked of them stays inside. */
#include "fmt_cleanup.h"
#include "fmt_squashfs.h"
#include "fmt_squashfs_image.h"
#include "squashfs_tree.h"
#include "unit_check.h"

#include <string.h>
#include <sys/stat.h>

#define ROUNDS 20000

static char scratch[] = "/tmp/xaasfs-index-XXXXXX";

static void ask_everything(struct fmt_squashfs *image)
{
        static char buffer[1 << 16];
        const uint32_t n = fmt_squashfs_count(image);
        unsigned reads = 0;
        for (fmt_inode inode = 1; inode <= n; inode++) {
                struct stat st;
                const char *name;
                size_t size;
                fmt_inode child, parent;
                REQUIRE(fmt_squashfs_stat(image, inode, &st) == 0);
                ssize_t listed = fmt_squashfs_listxattr(image, inode, buffer, sizeof buffer);
                if (listed > 0) {
                        _cleanup_free_ char *first = strdup(buffer);
                        fmt_squashfs_getxattr(image, inode, first, buffer, sizeof buffer);
                }
                for (uint32_t i = 0; fmt_squashfs_entry(image, inode, i, &name, &size, &child) == 0;
                        i++) {
                        CHECK(strlen(name) == size && child >= 1 && child <= n);
                        CHECK(fmt_squashfs_lookup(image, inode, name, size, &child) == 0);
                        if (fmt_squashfs_parent(image, child, &parent) == 0)
                                CHECK(parent == inode && child > inode);
                }
                if (fmt_squashfs_readlink(image, inode, &name, &size) == 0)
                        CHECK(strlen(name) == size);
                if (S_ISREG(st.st_mode) && reads++ < 20) {
                        fmt_squashfs_read(image, inode, buffer, sizeof buffer, 0);
                        fmt_squashfs_read(image, inode, buffer, sizeof buffer,
                                (uint64_t)st.st_size - (st.st_size > 100 ? 100 : 0));
                        uint64_t at;
                        fmt_squashfs_seek(image, inode, (uint64_t)st.st_size / 2, SEEK_DATA, &at);
                        fmt_squashfs_seek(image, inode, (uint64_t)st.st_size / 2, SEEK_HOLE, &at);
                }
        }
}

/* Small steps around what was there find more than random bytes do. */
static void change(char *map, size_t size, uint64_t *state)
{
        /* Half of the changes go where the counts are. */
        const size_t limit = unit_random(state) % 2 ? 64 : size - 3;
        const size_t at = (unit_random(state) % limit) & ~(size_t)3;
        uint32_t value;
        memcpy(&value, map + at, sizeof value);
        switch (unit_random(state) % 5) {
        case 0:
                value += 1;
                break;
        case 1:
                value -= 1;
                break;
        case 2:
                value = UINT32_MAX;
                break;
        case 3:
                value ^= UINT32_C(1) << unit_random(state) % 32;
                break;
        default:
                value = (uint32_t)unit_random(state) >> unit_random(state) % 32;
                break;
        }
        memcpy(map + at, &value, sizeof value);
}

static void try_changed(const struct fmt_squashfs *original, uint64_t *state, unsigned *accepted)
{
        const size_t size = original->map_size;
        /* Exactly as large as the index, so that a sanitizer sees every step outside. */
        _cleanup_free_ char *map = malloc(size);
        REQUIRE(map != NULL);
        memcpy(map, original->map, size);
        for (uint64_t i = 0, n = 1 + unit_random(state) % 3; i < n; i++)
                change(map, size, state);
        struct fmt_squashfs *image = calloc(1, sizeof *image);
        const char *why = NULL;
        REQUIRE(image != NULL);
        int error =
                fmt_index_check(map, size, original->index.header->image_size, &image->index, &why);
        CHECK((error == 0) == (why == NULL));
        image->path = strdup(original->path);
        image->fd = dup(original->fd);
        if (error == 0) {
                REQUIRE(fmt_squashfs_start_data(image, 1) == 0);
                image->complaints = UINT32_MAX / 2;
                ask_everything(image);
                ++*accepted;
        }
        fmt_squashfs_free(image);
}

int main(void)
{
        uint64_t state = unit_seed();
        char tree[100], path[100];
        struct fmt_squashfs *image;
        unsigned accepted = 0;
        REQUIRE(mkdtemp(scratch) != NULL);
        snprintf(tree, sizeof tree, "%s/tree", scratch);
        snprintf(path, sizeof path, "%s/image", scratch);
        REQUIRE(mkdir(tree, 0755) == 0);
        tree_make(tree, 40, 4096, &state);
        tree_pack(tree, path, 4096, &state);
        REQUIRE(fmt_squashfs_open(path, NULL, &image) == 0);
        for (unsigned i = 0; i < ROUNDS; i++)
                try_changed(image, &state, &accepted);
        printf("%u of %u changed indexes were accepted\n", accepted, ROUNDS);
        CHECK(accepted > 0 && accepted < ROUNDS);
        fmt_squashfs_free(image);
        tree_remove(scratch);
        return unit_report();
}
