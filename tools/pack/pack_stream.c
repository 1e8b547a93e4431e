/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_stream.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>
#include <sys/stat.h>

#define COPY_SIZE ((size_t)256 << 10)

struct pack_stream {
        struct archive *tar;
        int fd;
        int error; /* of the first write that failed, negative errno */
        uint32_t time;
        char *buffer; /* COPY_SIZE bytes */
        char *zeros;  /* as many */
};

static la_ssize_t write_out(struct archive *tar, void *context, const void *data, size_t size)
{
        struct pack_stream *stream = context;

        for (;;) {
                ssize_t put = write(stream->fd, data, size);
                if (put >= 0)
                        return put;
                if (errno == EINTR)
                        continue;
                stream->error = -errno;
                archive_set_error(tar, errno, "the image cannot be written");
                return -1;
        }
}

int pack_stream_open(int fd, uint32_t time, struct pack_stream **ret)
{
        struct pack_stream *stream = calloc(1, sizeof *stream);

        if (!stream)
                return -ENOMEM;
        stream->fd = fd;
        stream->time = time;
        stream->buffer = malloc(COPY_SIZE);
        stream->zeros = calloc(1, COPY_SIZE);
        stream->tar = archive_write_new();
        if (!stream->buffer || !stream->zeros || !stream->tar) {
                pack_stream_close(stream, true);
                return -ENOMEM;
        }
        archive_write_set_format_pax(stream->tar);
        archive_write_set_options(stream->tar, "pax:xattrheader=SCHILY");
        archive_write_set_bytes_per_block(stream->tar, 64 << 10);
        archive_write_set_bytes_in_last_block(stream->tar, 512);
        if (archive_write_open(stream->tar, stream, NULL, write_out, NULL) != ARCHIVE_OK) {
                pack_stream_close(stream, true);
                return -EIO;
        }
        *ret = stream;
        return 0;
}

static int failed(struct pack_stream *stream, const char *path)
{
        /* Whoever reads the stream says why it stopped reading. */
        if (stream->error)
                return stream->error;
        fmt_error("cannot pack %s: %s", path, archive_error_string(stream->tar));
        return -EIO;
}

/* ---- metadata ---- */

static void copy_xattrs(struct archive_entry *to, struct archive_entry *from)
{
        const char *name;
        const void *value;
        size_t size;

        archive_entry_xattr_reset(from);
        while (archive_entry_xattr_next(from, &name, &value, &size) == ARCHIVE_OK)
                archive_entry_xattr_add_entry(to, name, value, size);
}

/* Whole seconds from 1970 to 2106, as squashfs has them, and not after the image itself. */
static time_t clamp_time(const struct pack_stream *stream, struct archive_entry *meta)
{
        int64_t time = archive_entry_mtime_is_set(meta) ? archive_entry_mtime(meta) : stream->time;

        if (time < 0)
                return 0;
        return time > stream->time ? stream->time : (time_t)time;
}

static struct archive_entry *describe(
        const struct pack_stream *stream, const struct pack_file *file, const char *path)
{
        struct archive_entry *entry = archive_entry_new();

        if (!entry)
                return NULL;
        archive_entry_copy_pathname(entry, path);
        archive_entry_set_mode(entry, archive_entry_mode(file->meta));
        archive_entry_set_uid(entry, archive_entry_uid(file->meta));
        archive_entry_set_gid(entry, archive_entry_gid(file->meta));
        archive_entry_set_mtime(entry, clamp_time(stream, file->meta), 0);
        switch (archive_entry_filetype(file->meta)) {
        case AE_IFREG:
                archive_entry_set_size(entry, archive_entry_size(file->meta));
                break;
        case AE_IFLNK:
                archive_entry_copy_symlink(entry, archive_entry_symlink(file->meta));
                break;
        case AE_IFCHR:
        case AE_IFBLK:
                archive_entry_set_rdevmajor(entry, archive_entry_rdevmajor(file->meta));
                archive_entry_set_rdevminor(entry, archive_entry_rdevminor(file->meta));
                break;
        default:
                break;
        }
        copy_xattrs(entry, file->meta);
        return entry;
}

/* ---- data ---- */

static int put(struct pack_stream *stream, const void *data, size_t size)
{
        la_ssize_t written = archive_write_data(stream->tar, data, size);

        return written == (la_ssize_t)size ? 0 : -EIO;
}

static int put_zeros(struct pack_stream *stream, uint64_t size)
{
        int r = 0;

        while (r == 0 && size > 0) {
                size_t now = size < COPY_SIZE ? (size_t)size : COPY_SIZE;
                r = put(stream, stream->zeros, now);
                size -= now;
        }
        return r;
}

static int put_range(struct pack_stream *stream, int fd, off_t from, off_t to)
{
        while (from < to) {
                size_t want = to - from < (off_t)COPY_SIZE ? (size_t)(to - from) : COPY_SIZE;
                ssize_t got = pread(fd, stream->buffer, want, from);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return got < 0 ? -errno : -ESTALE;
                int r = put(stream, stream->buffer, (size_t)got);
                if (r < 0)
                        return r;
                from += got;
        }
        return 0;
}

/* Holes are not read; they go into the stream as zeros, of which mksquashfs makes holes again. */
static int put_file(struct pack_stream *stream, int fd, off_t size)
{
        off_t at = 0;

        while (at < size) {
                off_t data = lseek(fd, at, SEEK_DATA);
                if (data < 0)
                        data = errno == ENXIO ? size : at;
                if (data > size)
                        data = size;
                int r = put_zeros(stream, (uint64_t)(data - at));
                if (r < 0 || data == size)
                        return r;
                off_t hole = lseek(fd, data, SEEK_HOLE);
                if (hole < 0 || hole > size)
                        hole = size;
                r = put_range(stream, fd, data, hole);
                if (r < 0)
                        return r;
                at = hole;
        }
        return 0;
}

/* The same of a file that lies in the spool, whose extents say where the holes are. */
static int put_spooled(
        struct pack_stream *stream, const struct pack_tree *tree, const struct pack_file *file)
{
        uint64_t size = (uint64_t)archive_entry_size(file->meta);
        uint64_t at = 0;
        int r = 0;

        for (size_t i = 0; r == 0 && i < file->n_extents; i++) {
                const struct pack_extent *extent = &file->extents[i];
                if (extent->at < at)
                        return -EBADMSG;
                r = put_zeros(stream, extent->at - at);
                if (r == 0)
                        r = put_range(stream, tree->spool, (off_t)extent->spool,
                                (off_t)(extent->spool + extent->length));
                at = extent->at + extent->length;
        }
        return r < 0 ? r : put_zeros(stream, size - at);
}

/* What became of the data R says; a write error has been told already. */
static int tell(const struct pack_stream *stream, const char *path, int r)
{
        if (r == -ESTALE)
                fmt_error("cannot pack %s: it changed while it was being packed; try again when "
                          "nobody writes to it",
                        path);
        else if (r < 0 && !stream->error)
                fmt_error("cannot pack %s: %s", path, strerror(-r));
        return stream->error ? stream->error : r;
}

/* ---- entries ---- */

static int put_header(struct pack_stream *stream, struct archive_entry *entry, const char *path)
{
        int status = archive_write_header(stream->tar, entry);

        /* A warning is about names that are no UTF-8: they travel as they are. */
        return status == ARCHIVE_OK || status == ARCHIVE_WARN ? 0 : failed(stream, path);
}

static void free_entry(struct archive_entry **entry)
{
        archive_entry_free(*entry);
}

static int add_data(struct pack_stream *stream, const struct pack_tree *tree,
        const struct pack_name *name, struct archive_entry *entry, int content)
{
        if (content < 0 && !name->file->source) {
                int r = put_header(stream, entry, name->path);
                return r < 0 ? r : tell(stream, name->path, put_spooled(stream, tree, name->file));
        }
        _cleanup_close_ int opened = -1;
        struct stat st;

        if (content < 0) {
                int r = pack_file_open(tree, name->file, &opened);
                if (r < 0) {
                        fmt_error("cannot read %s: %s", name->path,
                                r == -ESTALE ? "it changed while it was being packed"
                                             : strerror(-r));
                        return r;
                }
                content = opened;
        }
        if (fstat(content, &st) < 0)
                return -errno;
        archive_entry_set_size(entry, st.st_size);
        int r = put_header(stream, entry, name->path);
        return r < 0 ? r : tell(stream, name->path, put_file(stream, content, st.st_size));
}

int pack_stream_add(
        struct pack_stream *stream, const struct pack_tree *tree, size_t index, int content)
{
        const struct pack_name *name = tree->names[index];
        _cleanup_(free_entry) struct archive_entry *entry =
                describe(stream, name->file, name->path);

        if (!entry)
                return -ENOMEM;
        if (!pack_tree_is_first(tree, index)) {
                archive_entry_copy_hardlink(entry, tree->names[name->file->first]->path);
                archive_entry_unset_size(entry);
                archive_entry_xattr_clear(entry);
                return put_header(stream, entry, name->path);
        }
        if (archive_entry_filetype(name->file->meta) != AE_IFREG)
                return put_header(stream, entry, name->path);
        return add_data(stream, tree, name, entry, content);
}

int pack_stream_add_own(struct pack_stream *stream, const char *path, unsigned mode, int content)
{
        _cleanup_(free_entry) struct archive_entry *entry = archive_entry_new();
        struct stat st = {0};

        if (!entry)
                return -ENOMEM;
        if (content >= 0 && fstat(content, &st) < 0)
                return -errno;
        archive_entry_copy_pathname(entry, path);
        archive_entry_set_filetype(entry, content < 0 ? AE_IFDIR : AE_IFREG);
        archive_entry_set_perm(entry, (mode_t)mode);
        archive_entry_set_mtime(entry, (time_t)stream->time, 0);
        archive_entry_set_size(entry, st.st_size);
        int r = put_header(stream, entry, path);
        if (r < 0 || content < 0)
                return r;
        return tell(stream, path, put_file(stream, content, st.st_size));
}

int pack_stream_close(struct pack_stream *stream, bool is_failed)
{
        int r = 0;

        if (is_failed && stream->tar)
                archive_write_fail(stream->tar);
        else if (stream->tar && archive_write_close(stream->tar) != ARCHIVE_OK)
                r = failed(stream, "the end of the archive");
        archive_write_free(stream->tar);
        free(stream->buffer);
        free(stream->zeros);
        free(stream);
        return r;
}
