/* SPDX-License-Identifier: Apache-2.0 */
/* The flat index: all metadata of a squashfs image as arrays.
 *
 * Written by the confined xaas-indexer, the only process that parses squashfs metadata; checked
 * here in one pass by whoever maps it; from then on every look-up is an array access.
 *
 *     index      := header inode[n_inodes] entry[n_entries] block[n_blocks]
 *                   fragment[n_fragments] xattr_set[n_xattr_sets] xattr[n_xattrs] text[text_size]
 *
 * The parts follow each other without gaps; all but text have sizes that are multiples of 8.
 * Integers have the machine's own byte order and alignment, since an index never leaves it.
 *
 *   inode      the one numbered N is inode[N - 1]; number 1 is the root. Kinds by mode:
 *                directory   first, count: its entries; parent: number of the directory it is in
 *                regular     first, count: its blocks; then, if size is no multiple of the block
 *                            size and fragment is not FMT_INDEX_NONE, the tail lies in that
 *                            fragment from byte fragment_offset of the decompressed data on
 *                symlink     first: target in text; size: its length, 1 to 4095 bytes
 *                device      rdev; others have nothing more
 *              Children have greater numbers than the directory they are in (so there is no
 *              cycle), and a directory is in exactly one other.
 *   entry      entries of one directory are sorted by name (bytes, ascending, no two equal);
 *              names have 1 to 255 bytes, none of them '/' or NUL, and are not "." or ".."
 *   block      where the block is in the image, counted from the superblock, and how many bytes
 *              are stored: 0 is a hole. Decompressed it has the image's block size, or what
 *              remains of the file
 *   xattr_set  what one or more inodes have in common: first, count
 *   xattr      full name ("user.mime") of 1 to 255 bytes and a value of at most 64 KiB
 *   text       names, targets and values; each is followed by a NUL that does not count
 *
 * Limits: 2^32 - 2 inodes, entries, blocks; 4 GiB of text; block size 4 KiB to 1 MiB. */
#ifndef FMT_INDEX_H
#define FMT_INDEX_H

#include <stddef.h>
#include <stdint.h>

#define FMT_INDEX_MAGIC "XAASIDX1"
#define FMT_INDEX_NONE UINT32_MAX
#define FMT_INDEX_NAME_MAX 255
#define FMT_INDEX_TARGET_MAX 4095
#define FMT_INDEX_VALUE_MAX 65536

struct fmt_index_header {
        char magic[8];
        uint64_t total_size; /* of the index, bytes */
        uint64_t image_size; /* bytes that the superblock claims */
        uint64_t text_size;
        uint32_t block_size;
        uint32_t compressor; /* enum fmt_compressor */
        uint32_t n_inodes;
        uint32_t n_entries;
        uint32_t n_blocks;
        uint32_t n_fragments;
        uint32_t n_xattr_sets;
        uint32_t n_xattrs;
};

struct fmt_index_inode {
        uint64_t size;      /* as stat shows it, at most 2^63 - 1 */
        uint64_t allocated; /* regular: bytes that are not in holes; at most size */
        uint32_t number;    /* st_ino: the number inside the image */
        uint32_t mode;      /* type and permissions */
        uint32_t uid;
        uint32_t gid;
        uint32_t mtime; /* seconds since 1970, unsigned */
        uint32_t nlink;
        uint32_t rdev; /* (major << 20) | minor */
        uint32_t parent;
        uint32_t first;
        uint32_t count;
        uint32_t fragment;
        uint32_t fragment_offset;
        uint32_t xattr_set; /* or FMT_INDEX_NONE */
        uint32_t zero;
};

struct fmt_index_entry {
        uint32_t name; /* offset in text */
        uint32_t name_size;
        uint32_t inode;
        uint32_t zero;
};

struct fmt_index_block {
        uint64_t position;
        uint32_t stored; /* bytes in the image, at most the block size */
        uint32_t raw;    /* 1: stored as it is, 0: compressed */
};

struct fmt_index_xattr_set {
        uint32_t first;
        uint32_t count;
};

struct fmt_index_xattr {
        uint32_t name;
        uint32_t name_size;
        uint32_t value;
        uint32_t value_size;
};

/* A checked index, as pointers into it. */
struct fmt_index {
        const struct fmt_index_header *header;
        const struct fmt_index_inode *inodes;
        const struct fmt_index_entry *entries;
        const struct fmt_index_block *blocks;
        const struct fmt_index_block *fragments;
        const struct fmt_index_xattr_set *xattr_sets;
        const struct fmt_index_xattr *xattrs;
        const char *text;
};

/* Checks all of the above for SIZE bytes at DATA (8-byte aligned, and nobody may be able to
 * change them any more). FILE_SIZE: bytes of the image that are really there. Returns 0, or
 * -EBADMSG and what is wrong in *ret_reason (static). Takes time and no memory in proportion to
 * the index, except one bit per inode. */
int fmt_index_check(const void *data, size_t size, uint64_t file_size, struct fmt_index *ret,
        const char **ret_reason);

/* Checks only that the parts are there, for bytes that were checked before and are known to be the
 * same: whatever the index says about itself is believed. As fmt_index_check otherwise, but takes
 * no time to speak of. */
int fmt_index_place(const void *data, size_t size, uint64_t file_size, struct fmt_index *ret,
        const char **ret_reason);

#endif
