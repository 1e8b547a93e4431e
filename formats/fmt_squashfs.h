/* SPDX-License-Identifier: Apache-2.0 */
/* A squashfs image, read without trusting it.
 *
 * fmt_squashfs_open runs the confined indexer (xaas-indexer: the only process that parses
 * squashfs metadata, with libsquashfuse), which writes a flat index into a memfd that is then
 * sealed; the index is checked once (fmt_index_check) and from then on all look-ups are array
 * accesses. An index can be kept: whoever does so is asked for it first. File data is decompressed
 * here, by zstd, zlib, xz, lz4 and lzo themselves, into buffers whose size we set, through a cache
 * of decompressed blocks shared by all threads. Everything below is thread-safe after open. */
#ifndef FMT_SQUASHFS_H
#define FMT_SQUASHFS_H

#include "fmt_block_cache.h"
#include "fmt_budget.h"
#include "fmt_image_identity.h"
#include "fmt_source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

struct fmt_squashfs;

/* Whoever keeps checked indexes from one opening of an image to the next. */
struct fmt_index_keeper {
        /* Maps the index that was kept for IMAGE, read-only, the very bytes that fmt_squashfs_open
         * made and checked then; munmap undoes it. Anything but 0: there is none. */
        int (*find)(void *context, const struct fmt_image_identity *image, void **ret_map,
                size_t *ret_size);
        void *context;
};

struct fmt_squashfs_options {
        uint64_t offset; /* of the squashfs superblock in the file, bytes; SIF partitions are found
                            by themselves */
        uint64_t cache_size; /* decompressed blocks kept, bytes; 0: 256 MiB. As large as you like:
                                what the image cannot use is not taken */
        const char *libexec; /* folder of xaas-indexer; NULL: built in, or $XAASFS_LIBEXEC */
        const struct fmt_index_keeper *keeper; /* asked before the indexer is run; may be NULL */
};

/* Inodes are numbered 1 … count; the root is FMT_ROOT. Hard links share an inode. */
typedef uint32_t fmt_inode;
#define FMT_ROOT ((fmt_inode)1)

/* PATH is opened once and kept. Prints what is wrong through fmt_error. Call while
 * single-threaded (it forks). */
int fmt_squashfs_open(
        const char *path, const struct fmt_squashfs_options *options, struct fmt_squashfs **ret);
void fmt_squashfs_free(struct fmt_squashfs *image);

/* The index as it lies in memory, for a keeper. */
struct fmt_index_origin {
        const void *data;
        size_t size;
        struct fmt_image_identity image;
        bool is_kept;     /* a keeper has found it */
        bool may_be_kept; /* it was made, and image tells when it must be made anew */
};
void fmt_squashfs_index_origin(const struct fmt_squashfs *image, struct fmt_index_origin *ret);

uint32_t fmt_squashfs_count(const struct fmt_squashfs *image);
int fmt_squashfs_stat(const struct fmt_squashfs *image, fmt_inode inode, struct stat *ret);
/* -ENOENT, -ENOTDIR. NAME need not be terminated. */
int fmt_squashfs_lookup(const struct fmt_squashfs *image, fmt_inode directory, const char *name,
        size_t name_size, fmt_inode *ret);
/* The INDEXth entry (0 …, stable, "." and ".." not included): -ENOENT at the end.
 * *ret_name points into the index; a NUL follows. */
int fmt_squashfs_entry(const struct fmt_squashfs *image, fmt_inode directory, uint32_t index,
        const char **ret_name, size_t *ret_name_size, fmt_inode *ret_inode);
/* The root's is the root. */
int fmt_squashfs_parent(const struct fmt_squashfs *image, fmt_inode directory, fmt_inode *ret);
/* Points into the index; a NUL follows. */
int fmt_squashfs_readlink(
        const struct fmt_squashfs *image, fmt_inode inode, const char **ret, size_t *ret_size);
/* Bytes read (0 at the end of the file), or a negative errno. */
ssize_t fmt_squashfs_read(
        struct fmt_squashfs *image, fmt_inode inode, void *buffer, size_t size, uint64_t offset);

/* Bytes of a file in place: cached blocks that stay where they are until fmt_view_done. Enough
 * pieces for 1 MiB of 4 KiB blocks, and nothing asks for more at once. */
#define FMT_VIEW_MAX ((size_t)1 << 20)
#define FMT_VIEW_PIECES 258
struct fmt_view {
        size_t size;               /* bytes in all pieces */
        struct fmt_budget *budget; /* which it took COST bytes from; NULL: from none */
        uint64_t cost;
        size_t n_pieces;
        struct iovec pieces[FMT_VIEW_PIECES];
        struct fmt_cached_block *pins[FMT_VIEW_PIECES];
        void *owned[FMT_VIEW_PIECES];
};
/* As fmt_squashfs_read, but at most FMT_VIEW_MAX bytes and without copying them. The pieces are
 * read-only. *ret needs no initialisation, and no fmt_view_done after an error. Waits while many
 * others have views, so have one at a time. */
int fmt_squashfs_view(struct fmt_squashfs *image, fmt_inode inode, size_t size, uint64_t offset,
        struct fmt_view *ret);
void fmt_view_done(struct fmt_view *view);

/* Where data or a hole (WHENCE: SEEK_DATA, SEEK_HOLE) begins at or after OFFSET, by blocks, as
 * lseek: -ENXIO at or beyond the end. */
int fmt_squashfs_seek(const struct fmt_squashfs *image, fmt_inode inode, uint64_t offset,
        int whence, uint64_t *ret);

struct fmt_squashfs_facts {
        uint32_t inodes;
        uint32_t xattr_sets;    /* 0: no inode has extended attributes */
        uint32_t block_size;    /* bytes */
        uint64_t image_size;    /* bytes that the squashfs takes */
        const char *compressor; /* "zstd", … */
};
void fmt_squashfs_facts(const struct fmt_squashfs *image, struct fmt_squashfs_facts *ret);

struct fmt_squashfs_counts {
        struct fmt_block_counts blocks;
        uint64_t made_again; /* blocks decompressed that had been before: evicted meanwhile */
        uint64_t bytes_read; /* of the image's data, compressed or not */
};
void fmt_squashfs_counts(struct fmt_squashfs *image, struct fmt_squashfs_counts *ret);

/* Names of extended attributes, each NUL-terminated; and one value. As listxattr and getxattr: SIZE
 * 0 asks for the size, -ERANGE if it does not fit, -ENODATA. */
ssize_t fmt_squashfs_listxattr(
        const struct fmt_squashfs *image, fmt_inode inode, char *buffer, size_t size);
ssize_t fmt_squashfs_getxattr(const struct fmt_squashfs *image, fmt_inode inode, const char *name,
        void *buffer, size_t size);

/* Follows symbolic links below the root (an absolute target starts there; at most 40), never leaves
 * it. PATH relative to the root, leading slashes ignored. */
int fmt_squashfs_resolve(const struct fmt_squashfs *image, const char *path, fmt_inode *ret);

/* As chroot(2): from here on DIRECTORY is where paths start and where ".." ends, instead of
 * FMT_ROOT. Not thread-safe: call before others use IMAGE. -ENOENT, -ENOTDIR. */
int fmt_squashfs_change_root(struct fmt_squashfs *image, fmt_inode directory);
fmt_inode fmt_squashfs_root(const struct fmt_squashfs *image);

/* A regular file of the image as a source; *context* storage is the caller's. */
struct fmt_source_inode {
        struct fmt_squashfs *image;
        fmt_inode inode;
};
int fmt_source_of_inode(struct fmt_source_inode *file, struct fmt_source *ret);

#endif
