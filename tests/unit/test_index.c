/* SPDX-License-Identifier: Apache-2.0 */
/* The check of the flat index is what stands between a subverted indexer and the mount: indexes
 * with any bytes changed are refused, or everything that can be asked of them stays inside. */
#include "fmt_cleanup.h"
#include "fmt_squashfs.h"
#include "fmt_squashfs_image.h"
#include "fuzz_mutate.h"
#include "index_use.h"
#include "squashfs_tree.h"
#include "unit_check.h"

#include <string.h>
#include <sys/stat.h>

#define ROUNDS 20000

static char scratch[] = "/tmp/xaasfs-index-XXXXXX";

/* Small steps around what was there find more than random bytes do. */
static void change(char *map, size_t size, uint64_t *state)
{
        /* Half of the changes go where the counts are. */
        const size_t limit = unit_random(state) % 2 ? 64 : size - 3;
        const size_t at = (unit_random(state) % limit) & ~(size_t)3;
        uint32_t value;
        memcpy(&value, map + at, sizeof value);
        value = fuzz_mutate_number(value, state);
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
        const char *why;
        struct fmt_squashfs *image =
                index_open(map, size, original->fd, original->index.header->image_size, 1, &why);
        if (image == NULL)
                return;
        index_use_everything(image);
        fmt_squashfs_free(image);
        ++*accepted;
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
