/* SPDX-License-Identifier: Apache-2.0 */
#include "index_use.h"

#include "fmt_cleanup.h"
#include "fmt_squashfs_image.h"
#include "fuzz.h"

#include <limits.h>
#include <string.h>

/* Large files are read at both ends, and only the first ones: the input decides how many there
 * are, and the blocks of all of them are read by the same code. */
#define MOST_FILES_READ 8
#define MOST_LINKS_FOLLOWED 16
#define MOST_XATTRS_READ 32
#define MOST_SEEKS 64

struct fmt_squashfs *index_open(const void *index, size_t index_size, int fd, uint64_t file_size,
        uint64_t cache_size, const char **ret_reason)
{
        struct fmt_squashfs *image = calloc(1, sizeof *image);

        MUST(image);
        image->path = strdup("image");
        image->fd = dup(fd);
        image->root = FMT_ROOT;
        MUST(image->path && image->fd >= 0);
        /* Nobody wants to read the messages. */
        image->complaints = UINT32_MAX / 2;
        *ret_reason = NULL;
        int r = fmt_index_check(index, index_size, file_size, &image->index, ret_reason);
        MUST(r == 0 || r == -EBADMSG);
        MUST((r == 0) == (*ret_reason == NULL));
        if (r < 0) {
                fmt_squashfs_free(image);
                return NULL;
        }
        MUST(fmt_squashfs_start_data(image, cache_size) == 0);
        return image;
}

/* ---- directories ---- */

static void look_up(
        const struct fmt_squashfs *image, fmt_inode directory, const char *name, size_t size)
{
        fmt_inode child;

        int r = fmt_squashfs_lookup(image, directory, name, size, &child);
        MUST(r == -ENOENT || (r == 0 && child >= 1 && child <= fmt_squashfs_count(image)));
}

/* NAME is one that the directory has; its neighbours may be there or not. */
static void look_around(
        const struct fmt_squashfs *image, fmt_inode directory, const char *name, size_t size)
{
        char other[FMT_INDEX_NAME_MAX + 2];

        memcpy(other, name, size);
        look_up(image, directory, other, size - 1);
        other[size] = 'x';
        look_up(image, directory, other, size + 1);
        other[size / 2]++;
        look_up(image, directory, other, size);
}

static void use_directory(const struct fmt_squashfs *image, fmt_inode directory)
{
        const uint32_t n = fmt_squashfs_count(image);
        const char *name;
        size_t size;
        fmt_inode child;
        fmt_inode same;
        fmt_inode parent;
        uint32_t i;

        for (i = 0; fmt_squashfs_entry(image, directory, i, &name, &size, &child) == 0; i++) {
                MUST(size >= 1 && size <= FMT_INDEX_NAME_MAX && strlen(name) == size);
                MUST(!memchr(name, '/', size) && strcmp(name, ".") && strcmp(name, ".."));
                MUST(child >= 1 && child <= n);
                MUST(fmt_squashfs_lookup(image, directory, name, size, &same) == 0);
                MUST(same == child);
                look_around(image, directory, name, size);
                if (fmt_squashfs_parent(image, child, &parent) == 0)
                        MUST(parent == directory && child > directory);
        }
        MUST(fmt_squashfs_entry(image, directory, UINT32_MAX, &name, &size, &child) == -ENOENT);
        look_up(image, directory, "", 0);
        MUST(fmt_squashfs_parent(image, directory, &parent) == 0);
        MUST(parent >= 1 && (directory == FMT_ROOT ? parent == FMT_ROOT : parent < directory));
}

/* ---- links and paths ---- */

static void resolve(const struct fmt_squashfs *image, const char *path)
{
        fmt_inode inode;

        int r = fmt_squashfs_resolve(image, path, &inode);
        MUST(r == -ENOENT || r == -ENOTDIR || r == -ELOOP ||
                (r == 0 && inode >= 1 && inode <= fmt_squashfs_count(image)));
}

static void use_link(const struct fmt_squashfs *image, fmt_inode inode)
{
        _cleanup_free_ char *longer = NULL;
        const char *target;
        size_t size;

        MUST(fmt_squashfs_readlink(image, inode, &target, &size) == 0);
        MUST(size >= 1 && size <= FMT_INDEX_TARGET_MAX && strlen(target) == size);
        resolve(image, target);
        MUST(asprintf(&longer, "%s/../%s", target, target) > 0);
        resolve(image, longer);
}

/* ---- extended attributes ---- */

static void use_xattrs(const struct fmt_squashfs *image, fmt_inode inode)
{
        static char names[FMT_INDEX_VALUE_MAX];
        static char value[FMT_INDEX_VALUE_MAX];

        ssize_t size = fmt_squashfs_listxattr(image, inode, NULL, 0);
        MUST(size >= 0);
        ssize_t listed = fmt_squashfs_listxattr(image, inode, names, sizeof names);
        MUST((size_t)size > sizeof names ? listed == -ERANGE : listed == size);
        const char *name = names;
        for (int i = 0; i < MOST_XATTRS_READ && name < names + listed; i++) {
                MUST(name[0] != '\0');
                ssize_t wanted = fmt_squashfs_getxattr(image, inode, name, NULL, 0);
                MUST(wanted >= 0 && (size_t)wanted <= sizeof value);
                MUST(fmt_squashfs_getxattr(image, inode, name, value, sizeof value) == wanted);
                name += strlen(name) + 1;
        }
        MUST(fmt_squashfs_getxattr(image, inode, "", value, sizeof value) == -ENODATA);
}

/* ---- files ---- */

ssize_t index_read(
        struct fmt_squashfs *image, fmt_inode inode, void *buffer, size_t size, uint64_t offset)
{
        struct fmt_view view;
        struct stat st;

        MUST(fmt_squashfs_stat(image, inode, &st) == 0 && st.st_size >= 0);
        uint64_t wanted = offset < (uint64_t)st.st_size ? (uint64_t)st.st_size - offset : 0;
        wanted = wanted < size ? wanted : size;
        ssize_t n = fmt_squashfs_read(image, inode, buffer, size, offset);
        MUST(n == -EIO || n == (ssize_t)wanted);
        int r = fmt_squashfs_view(image, inode, size, offset, &view);
        MUST(r == (n < 0 ? -EIO : 0));
        if (r < 0)
                return n;
        MUST(view.size == wanted);
        const char *at = buffer;
        for (size_t i = 0; i < view.n_pieces; at += view.pieces[i].iov_len, i++)
                MUST(memcmp(view.pieces[i].iov_base, at, view.pieces[i].iov_len) == 0);
        MUST(at == (char *)buffer + wanted);
        fmt_view_done(&view);
        return n;
}

/* Holes and data take turns. */
static void use_seek(const struct fmt_squashfs *image, fmt_inode inode, uint64_t size)
{
        uint64_t at = 0;
        uint64_t next;

        for (int i = 0; i < MOST_SEEKS; i++) {
                const int whence = i % 2 ? SEEK_HOLE : SEEK_DATA;
                int r = fmt_squashfs_seek(image, inode, at, whence, &next);
                MUST(r == 0 || r == -ENXIO);
                if (r < 0)
                        break;
                MUST(next >= at && next <= size);
                MUST(whence == SEEK_DATA || next > at || next == size);
                at = next;
        }
        MUST(fmt_squashfs_seek(image, inode, size, SEEK_HOLE, &next) == -ENXIO);
        MUST(fmt_squashfs_seek(image, inode, UINT64_MAX, SEEK_DATA, &next) == -ENXIO);
}

static bool use_file(struct fmt_squashfs *image, fmt_inode inode, uint64_t size)
{
        static char buffer[1 << 18];
        struct fmt_source_inode file = {image, inode};
        struct fmt_source source;
        bool fine = true;

        use_seek(image, inode, size);
        fine = index_read(image, inode, buffer, sizeof buffer, 0) >= 0 && fine;
        fine = index_read(image, inode, buffer, sizeof buffer, size / 2) >= 0 && fine;
        fine = index_read(image, inode, buffer, 100, size > 50 ? size - 50 : 0) >= 0 && fine;
        MUST(index_read(image, inode, buffer, 100, size) == 0);
        MUST(index_read(image, inode, buffer, 100, UINT64_MAX) == 0);
        MUST(fmt_source_of_inode(&file, &source) == 0 && source.size == size);
        int r = source.read(source.context, buffer, 10, size > 10 ? size - 10 : 0);
        MUST(r == 0 || r == -EIO);
        return fine;
}

bool index_use_everything(struct fmt_squashfs *image)
{
        const uint32_t n = fmt_squashfs_count(image);
        struct fmt_squashfs_facts facts;
        struct stat st;
        unsigned files = 0;
        unsigned links = 0;
        bool fine = true;

        fmt_squashfs_facts(image, &facts);
        MUST(facts.inodes == n && facts.compressor);
        MUST(fmt_squashfs_stat(image, 0, &st) == -ENOENT);
        MUST(fmt_squashfs_stat(image, n + 1, &st) == -ENOENT);
        for (fmt_inode inode = 1; inode <= n; inode++) {
                MUST(fmt_squashfs_stat(image, inode, &st) == 0);
                MUST(st.st_size >= 0 && st.st_blocks >= 0);
                use_xattrs(image, inode);
                if (S_ISDIR(st.st_mode))
                        use_directory(image, inode);
                else if (S_ISLNK(st.st_mode) && links++ < MOST_LINKS_FOLLOWED)
                        use_link(image, inode);
                else if (S_ISREG(st.st_mode) && files++ < MOST_FILES_READ)
                        fine = use_file(image, inode, (uint64_t)st.st_size) && fine;
        }
        return fine;
}
