/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "pack_scan.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define READ_SIZE 65536

static void free_archive(struct archive **archive)
{
        archive_read_free(*archive);
}

/* A tar stream can be read once only, and the image wants its files in another order. */
static int open_spool(int *ret_fd)
{
        const char *folder = getenv("TMPDIR");

        if (!folder || !*folder)
                folder = "/var/tmp";
        int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd < 0) {
                fmt_error("cannot keep the archive's files in %s: %m; set TMPDIR to a folder with "
                          "room for them",
                        folder);
                return -errno;
        }
        *ret_fd = fd;
        return 0;
}

static int add_extent(struct pack_file *file, uint64_t at, uint64_t spool, uint64_t length)
{
        struct pack_extent *last = file->n_extents ? &file->extents[file->n_extents - 1] : NULL;

        if (last && last->at + last->length == at && last->spool + last->length == spool) {
                last->length += length;
                return 0;
        }
        struct pack_extent *grown = reallocarray(file->extents, file->n_extents + 1, sizeof *grown);
        if (!grown)
                return -ENOMEM;
        file->extents = grown;
        grown[file->n_extents++] = (struct pack_extent){.at = at, .spool = spool, .length = length};
        return 0;
}

static int write_spool(int fd, const char *data, size_t size)
{
        while (size > 0) {
                ssize_t put = write(fd, data, size);
                if (put < 0 && errno == EINTR)
                        continue;
                if (put < 0) {
                        fmt_error("cannot keep the archive's files: %m; set TMPDIR to a folder "
                                  "with room for them");
                        return -errno;
                }
                data += put;
                size -= (size_t)put;
        }
        return 0;
}

static int spool_data(struct pack_scan *scan, struct archive *tar, struct pack_file *file)
{
        const void *data;
        size_t size;
        la_int64_t at;
        int status;

        while ((status = archive_read_data_block(tar, &data, &size, &at)) == ARCHIVE_OK) {
                off_t spool = lseek(scan->tree->spool, 0, SEEK_CUR);
                if (at < 0 || (uint64_t)at + size > (uint64_t)archive_entry_size(file->meta))
                        return -EBADMSG;
                if (size == 0)
                        continue;
                int r = write_spool(scan->tree->spool, data, size);
                if (r == 0)
                        r = add_extent(file, (uint64_t)at, (uint64_t)spool, size);
                if (r < 0)
                        return r;
        }
        return status == ARCHIVE_EOF ? 0 : -EBADMSG;
}

static int add_link(struct pack_scan *scan, const char *path, const char *target)
{
        _cleanup_free_ char *clean = NULL;

        int r = pack_path_normalise(target, &clean);
        if (r < 0)
                return r;
        struct pack_file *file = pack_scan_find(scan, clean);
        if (!file) {
                fmt_error("cannot pack %s: it is a hard link to %s, which does not stand before it "
                          "in the archive",
                        path, target);
                return -EBADMSG;
        }
        return pack_scan_name(scan, path, file);
}

static int add(struct pack_scan *scan, struct archive *tar, struct archive_entry *read)
{
        _cleanup_free_ char *path = NULL;
        struct pack_file *file;

        int r = pack_path_normalise(archive_entry_pathname(read), &path);
        if (r < 0)
                return r;
        if (scan->layer > 0 && pack_scan_whiteout(scan, path))
                return 0;
        if (*path && archive_entry_hardlink(read))
                return add_link(scan, path, archive_entry_hardlink(read));
        if (*path == '\0' && archive_entry_filetype(read) != AE_IFDIR)
                return -EBADMSG;
        if (archive_entry_filetype(read) == AE_IFSOCK) {
                scan->tree->n_sockets++;
                return 0;
        }
        struct archive_entry *meta = archive_entry_clone(read);
        if (!meta)
                return -ENOMEM;
        archive_entry_sparse_clear(meta);
        r = pack_scan_file(scan, meta, &file);
        if (r < 0)
                return r;
        if (*path == '\0') {
                scan->tree->root = file;
                return 0;
        }
        if (archive_entry_filetype(meta) == AE_IFREG)
                r = spool_data(scan, tar, file);
        return r < 0 ? r : pack_scan_name(scan, path, file);
}

static int read_entries(struct pack_scan *scan, struct archive *tar, const char *path)
{
        struct archive_entry *entry;
        int status;

        while ((status = archive_read_next_header(tar, &entry)) == ARCHIVE_OK ||
                status == ARCHIVE_WARN) {
                if (!archive_entry_pathname(entry))
                        return -EBADMSG;
                int r = add(scan, tar, entry);
                if (r == -EBADMSG || r == -EINVAL)
                        fmt_error("cannot pack %s: its entry %s is damaged or leaves the root file "
                                  "system",
                                path, archive_entry_pathname(entry));
                if (r < 0)
                        return r;
        }
        if (status == ARCHIVE_EOF)
                return 0;
        fmt_error("cannot read %s: %s; give a folder or a tar archive with the root file system",
                path, archive_error_string(tar));
        return -EBADMSG;
}

struct archive *pack_scan_new_archive(void)
{
        struct archive *tar = archive_read_new();

        if (tar) {
                archive_read_support_filter_all(tar);
                archive_read_support_format_tar(tar);
                archive_read_support_format_gnutar(tar);
        }
        return tar;
}

int pack_scan_archive(struct pack_scan *scan, struct archive *tar, const char *name)
{
        int r = scan->tree->spool < 0 ? open_spool(&scan->tree->spool) : 0;

        return r < 0 ? r : read_entries(scan, tar, name);
}

int pack_scan_tar(struct pack_scan *scan, const char *path)
{
        _cleanup_(free_archive) struct archive *tar = pack_scan_new_archive();
        const char *file = strcmp(path, "-") == 0 ? NULL : path;

        if (!tar)
                return -ENOMEM;
        if (archive_read_open_filename(tar, file, READ_SIZE) != ARCHIVE_OK) {
                fmt_error("cannot read %s: %s; give a folder or a tar archive with the root file "
                          "system",
                        path, archive_error_string(tar));
                return -EINVAL;
        }
        return pack_scan_archive(scan, tar, path);
}
