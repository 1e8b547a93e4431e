/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_index.h"

#include "fmt_cleanup.h"
#include "fmt_decompress.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

_Static_assert(sizeof(struct fmt_index_header) % 8 == 0, "parts are 8-byte aligned");
_Static_assert(sizeof(struct fmt_index_inode) % 8 == 0, "parts are 8-byte aligned");
_Static_assert(sizeof(struct fmt_index_entry) % 8 == 0, "parts are 8-byte aligned");
_Static_assert(sizeof(struct fmt_index_block) % 8 == 0, "parts are 8-byte aligned");

/* Each step of the check returns what is wrong, or NULL. */

static bool in_range(uint32_t first, uint32_t count, uint32_t n)
{
        return first <= n && count <= n - first;
}

static const char *check_text(const struct fmt_index *index, uint32_t offset, uint64_t size)
{
        /* The NUL behind it must be there too. */
        if (offset >= index->header->text_size || size >= index->header->text_size - offset)
                return "text out of range";
        if (index->text[offset + size] != '\0')
                return "text is not terminated";
        return NULL;
}

static const char *check_header(const struct fmt_index_header *header, size_t size)
{
        if (memcmp(header->magic, FMT_INDEX_MAGIC, sizeof header->magic) != 0)
                return "no index was written";
        if (header->total_size != size)
                return "the index is incomplete";
        if (header->block_size < 4096 || header->block_size > 1 << 20 ||
                (header->block_size & (header->block_size - 1)) != 0)
                return "impossible block size";
        if (!fmt_compressor_known(header->compressor))
                return "unknown compressor";
        if (header->n_inodes == 0 || header->n_inodes == UINT32_MAX)
                return "impossible number of inodes";
        return NULL;
}

/* Sets the parts' pointers; their sizes cannot overflow 64 bits since counts have 32. */
static const char *place_parts(const void *data, size_t size, struct fmt_index *index)
{
        const struct fmt_index_header *header = data;
        uint64_t at = sizeof *header;
#define PLACE(part, count)                                                                         \
        index->part = (const void *)((const char *)data + at);                                     \
        at += (uint64_t)(count) * sizeof *index->part;                                             \
        if (at > size)                                                                             \
                return "the index is cut short";
        index->header = header;
        PLACE(inodes, header->n_inodes)
        PLACE(entries, header->n_entries)
        PLACE(blocks, header->n_blocks)
        PLACE(fragments, header->n_fragments)
        PLACE(xattr_sets, header->n_xattr_sets)
        PLACE(xattrs, header->n_xattrs)
#undef PLACE
        index->text = (const char *)data + at;
        if (header->text_size != size - at || header->text_size > UINT32_MAX)
                return "the index's parts do not add up";
        return NULL;
}

static const char *check_blocks(
        const struct fmt_index *index, const struct fmt_index_block *blocks, uint32_t n)
{
        const uint64_t limit = index->header->image_size;
        for (uint32_t i = 0; i < n; i++) {
                if (blocks[i].raw > 1 || blocks[i].stored > index->header->block_size)
                        return "impossible block";
                if (blocks[i].position > limit || blocks[i].stored > limit - blocks[i].position)
                        return "a block lies outside of the image";
        }
        return NULL;
}

static const char *check_regular(const struct fmt_index *index, const struct fmt_index_inode *inode)
{
        const uint64_t block_size = index->header->block_size;
        const uint64_t tail = inode->size % block_size;
        const bool in_fragment = inode->fragment != FMT_INDEX_NONE;
        const uint64_t blocks = inode->size / block_size + (tail != 0 && !in_fragment);

        if (inode->allocated > inode->size)
                return "impossible file size";
        if (inode->count != blocks)
                return "a file has a wrong number of blocks";
        if (!in_range(inode->first, inode->count, index->header->n_blocks))
                return "a file's blocks are out of range";
        if (!in_fragment)
                return NULL;
        if (tail == 0 || inode->fragment >= index->header->n_fragments)
                return "a file's fragment does not exist";
        if (inode->fragment_offset > block_size - tail)
                return "a file's tail lies outside of its fragment";
        return NULL;
}

static const char *check_symlink(const struct fmt_index *index, const struct fmt_index_inode *inode)
{
        if (inode->size == 0 || inode->size > FMT_INDEX_TARGET_MAX)
                return "a symbolic link of impossible length";
        const char *why = check_text(index, inode->first, inode->size);
        if (why == NULL && memchr(index->text + inode->first, '\0', inode->size) != NULL)
                why = "a symbolic link with a NUL in it";
        return why;
}

static const char *check_name(const struct fmt_index *index, const struct fmt_index_entry *entry)
{
        if (entry->name_size == 0 || entry->name_size > FMT_INDEX_NAME_MAX)
                return "a name of impossible length";
        const char *why = check_text(index, entry->name, entry->name_size);
        if (why != NULL)
                return why;
        const char *name = index->text + entry->name;
        if (memchr(name, '/', entry->name_size) != NULL ||
                memchr(name, '\0', entry->name_size) != NULL)
                return "a name with a slash or a NUL in it";
        if (name[0] == '.' && (entry->name_size == 1 || (entry->name_size == 2 && name[1] == '.')))
                return "a directory lists \".\" or \"..\"";
        return NULL;
}

static bool names_ascend(const struct fmt_index *index, const struct fmt_index_entry *a,
        const struct fmt_index_entry *b)
{
        const uint32_t common = a->name_size < b->name_size ? a->name_size : b->name_size;
        int order = memcmp(index->text + a->name, index->text + b->name, common);
        return order < 0 || (order == 0 && a->name_size < b->name_size);
}

/* SEEN has one bit per inode: which directories some directory has listed already. */
static const char *check_directory(
        const struct fmt_index *index, uint32_t number, unsigned char *seen)
{
        const struct fmt_index_inode *inode = &index->inodes[number - 1];
        if (!in_range(inode->first, inode->count, index->header->n_entries))
                return "a directory's entries are out of range";
        for (uint32_t i = 0; i < inode->count; i++) {
                const struct fmt_index_entry *entry = &index->entries[inode->first + i];
                const char *why = check_name(index, entry);
                if (why != NULL)
                        return why;
                if (i > 0 && !names_ascend(index, entry - 1, entry))
                        return "a directory is not sorted or has a name twice";
                const uint32_t child = entry->inode;
                if (child == 0 || child > index->header->n_inodes)
                        return "an entry names an inode that does not exist";
                if (!S_ISDIR(index->inodes[child - 1].mode))
                        continue;
                if (child <= number || index->inodes[child - 1].parent != number)
                        return "the directories are no tree";
                if (seen[child / 8] & (1 << child % 8))
                        return "a directory is listed twice";
                seen[child / 8] |= (unsigned char)(1 << child % 8);
        }
        return NULL;
}

static const char *check_inode(
        const struct fmt_index *index, uint32_t number, unsigned char *seen, uint64_t *entries_left)
{
        const struct fmt_index_inode *inode = &index->inodes[number - 1];
        if (inode->xattr_set != FMT_INDEX_NONE && inode->xattr_set >= index->header->n_xattr_sets)
                return "extended attributes out of range";
        /* What stat shows is signed. */
        if (inode->size > INT64_MAX || inode->allocated > INT64_MAX)
                return "impossible file size";
        switch (inode->mode & S_IFMT) {
        case S_IFREG:
                return check_regular(index, inode);
        case S_IFLNK:
                return check_symlink(index, inode);
        case S_IFDIR:
                /* Overlapping lists would make this pass quadratic. */
                if (inode->count > *entries_left)
                        return "directories share entries";
                *entries_left -= inode->count;
                if (number == 1 ? inode->parent != 1
                                : inode->parent == 0 || inode->parent >= number)
                        return "the directories are no tree";
                return check_directory(index, number, seen);
        case S_IFCHR:
        case S_IFBLK:
        case S_IFIFO:
        case S_IFSOCK:
                return NULL;
        default:
                return "an inode of unknown type";
        }
}

static const char *check_xattrs(const struct fmt_index *index)
{
        const struct fmt_index_header *header = index->header;
        for (uint32_t i = 0; i < header->n_xattr_sets; i++)
                if (!in_range(index->xattr_sets[i].first, index->xattr_sets[i].count,
                            header->n_xattrs))
                        return "extended attributes out of range";
        for (uint32_t i = 0; i < header->n_xattrs; i++) {
                const struct fmt_index_xattr *xattr = &index->xattrs[i];
                if (xattr->name_size == 0 || xattr->name_size > FMT_INDEX_NAME_MAX ||
                        xattr->value_size > FMT_INDEX_VALUE_MAX)
                        return "an extended attribute of impossible size";
                const char *why = check_text(index, xattr->name, xattr->name_size);
                if (why == NULL)
                        why = check_text(index, xattr->value, xattr->value_size);
                if (why == NULL && memchr(index->text + xattr->name, '\0', xattr->name_size))
                        why = "an extended attribute with a NUL in its name";
                if (why != NULL)
                        return why;
        }
        return NULL;
}

static const char *check_inodes(const struct fmt_index *index)
{
        uint64_t entries_left = index->header->n_entries;
        if (!S_ISDIR(index->inodes[0].mode))
                return "the root is not a directory";
        _cleanup_free_ unsigned char *seen = calloc(1, (size_t)index->header->n_inodes / 8 + 1);
        if (seen == NULL)
                return "not enough memory to check it";
        for (uint32_t number = 1; number <= index->header->n_inodes; number++) {
                const char *why = check_inode(index, number, seen, &entries_left);
                if (why != NULL)
                        return why;
        }
        return NULL;
}

static const char *check_frame(
        const void *data, size_t size, uint64_t file_size, struct fmt_index *index)
{
        if (size < sizeof(struct fmt_index_header))
                return "no index was written";
        const char *why = check_header(data, size);
        if (why == NULL)
                why = place_parts(data, size, index);
        if (why == NULL && index->header->image_size > file_size)
                why = "it is cut short";
        return why;
}

static const char *check_all(
        const void *data, size_t size, uint64_t file_size, struct fmt_index *index)
{
        const char *why = check_frame(data, size, file_size, index);
        if (why == NULL)
                why = check_blocks(index, index->blocks, index->header->n_blocks);
        if (why == NULL)
                why = check_blocks(index, index->fragments, index->header->n_fragments);
        if (why == NULL)
                why = check_xattrs(index);
        if (why == NULL)
                why = check_inodes(index);
        return why;
}

int fmt_index_check(const void *data, size_t size, uint64_t file_size, struct fmt_index *ret,
        const char **ret_reason)
{
        struct fmt_index index;
        *ret_reason = check_all(data, size, file_size, &index);
        if (*ret_reason != NULL)
                return -EBADMSG;
        *ret = index;
        return 0;
}

int fmt_index_place(const void *data, size_t size, uint64_t file_size, struct fmt_index *ret,
        const char **ret_reason)
{
        struct fmt_index index;
        *ret_reason = check_frame(data, size, file_size, &index);
        if (*ret_reason != NULL)
                return -EBADMSG;
        *ret = index;
        return 0;
}
