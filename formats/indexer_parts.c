/* SPDX-License-Identifier: Apache-2.0 */
#include "indexer_parts.h"

#include "fmt_whole.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int indexer_part_append(struct indexer_part *part, const void *bytes, size_t size)
{
        if (size > part->capacity - part->size) {
                size_t capacity = part->capacity * 2 + size + 4096;
                char *data = realloc(part->data, capacity);
                if (data == NULL)
                        return -ENOMEM;
                part->data = data;
                part->capacity = capacity;
        }
        if (bytes != NULL)
                memcpy(part->data + part->size, bytes, size);
        else
                memset(part->data + part->size, 0, size);
        part->size += size;
        return 0;
}

int indexer_text(struct indexer_parts *parts, const void *bytes, size_t size, uint32_t *ret_offset)
{
        if (size >= UINT32_MAX - parts->text.size)
                return -E2BIG;
        *ret_offset = (uint32_t)parts->text.size;
        int error = indexer_part_append(&parts->text, bytes, size);
        return error < 0 ? error : indexer_part_append(&parts->text, "", 1);
}

int indexer_write(const struct indexer_parts *parts, struct fmt_index_header *header, int output_fd)
{
        const struct {
                const struct indexer_part *part;
                size_t each;
                uint32_t *count;
        } all[] = {
                {&parts->inodes, sizeof(struct fmt_index_inode), &header->n_inodes},
                {&parts->entries, sizeof(struct fmt_index_entry), &header->n_entries},
                {&parts->blocks, sizeof(struct fmt_index_block), &header->n_blocks},
                {&parts->fragments, sizeof(struct fmt_index_block), &header->n_fragments},
                {&parts->xattr_sets, sizeof(struct fmt_index_xattr_set), &header->n_xattr_sets},
                {&parts->xattrs, sizeof(struct fmt_index_xattr), &header->n_xattrs},
        };
        memcpy(header->magic, FMT_INDEX_MAGIC, sizeof header->magic);
        header->text_size = parts->text.size;
        header->total_size = sizeof *header + parts->text.size;
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
                if (all[i].part->size / all[i].each >= UINT32_MAX)
                        return -E2BIG;
                *all[i].count = (uint32_t)(all[i].part->size / all[i].each);
                header->total_size += all[i].part->size;
        }
        int error = fmt_write_whole(output_fd, header, sizeof *header);
        for (size_t i = 0; error == 0 && i < sizeof all / sizeof *all; i++)
                error = fmt_write_whole(output_fd, all[i].part->data, all[i].part->size);
        return error < 0 ? error : fmt_write_whole(output_fd, parts->text.data, parts->text.size);
}

void indexer_parts_done(struct indexer_parts *parts)
{
        free(parts->inodes.data);
        free(parts->entries.data);
        free(parts->blocks.data);
        free(parts->fragments.data);
        free(parts->xattr_sets.data);
        free(parts->xattrs.data);
        free(parts->text.data);
}
