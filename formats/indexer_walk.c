/* SPDX-License-Identifier: Apache-2.0 */
#include <squashfuse/squashfuse.h>

#include "indexer_walk.h"

#include "fmt_decompress.h"
#include "indexer_parts.h"
#include "indexer_place.h"
#include "indexer_xattr.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* libsquashfuse searches its decompressed blocks (8 KiB each) one by one, many times per inode. Of
 * a root file system's 247, the walk comes back to 28 that 16 do not hold any more; 128 hold nearly
 * all, and searching them costs three times what that saves. */
#define METADATA_BLOCKS 16

/* What "." and ".." count for in the size of a directory, though they are not in its list. */
#define SIZE_OF_EMPTY 3

/* An inode that was listed by a directory and waits to be read itself. */
struct pending {
        sqfs_inode_id place;
        uint32_t number; /* in the index */
        uint32_t parent; /* the directory's number */
};

struct walk {
        sqfs fs;
        struct indexer_parts parts;
        uint32_t *numbers; /* in the index, by number in the image; 0: not seen yet */
        sqfs_id_t *owners; /* the superblock's no_ids */
        struct indexer_xattrs xattrs;
        struct indexer_part pending; /* struct pending, last in first out */
        uint32_t n_inodes;
        enum fmt_indexer_exit end; /* of a failed step */
        const char *sentence;
};

static int fail(struct walk *walk, enum fmt_indexer_exit end, const char *sentence)
{
        walk->end = end;
        walk->sentence = sentence;
        return -1;
}

static int damaged(struct walk *walk, const char *sentence)
{
        return fail(walk, FMT_INDEXER_DAMAGED, sentence);
}

static int problem(struct walk *walk, int error)
{
        return fail(walk, FMT_INDEXER_PROBLEM,
                error == -E2BIG ? "its directories are larger than 4 GiB; make several images of it"
                                : "its directories take more memory than those of an honest image "
                                  "of its size; check it with `unsquashfs -s`");
}

static struct fmt_index_inode *inode_at(struct walk *walk, uint32_t number)
{
        return (struct fmt_index_inode *)walk->parts.inodes.data + (number - 1);
}

static int add_blocks(struct walk *walk, sqfs_inode *inode, struct fmt_index_inode *record)
{
        const uint64_t block_size = walk->fs.sb.block_size;
        sqfs_blocklist list;
        sqfs_blocklist_init(&walk->fs, inode, &list);
        const uint64_t first = walk->parts.blocks.size / sizeof(struct fmt_index_block);
        if (first + list.remain >= UINT32_MAX)
                return damaged(walk, "a file has an impossible size");
        record->first = (uint32_t)first;
        record->count = (uint32_t)list.remain;
        record->allocated = record->size;
        for (uint64_t at = 0; list.remain > 0; at += block_size) {
                if (sqfs_blocklist_next(&list) != SQFS_OK)
                        return damaged(walk, "a file's list of blocks cannot be read");
                bool compressed;
                uint32_t stored;
                sqfs_data_header(list.header, &compressed, &stored);
                const struct fmt_index_block block = {
                        .position = list.block, .stored = stored, .raw = !compressed};
                if (stored == 0) {
                        const uint64_t rest = record->size - at;
                        record->allocated -= rest < block_size ? rest : block_size;
                }
                int error = indexer_part_append(&walk->parts.blocks, &block, sizeof block);
                if (error < 0)
                        return problem(walk, error);
        }
        return 0;
}

static int add_regular(struct walk *walk, sqfs_inode *inode, struct fmt_index_inode *record)
{
        record->size = inode->xtra.reg.file_size;
        record->fragment = inode->xtra.reg.frag_idx;
        record->fragment_offset = inode->xtra.reg.frag_off;
        /* Nothing of a file that ends with a whole block is in a fragment, whatever it says. */
        if (record->size % walk->fs.sb.block_size == 0)
                record->fragment = FMT_INDEX_NONE;
        return add_blocks(walk, inode, record);
}

static int add_symlink(struct walk *walk, sqfs_inode *inode, struct fmt_index_inode *record)
{
        char target[FMT_INDEX_TARGET_MAX + 1];
        size_t size = sizeof target;
        if (inode->xtra.symlink_size == 0 || inode->xtra.symlink_size > FMT_INDEX_TARGET_MAX ||
                sqfs_readlink(&walk->fs, inode, target, &size) != SQFS_OK)
                return damaged(walk, "a symbolic link cannot be read");
        record->size = inode->xtra.symlink_size;
        int error = indexer_text(&walk->parts, target, record->size, &record->first);
        return error < 0 ? problem(walk, error) : 0;
}

static int get_inode(struct walk *walk, sqfs_inode_id place, sqfs_inode *ret)
{
        if (!indexer_place_exists(&walk->fs, walk->fs.sb.inode_table_start, place) ||
                sqfs_inode_get(&walk->fs, ret, place) != SQFS_OK)
                return damaged(walk, "an inode cannot be read");
        return 0;
}

/* An empty directory lists nothing, and need not be anywhere. */
static bool directory_exists(struct walk *walk, const sqfs_inode *inode)
{
        const uint64_t place = (uint64_t)inode->xtra.dir.start_block << 16 | inode->xtra.dir.offset;
        return inode->xtra.dir.dir_size <= SIZE_OF_EMPTY ||
               indexer_place_exists(&walk->fs, walk->fs.sb.directory_table_start, place);
}

static int fill_common(struct walk *walk, sqfs_inode *inode, struct fmt_index_inode *record)
{
        if (inode->base.uid >= walk->fs.sb.no_ids || inode->base.guid >= walk->fs.sb.no_ids)
                return damaged(walk, "an owner is not in the table of owners");
        *record = (struct fmt_index_inode){
                .number = inode->base.inode_number,
                .mode = inode->base.mode,
                .uid = walk->owners[inode->base.uid],
                .gid = walk->owners[inode->base.guid],
                .mtime = inode->base.mtime,
                .nlink = (uint32_t)inode->nlink,
                .fragment = FMT_INDEX_NONE,
                .xattr_set = FMT_INDEX_NONE,
        };
        int error = indexer_xattr_set(
                &walk->xattrs, &walk->fs, inode, &walk->parts, &record->xattr_set);
        if (error == -EBADMSG)
                return damaged(walk, "an extended attribute cannot be read");
        return error < 0 ? problem(walk, error) : 0;
}

/* Gives the inode that a directory lists its number in the index, *ret. One that was listed before
 * (a hard link) has it already; another one's record is empty until add_inode. The kernel tells
 * inodes apart by the numbers they have in the image, too, and they are dense: 1 to the
 * superblock's count. */
static int list_inode(
        struct walk *walk, sqfs_inode_num in_image, const struct pending *listed, uint32_t *ret)
{
        if (in_image == 0 || in_image > walk->fs.sb.inodes)
                return damaged(walk, "an inode has an impossible number");
        uint32_t *number = &walk->numbers[in_image - 1];
        *ret = *number;
        if (*number != 0)
                return 0;
        *ret = *number = ++walk->n_inodes;
        struct pending pending = *listed;
        pending.number = *number;
        int error = indexer_part_append(&walk->parts.inodes, NULL, sizeof(struct fmt_index_inode));
        if (error == 0)
                error = indexer_part_append(&walk->pending, &pending, sizeof pending);
        return error < 0 ? problem(walk, error) : 0;
}

static int compare_entries(const void *a, const void *b, void *text)
{
        const struct fmt_index_entry *x = a, *y = b;
        const uint32_t common = x->name_size < y->name_size ? x->name_size : y->name_size;
        int order = memcmp((char *)text + x->name, (char *)text + y->name, common);
        return order != 0 ? order : (x->name_size > y->name_size) - (x->name_size < y->name_size);
}

/* Last in, first out: turned around, what was pushed from START on comes in the order of the
 * listing. */
static void turn_around(struct indexer_part *pending, size_t start)
{
        struct pending *low = (struct pending *)(pending->data + start);
        struct pending *high = (struct pending *)(pending->data + pending->size);
        while (low < --high) {
                const struct pending kept = *low;
                *low++ = *high;
                *high = kept;
        }
}

static int add_entries(struct walk *walk, sqfs_dir *directory, uint32_t parent, bool *ret_sorted)
{
        sqfs_dir_entry listed;
        sqfs_name name;
        sqfs_err failure = SQFS_OK;
        struct fmt_index_entry entry = {0}, previous = {0};
        sqfs_dentry_init(&listed, name);
        for (*ret_sorted = true; sqfs_dir_next(&walk->fs, directory, &listed, &failure);
                previous = entry) {
                entry.name_size = (uint32_t)sqfs_dentry_name_size(&listed);
                int error = indexer_text(
                        &walk->parts, sqfs_dentry_name(&listed), entry.name_size, &entry.name);
                if (error < 0)
                        return problem(walk, error);
                const struct pending pending = {
                        .place = sqfs_dentry_inode(&listed), .parent = parent};
                if (list_inode(walk, sqfs_dentry_inode_num(&listed), &pending, &entry.inode) < 0)
                        return -1;
                error = indexer_part_append(&walk->parts.entries, &entry, sizeof entry);
                if (error < 0)
                        return problem(walk, error);
                if (compare_entries(&previous, &entry, walk->parts.text.data) >= 0)
                        *ret_sorted = false;
        }
        return failure == SQFS_OK ? 0 : damaged(walk, "a directory cannot be read");
}

static int add_directory(struct walk *walk, sqfs_inode *inode, uint32_t number)
{
        sqfs_dir directory;
        bool sorted;
        const size_t start = walk->parts.entries.size, first_pending = walk->pending.size;
        if (!directory_exists(walk, inode) ||
                sqfs_dir_open(&walk->fs, inode, &directory, 0) != SQFS_OK)
                return damaged(walk, "a directory cannot be read");
        if (add_entries(walk, &directory, number, &sorted) < 0)
                return -1;
        turn_around(&walk->pending, first_pending);
        const size_t count = (walk->parts.entries.size - start) / sizeof(struct fmt_index_entry);
        struct fmt_index_inode *record = inode_at(walk, number);
        record->first = (uint32_t)(start / sizeof(struct fmt_index_entry));
        record->count = (uint32_t)count;
        /* mksquashfs sorts by itself; the check refuses what has a name twice. */
        if (!sorted)
                qsort_r(walk->parts.entries.data + start, count, sizeof(struct fmt_index_entry),
                        compare_entries, walk->parts.text.data);
        return 0;
}

static int add_inode(struct walk *walk, const struct pending *pending)
{
        sqfs_inode inode;
        struct fmt_index_inode record;
        if (get_inode(walk, pending->place, &inode) < 0)
                return -1;
        if (fill_common(walk, &inode, &record) < 0)
                return -1;
        if (S_ISREG(record.mode) && add_regular(walk, &inode, &record) < 0)
                return -1;
        if (S_ISLNK(record.mode) && add_symlink(walk, &inode, &record) < 0)
                return -1;
        if (S_ISCHR(record.mode) || S_ISBLK(record.mode))
                record.rdev = (uint32_t)inode.xtra.dev.major << 20 |
                              ((uint32_t)inode.xtra.dev.minor & 0xfffff);
        if (S_ISDIR(record.mode)) {
                record.size = inode.xtra.dir.dir_size;
                record.parent = pending->parent;
        }
        *inode_at(walk, pending->number) = record;
        return S_ISDIR(record.mode) ? add_directory(walk, &inode, pending->number) : 0;
}

/* A handful, and each inode asks for two. */
static int read_owners(struct walk *walk)
{
        const size_t n = walk->fs.sb.no_ids;
        walk->owners = calloc(n + 1, sizeof *walk->owners);
        if (walk->owners == NULL)
                return problem(walk, -ENOMEM);
        for (size_t i = 0; i < n; i++)
                if (sqfs_id_get(&walk->fs, i, &walk->owners[i]) != SQFS_OK)
                        return damaged(walk, "the table of owners cannot be read");
        return 0;
}

static int add_fragments(struct walk *walk)
{
        for (uint32_t i = 0; i < walk->fs.sb.fragments; i++) {
                struct squashfs_fragment_entry entry;
                bool compressed;
                uint32_t stored;
                if (sqfs_frag_entry(&walk->fs, &entry, i) != SQFS_OK)
                        return damaged(walk, "the table of fragments cannot be read");
                sqfs_data_header(entry.size, &compressed, &stored);
                const struct fmt_index_block block = {
                        .position = entry.start_block, .stored = stored, .raw = !compressed};
                int error = indexer_part_append(&walk->parts.fragments, &block, sizeof block);
                if (error < 0)
                        return problem(walk, error);
        }
        return 0;
}

/* The root's own number is in its inode only. */
static int list_root(struct walk *walk)
{
        const struct pending root = {.place = sqfs_inode_root(&walk->fs), .parent = 1};
        sqfs_inode inode;
        uint32_t number;
        if (get_inode(walk, root.place, &inode) < 0)
                return -1;
        if (!S_ISDIR(inode.base.mode))
                return damaged(walk, "the root is not a directory");
        return list_inode(walk, inode.base.inode_number, &root, &number);
}

/* Depth first, in the order of the listings: so mksquashfs wrote the inodes, and so each block of
 * them is read once. */
static int walk_tree(struct walk *walk)
{
        walk->numbers = calloc((size_t)walk->fs.sb.inodes + 1, sizeof *walk->numbers);
        if (walk->numbers == NULL)
                return problem(walk, -ENOMEM);
        if (list_root(walk) < 0)
                return -1;
        while (walk->pending.size > 0) {
                struct pending pending;
                walk->pending.size -= sizeof pending;
                memcpy(&pending, walk->pending.data + walk->pending.size, sizeof pending);
                if (add_inode(walk, &pending) < 0)
                        return -1;
        }
        return 0;
}

/* A sqfs_decompressor: *SIZE is the room in OUT, then what is in it. libsquashfuse's own makes a new
 * context for each block; to get and give back its memory took an eighth of the walk. */
static sqfs_err decompress_zstd(void *in, size_t in_size, void *out, size_t *size)
{
        return fmt_decompress(FMT_COMPRESSOR_ZSTD, in, in_size, out, *size, size) < 0 ? SQFS_ERR
                                                                                      : SQFS_OK;
}

static int open_image(struct walk *walk, int image_fd, uint64_t offset)
{
        switch (sqfs_init(&walk->fs, image_fd, offset)) {
        case SQFS_OK:
                break;
        case SQFS_BADFORMAT:
                return fail(walk, FMT_INDEXER_REFUSED,
                        "it is not a squashfs image; give one made by `xaas pack` or mksquashfs, "
                        "or say where it starts with -o offset=BYTES");
        case SQFS_BADVERSION:
                return fail(walk, FMT_INDEXER_REFUSED,
                        "it is not squashfs 4.0; make it again with squashfs-tools 4.0 or later");
        case SQFS_BADCOMP:
                return fail(walk, FMT_INDEXER_REFUSED,
                        "its compressor (lzma, probably) is none that xaasfs was built with; "
                        "make it again with -comp zstd");
        default:
                return damaged(walk, "its tables cannot be read");
        }
        const uint32_t block_size = walk->fs.sb.block_size;
        if (block_size < 4096 || block_size > SQUASHFS_FILE_MAX_SIZE ||
                (block_size & (block_size - 1)) != 0)
                return damaged(walk, "impossible block size");
        if (walk->fs.sb.compression == ZSTD_COMPRESSION)
                walk->fs.decompressor = decompress_zstd;
        sqfs_cache_destroy(&walk->fs.md_cache);
        if (sqfs_block_cache_init(&walk->fs.md_cache, METADATA_BLOCKS) != SQFS_OK)
                return problem(walk, -ENOMEM);
        return 0;
}

enum fmt_indexer_exit indexer_walk(
        int image_fd, uint64_t offset, int output_fd, const char **ret_sentence)
{
        struct walk walk = {.end = FMT_INDEXER_OK};
        if (open_image(&walk, image_fd, offset) == 0 && read_owners(&walk) == 0 &&
                add_fragments(&walk) == 0 && walk_tree(&walk) == 0) {
                struct fmt_index_header header = {
                        .image_size = walk.fs.sb.bytes_used,
                        .block_size = walk.fs.sb.block_size,
                        .compressor = walk.fs.sb.compression,
                };
                int error = indexer_write(&walk.parts, &header, output_fd);
                if (error < 0)
                        problem(&walk, error);
        }
        /* What libsquashfuse allocated goes with the process. */
        indexer_xattrs_done(&walk.xattrs);
        free(walk.numbers);
        free(walk.owners);
        indexer_parts_done(&walk.parts);
        free(walk.pending.data);
        *ret_sentence = walk.sentence;
        return walk.end;
}
