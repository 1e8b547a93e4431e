/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "pack_scan.h"

#include <archive.h>
#include <archive_entry.h>
#include <search.h>
#include <string.h>
#include <sys/stat.h>

static void free_archive(struct archive **archive)
{
        archive_read_free(*archive);
}

static int by_inode(const void *a, const void *b)
{
        struct archive_entry *first = ((const struct pack_file *)a)->meta;
        struct archive_entry *second = ((const struct pack_file *)b)->meta;

        if (archive_entry_dev(first) != archive_entry_dev(second))
                return archive_entry_dev(first) < archive_entry_dev(second) ? -1 : 1;
        if (archive_entry_ino64(first) != archive_entry_ino64(second))
                return archive_entry_ino64(first) < archive_entry_ino64(second) ? -1 : 1;
        return 0;
}

/* The file that META describes: one that is known by another name, or a new one. */
static int file_of(struct pack_scan *scan, struct archive_entry *meta, const char *path,
        struct pack_file **ret)
{
        bool linked = archive_entry_nlink(meta) > 1 && archive_entry_filetype(meta) != AE_IFDIR;
        const struct pack_file wanted = {.meta = meta};

        if (linked) {
                struct pack_file **found = tfind(&wanted, &scan->by_inode, by_inode);
                if (found) {
                        archive_entry_free(meta);
                        *ret = *found;
                        return 0;
                }
        }
        int r = pack_scan_file(scan, meta, ret);
        if (r < 0)
                return r;
        (*ret)->source = strdup(path);
        if (!(*ret)->source)
                return -ENOMEM;
        return !linked || tsearch(*ret, &scan->by_inode, by_inode) ? 0 : -ENOMEM;
}

/* libarchive's path starts with the one that the walk was started with. */
static int add(struct pack_scan *scan, const char *top, struct archive_entry *read)
{
        _cleanup_free_ char *path = NULL;
        struct pack_file *file;

        int r = pack_path_normalise(archive_entry_pathname(read) + strlen(top), &path);
        if (r < 0)
                return r;
        if (archive_entry_filetype(read) == AE_IFSOCK) {
                scan->tree->n_sockets++;
                return 0;
        }
        struct archive_entry *meta = archive_entry_clone(read);
        if (!meta)
                return -ENOMEM;
        if (*path == '\0')
                return pack_scan_file(scan, meta, &scan->tree->root);
        r = file_of(scan, meta, path, &file);
        return r < 0 ? r : pack_scan_name(scan, path, file);
}

static int walk(struct pack_scan *scan, struct archive *disk, const char *top)
{
        struct archive_entry *entry = archive_entry_new2(disk);
        int r = entry ? 0 : -ENOMEM;

        while (r == 0) {
                int status = archive_read_next_header2(disk, entry);
                if (status == ARCHIVE_EOF)
                        break;
                /* Nothing of a root file system may be missing silently. */
                if (status != ARCHIVE_OK) {
                        fmt_error(
                                "cannot read all of %s: %s; pack as a user who may read everything",
                                top, archive_error_string(disk));
                        r = -EIO;
                        break;
                }
                archive_read_disk_descend(disk);
                r = add(scan, top, entry);
                if (r < 0)
                        fmt_error(
                                "cannot pack %s: %s", archive_entry_pathname(entry), strerror(-r));
        }
        archive_entry_free(entry);
        return r;
}

int pack_scan_folder(struct pack_scan *scan, const char *path)
{
        _cleanup_(free_archive) struct archive *disk = archive_read_disk_new();
        _cleanup_free_ char *inside = NULL;

        /* PATH itself may be a symbolic link; those in it are not followed. */
        if (!disk || asprintf(&inside, "%s/.", path) < 0)
                return -ENOMEM;
        archive_read_disk_set_symlink_physical(disk);
        /* squashfs has no room for POSIX ACLs and file flags; holes are found when data is read. */
        archive_read_disk_set_behavior(disk,
                ARCHIVE_READDISK_NO_ACL | ARCHIVE_READDISK_NO_FFLAGS | ARCHIVE_READDISK_NO_SPARSE);
        if (archive_read_disk_open(disk, inside) != ARCHIVE_OK) {
                fmt_error("cannot read the folder %s: %s", path, archive_error_string(disk));
                return -EIO;
        }
        return walk(scan, disk, inside);
}
