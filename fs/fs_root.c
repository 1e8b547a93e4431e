/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_root.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <string.h>

static int name_of(const struct fmt_squashfs *image, fmt_inode directory, fmt_inode parent,
        const char **ret, size_t *ret_size)
{
        fmt_inode inode;
        for (uint32_t i = 0;; i++) {
                int error = fmt_squashfs_entry(image, parent, i, ret, ret_size, &inode);
                if (error < 0 || inode == directory)
                        return error;
        }
}

/* The one path of DIRECTORY that leads through no symbolic link; empty, or with a slash behind. */
static int path_of(const struct fmt_squashfs *image, fmt_inode directory, char **ret)
{
        _cleanup_free_ char *path = strdup("");
        fmt_inode parent;
        if (path == NULL)
                return -ENOMEM;
        for (; directory != FMT_ROOT; directory = parent) {
                const char *name;
                size_t size;
                char *longer;
                int error = fmt_squashfs_parent(image, directory, &parent);
                if (error == 0)
                        error = name_of(image, directory, parent, &name, &size);
                if (error < 0)
                        return error;
                if (asprintf(&longer, "%.*s/%s", (int)size, name, path) < 0)
                        return -ENOMEM;
                free(path);
                path = longer;
        }
        *ret = steal_pointer(&path);
        return 0;
}

int fs_root_enter(struct fs *fs, const char *image, const char *subdir)
{
        fmt_inode directory;
        if (subdir == NULL)
                return 0;
        int error = fmt_squashfs_resolve(fs->image, subdir, &directory);
        if (error == 0)
                error = path_of(fs->image, directory, &fs->subdir);
        if (error == 0)
                error = fmt_squashfs_change_root(fs->image, directory);
        if (error < 0)
                fmt_error("cannot show %s of %s: %s; -o subdir= takes the path of a folder in the "
                          "image, and `unsquashfs -ls` lists them",
                        subdir, image, strerror(-error));
        return error;
}

const char *fs_root_path(const struct fs *fs, const char *path)
{
        const size_t size = fs->subdir != NULL ? strlen(fs->subdir) : 0;
        return size == 0 || strncmp(path, fs->subdir, size) == 0 ? path + size : NULL;
}
