/* SPDX-License-Identifier: Apache-2.0 */
/* Random trees through mksquashfs and back: every name, attribute and byte. */
#include "fmt_cleanup.h"
#include "fmt_squashfs.h"
#include "squashfs_tree.h"
#include "unit_check.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/xattr.h>

static char scratch[] = "/tmp/xaasfs-squashfs-XXXXXX";

static void compare_content(
        struct fmt_squashfs *image, fmt_inode inode, const char *path, const struct stat *st)
{
        _cleanup_close_ int fd = open(path, O_RDONLY);
        _cleanup_free_ char *expected = malloc((size_t)st->st_size + 1),
                            *seen = malloc((size_t)st->st_size + 1);
        REQUIRE(fd >= 0 && expected && seen);
        REQUIRE(pread(fd, expected, (size_t)st->st_size, 0) == st->st_size);
        CHECK(fmt_squashfs_read(image, inode, seen, (size_t)st->st_size + 1, 0) == st->st_size);
        CHECK(memcmp(expected, seen, (size_t)st->st_size) == 0);
        CHECK(fmt_squashfs_read(image, inode, seen, 10, (uint64_t)st->st_size) == 0);
        CHECK(fmt_squashfs_read(image, inode, seen, 10, (uint64_t)st->st_size + 999) == 0);
        /* Some range from the middle. */
        const uint64_t from = (uint64_t)st->st_size / 3;
        const size_t size = (size_t)(st->st_size / 2);
        CHECK(fmt_squashfs_read(image, inode, seen, size, from) == (ssize_t)size);
        CHECK(memcmp(expected + from, seen, size) == 0);
        /* What is called a hole must read as zeroes, and holes and data take turns. */
        uint64_t at = 0, hole;
        while (fmt_squashfs_seek(image, inode, at, SEEK_DATA, &at) == 0) {
                REQUIRE(fmt_squashfs_seek(image, inode, at, SEEK_HOLE, &hole) == 0 && hole > at);
                memset(expected + at, 0, hole - at);
                at = hole;
        }
        for (off_t i = 0; i < st->st_size; i++)
                if (expected[i] != 0) {
                        CHECK(!"data in a hole");
                        break;
                }
}

static void compare_xattrs(struct fmt_squashfs *image, fmt_inode inode, const char *path)
{
        char names[1000], list[1000], value[4096], expected[4096];
        ssize_t size = llistxattr(path, names, sizeof names);
        if (size < 0)
                return;
        CHECK(fmt_squashfs_listxattr(image, inode, NULL, 0) == size);
        CHECK(fmt_squashfs_listxattr(image, inode, list, sizeof list) == size);
        if (size > 1)
                CHECK(fmt_squashfs_listxattr(image, inode, list, (size_t)size - 1) == -ERANGE);
        for (char *name = names; name < names + size; name += strlen(name) + 1) {
                ssize_t n = lgetxattr(path, name, expected, sizeof expected);
                CHECK(fmt_squashfs_getxattr(image, inode, name, NULL, 0) == n);
                CHECK(fmt_squashfs_getxattr(image, inode, name, value, sizeof value) == n);
                CHECK(n < 0 || memcmp(value, expected, (size_t)n) == 0);
        }
        CHECK(fmt_squashfs_getxattr(image, inode, "user.none", NULL, 0) == -ENODATA);
}

static void compare_one(struct fmt_squashfs *image, fmt_inode inode, const char *path);

static void compare_directory(struct fmt_squashfs *image, fmt_inode inode, const char *path)
{
        DIR *directory = opendir(path);
        uint32_t listed = 0;
        REQUIRE(directory != NULL);
        for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
                if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
                        continue;
                fmt_inode child, parent;
                _cleanup_free_ char *below = NULL;
                REQUIRE(asprintf(&below, "%s/%s", path, entry->d_name) > 0);
                int error = fmt_squashfs_lookup(
                        image, inode, entry->d_name, strlen(entry->d_name), &child);
                CHECK(error == 0);
                listed++;
                if (error < 0)
                        continue;
                if (fmt_squashfs_parent(image, child, &parent) == 0)
                        CHECK(parent == inode);
                compare_one(image, child, below);
        }
        closedir(directory);
        const char *name;
        size_t size;
        fmt_inode child;
        for (uint32_t i = 0; i < listed; i++)
                CHECK(fmt_squashfs_entry(image, inode, i, &name, &size, &child) == 0 &&
                        name[size] == '\0');
        CHECK(fmt_squashfs_entry(image, inode, listed, &name, &size, &child) == -ENOENT);
        CHECK(fmt_squashfs_lookup(image, inode, "no such name", 12, &child) == -ENOENT);
}

static void compare_one(struct fmt_squashfs *image, fmt_inode inode, const char *path)
{
        struct stat expected, seen;
        REQUIRE(lstat(path, &expected) == 0);
        REQUIRE(fmt_squashfs_stat(image, inode, &seen) == 0);
        CHECK(seen.st_mode == expected.st_mode);
        CHECK(seen.st_uid == expected.st_uid && seen.st_gid == expected.st_gid);
        CHECK(seen.st_mtim.tv_sec == expected.st_mtim.tv_sec);
        CHECK(seen.st_rdev == expected.st_rdev);
        if (!S_ISDIR(seen.st_mode)) {
                CHECK(seen.st_nlink == expected.st_nlink);
                CHECK(seen.st_size == expected.st_size);
        }
        compare_xattrs(image, inode, path);
        if (S_ISDIR(seen.st_mode))
                compare_directory(image, inode, path);
        if (S_ISREG(seen.st_mode))
                compare_content(image, inode, path, &expected);
        if (S_ISLNK(seen.st_mode)) {
                char target[5000];
                const char *text;
                size_t size;
                ssize_t n = readlink(path, target, sizeof target);
                CHECK(fmt_squashfs_readlink(image, inode, &text, &size) == 0);
                CHECK((ssize_t)size == n && memcmp(text, target, size) == 0 && text[size] == '\0');
        }
}

struct reader {
        struct fmt_squashfs *image;
        const char *tree;
};

static void *compare_in_thread(void *context)
{
        struct reader *reader = context;
        compare_one(reader->image, FMT_ROOT, reader->tree);
        return NULL;
}

static void round_trip(const char *tree, const char *path, uint64_t block_size)
{
        /* The smallest cache there can be, so that blocks are thrown out under readers. */
        const struct fmt_squashfs_options options = {.cache_size = 1};
        struct fmt_squashfs *image;
        pthread_t threads[4];
        REQUIRE(fmt_squashfs_open(path, &options, &image) == 0);
        struct reader reader = {image, tree};
        for (size_t i = 0; i < 4; i++)
                REQUIRE(pthread_create(&threads[i], NULL, compare_in_thread, &reader) == 0);
        for (size_t i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        struct fmt_squashfs_counts counts;
        fmt_squashfs_counts(image, &counts);
        CHECK(counts.blocks.bytes <= 16 * 2 * block_size);
        CHECK(counts.made_again <= counts.blocks.evictions);
        fmt_squashfs_free(image);

        /* With room for everything, each block is decompressed once whoever asks. */
        REQUIRE(fmt_squashfs_open(path, NULL, &image) == 0);
        reader.image = image;
        compare_in_thread(&reader);
        struct fmt_squashfs_counts once;
        fmt_squashfs_counts(image, &once);
        for (size_t i = 0; i < 4; i++)
                REQUIRE(pthread_create(&threads[i], NULL, compare_in_thread, &reader) == 0);
        for (size_t i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        fmt_squashfs_counts(image, &counts);
        CHECK(counts.blocks.makes == once.blocks.makes && counts.blocks.evictions == 0);
        CHECK(counts.blocks.bytes_made == once.blocks.bytes_made && counts.made_again == 0);
        fmt_squashfs_free(image);
}

/* Much more than there are blocks, or memory: that is no error, and costs nothing. */
static void open_with_room_for_anything(const char *path)
{
        const struct fmt_squashfs_options options = {.cache_size = UINT64_MAX};
        struct fmt_squashfs *image;
        struct fmt_squashfs_counts counts;
        REQUIRE(fmt_squashfs_open(path, &options, &image) == 0);
        fmt_squashfs_counts(image, &counts);
        CHECK(counts.blocks.limit >= UINT64_C(256) << 20 && counts.blocks.limit < UINT64_C(1)
                                                                                          << 40);
        fmt_squashfs_free(image);
}

/* Whoever starts us may have left any number of descriptors open. */
static void open_with_many_descriptors(const char *path)
{
        int taken[12];
        for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
                struct fmt_squashfs *image;
                REQUIRE(fmt_squashfs_open(path, NULL, &image) == 0);
                fmt_squashfs_free(image);
                taken[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
                REQUIRE(taken[i] >= 0);
        }
        for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
                close(taken[i]);
}

int main(void)
{
        uint64_t state = unit_seed();
        const char *given = getenv("XAASFS_TEST_ROUNDS");
        const unsigned rounds = given ? (unsigned)atoi(given) : 3;
        REQUIRE(mkdtemp(scratch) != NULL);
        for (unsigned round = 0; round < rounds; round++) {
                static const uint64_t block_sizes[] = {4096, 16384, 131072, 1 << 20};
                const uint64_t block_size = block_sizes[unit_random(&state) % 4];
                char tree[100], path[100];
                snprintf(tree, sizeof tree, "%s/tree", scratch);
                snprintf(path, sizeof path, "%s/image", scratch);
                REQUIRE(mkdir(tree, 0755) == 0);
                tree_make(tree, block_size > 100000 ? 60 : 300, block_size, &state);
                tree_pack(tree, path, block_size, &state);
                round_trip(tree, path, block_size);
                if (round == 0) {
                        open_with_many_descriptors(path);
                        open_with_room_for_anything(path);
                }
                if (unit_failures > 0) {
                        fprintf(stderr, "the tree and its image are in %s\n", scratch);
                        break;
                }
                tree_remove(tree);
        }
        if (unit_failures == 0)
                tree_remove(scratch);
        return unit_report();
}
