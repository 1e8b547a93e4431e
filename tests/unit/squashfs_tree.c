/* SPDX-License-Identifier: Apache-2.0 */
#include "squashfs_tree.h"

#include "fmt_cleanup.h"
#include "unit_check.h"

#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

static uint64_t below(uint64_t *state, uint64_t limit)
{
        return unit_random(state) % limit;
}

/* Names of any bytes but '/' and NUL, some of 255 bytes. */
static void random_name(char name[256], unsigned number, uint64_t *state)
{
        size_t size = below(state, 20) == 0 ? 255 : 6 + below(state, 20);
        int used = snprintf(name, 256, "%u", number);
        for (size_t i = (size_t)used; i < size; i++) {
                char c = (char)(below(state, 4) == 0 ? 1 + below(state, 255)
                                                     : 'a' + below(state, 26));
                name[i] = c == '/' ? '_' : c;
        }
        name[size] = '\0';
}

/* Sizes next to the borders that a block list has. */
static uint64_t random_size(uint64_t block_size, uint64_t *state)
{
        switch (below(state, 6)) {
        case 0:
                return below(state, 4);
        case 1:
                return below(state, 4096);
        case 2:
                return block_size * (1 + below(state, 3));
        case 3:
                return block_size * (1 + below(state, 3)) + below(state, 3) - 1;
        default:
                return below(state, 4 * block_size);
        }
}

/* By block: noise (stored raw), text (compressed) or nothing (a hole). */
static void write_content(int fd, uint64_t size, uint64_t block_size, uint64_t *state)
{
        _cleanup_free_ char *block = malloc(block_size);
        REQUIRE(block != NULL);
        for (uint64_t at = 0; at < size; at += block_size) {
                const uint64_t now = size - at < block_size ? size - at : block_size;
                const uint64_t kind = below(state, 3);
                if (kind == 2)
                        continue;
                for (uint64_t i = 0; i < now; i++)
                        block[i] = (char)(kind == 0 ? unit_random(state) >> 11
                                                    : (uint64_t) "the quick brown fox"[i % 19]);
                if (kind == 1 && now > 8)
                        memcpy(block + below(state, now - 8), "varied", 6);
                REQUIRE(pwrite(fd, block, now, (off_t)at) == (ssize_t)now);
        }
        REQUIRE(ftruncate(fd, (off_t)size) == 0);
}

static void random_xattrs(const char *path, uint64_t *state)
{
        static const char *const names[] = {"user.a", "user.long.name", "user.z"};
        char value[3000];
        for (uint64_t i = 0, n = below(state, 4); i < n; i++) {
                size_t size = below(state, 5) == 0 ? sizeof value : below(state, 40);
                memset(value, (int)('a' + below(state, 4)), sizeof value);
                /* Not every file system has them. */
                if (setxattr(path, names[i], value, size, 0) < 0)
                        return;
        }
}

static void make_one(const char *path, const char *previous, uint64_t block_size, uint64_t *state)
{
        char target[400];
        switch (below(state, 10)) {
        case 0:
                memset(target, 'x', sizeof target);
                target[1 + below(state, sizeof target - 1)] = '\0';
                target[sizeof target - 1] = '\0';
                REQUIRE(symlink(target, path) == 0);
                return;
        case 1:
                if (previous[0] != '\0' && link(previous, path) == 0)
                        return;
                break;
        case 2:
                REQUIRE(mkfifo(path, 0640) == 0);
                return;
        case 3:
                if (mknod(path, S_IFCHR | 0600, makedev(below(state, 300), below(state, 9000))) ==
                        0)
                        return;
                break;
        default:
                break;
        }
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
        REQUIRE(fd >= 0);
        write_content(fd, random_size(block_size, state), block_size, state);
        random_xattrs(path, state);
        REQUIRE(fchmod(fd, (mode_t)below(state, 010000)) == 0);
        if (geteuid() == 0)
                REQUIRE(fchown(fd, (uid_t)below(state, 5000), (gid_t)below(state, 5000)) == 0);
        const struct timespec times[2] = {
                {.tv_sec = 1}, {.tv_sec = (time_t)below(state, UINT32_MAX)}};
        REQUIRE(futimens(fd, times) == 0);
}

void tree_make(const char *path, unsigned n, uint64_t block_size, uint64_t *random_state)
{
        _cleanup_free_ char *folder = strdup(path), *previous = strdup("");
        for (unsigned i = 0; i < n; i++) {
                char name[256], *entry;
                random_name(name, i, random_state);
                REQUIRE(asprintf(&entry, "%s/%s", folder, name) > 0);
                if (strlen(entry) > 3000 || below(random_state, 12) == 0) {
                        free(folder);
                        folder = strdup(path);
                        free(entry);
                        continue;
                }
                if (below(random_state, 8) == 0) {
                        REQUIRE(mkdir(entry, 0755) == 0);
                        random_xattrs(entry, random_state);
                        free(folder);
                        folder = entry;
                        continue;
                }
                make_one(entry, previous, block_size, random_state);
                struct stat st;
                REQUIRE(lstat(entry, &st) == 0);
                free(previous);
                previous = S_ISREG(st.st_mode) ? strdup(entry) : strdup("");
                free(entry);
        }
}

void tree_pack(const char *path, const char *image, uint64_t block_size, uint64_t *random_state)
{
        static const char *const compressors[] = {
                "gzip", "xz", "lzo", "lz4", "zstd", "lz4 -Xhc", "gzip -Xcompression-level 1"};
        static const char *const options[] = {"-no-fragments", "-always-use-fragments", "-noI",
                "-noD", "-noF", "-noX", "-no-duplicates", "-no-sparse", "-no-exports", "-noId"};
        char chosen[300] = "";
        _cleanup_free_ char *command = NULL;
        if (system("command -v mksquashfs >/dev/null") != 0) {
                printf("mksquashfs is not installed\n");
                exit(77);
        }
        for (uint64_t i = 0, k = below(random_state, 4); i < k; i++) {
                strcat(chosen, " ");
                strcat(chosen, options[below(random_state, sizeof options / sizeof *options)]);
        }
        /* Looking for duplicates among fragments, squashfs-tools 4.5.1 now and then stores a
         * wrong tail: the kernel's own mount shows it too. */
        if (strstr(chosen, "-no-fragments") == NULL)
                strcat(chosen, " -no-duplicates");
        const char *compressor = compressors[below(random_state, 7)];
        printf("mksquashfs -b %llu -comp %s%s\n", (unsigned long long)block_size, compressor,
                chosen);
        fflush(stdout);
        REQUIRE(asprintf(&command,
                        "mksquashfs '%s' '%s' -noappend -no-progress -quiet -processors 1 -b %llu "
                        "-comp %s%s >/dev/null",
                        path, image, (unsigned long long)block_size, compressor, chosen) > 0);
        REQUIRE(system(command) == 0);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
        (void)st, (void)kind, (void)where;
        return remove(path);
}

void tree_remove(const char *path)
{
        nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
