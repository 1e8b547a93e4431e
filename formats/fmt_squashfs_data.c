/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "fmt_decompress.h"
#include "fmt_log.h"
#include "fmt_readahead.h"
#include "fmt_squashfs_image.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

/* One damaged block is read again and again by those who want the file. */
#define MOST_COMPLAINTS 20

/* What a hole reads as, as large as the largest block; never written, so it costs no memory. */
static const char zeroes[1 << 20];

static void complain(struct fmt_squashfs *image, uint64_t position, const char *why)
{
        if (atomic_fetch_add(&image->complaints, 1) < MOST_COMPLAINTS)
                fmt_error("%s: the block at byte %" PRIu64 " %s; get the image again", image->path,
                        image->offset + position, why);
}

static int read_image(struct fmt_squashfs *image, void *buffer, size_t size, uint64_t position)
{
        struct fmt_source_fd part = {
                .fd = image->fd, .offset = image->offset, .size = image->index.header->image_size};
        struct fmt_source source = fmt_source_of_fd(&part);
        atomic_fetch_add_explicit(&image->bytes_read, size, memory_order_relaxed);
        int error = source.read(source.context, buffer, size, position);
        if (error < 0)
                complain(image, position, "cannot be read");
        return error;
}

void fmt_squashfs_fetch(void *context, uint64_t position, uint64_t size)
{
        const struct fmt_squashfs *image = context;
        const uint64_t end = image->index.header->image_size;
        if (position >= end)
                return;
        size = size < end - position ? size : end - position;
        posix_fadvise(
                image->fd, (off_t)(image->offset + position), (off_t)size, POSIX_FADV_WILLNEED);
}

/* What the cache needs to make a block: the key is the block's position alone. */
struct recipe {
        struct fmt_squashfs *image;
        const struct fmt_index_block *block;
        bool somebody_waits;
};

/* Bytes, a power of two. A disk takes hardly longer for so much than for one block, and whoever
 * reads a block often wants its neighbours soon: a cold import of NumPy took 0.85 of the time. */
#define FETCH_AROUND (UINT64_C(256) << 10)

/* Remembers that BLOCK was made. Blocks that equal files share are told apart by file: one that is
 * made again for another of them does not count. The index's fragments follow its blocks. */
static void note_made(struct fmt_squashfs *image, const struct fmt_index_block *block)
{
        const size_t number = (size_t)(block - image->index.blocks);
        const uint64_t bit = UINT64_C(1) << number % 64;
        if (atomic_fetch_or_explicit(&image->made[number / 64], bit, memory_order_relaxed) & bit)
                atomic_fetch_add_explicit(&image->made_again, 1, memory_order_relaxed);
}

static int make_block(void *context, uint64_t key, void *buffer, size_t *ret_size)
{
        const struct recipe *recipe = context;
        struct fmt_squashfs *image = recipe->image;
        const struct fmt_index_header *header = image->index.header;
        _cleanup_free_ char *stored = malloc(recipe->block->stored);
        if (stored == NULL)
                return -ENOMEM;
        if (recipe->somebody_waits)
                fmt_squashfs_fetch(image, key & ~(FETCH_AROUND - 1), FETCH_AROUND);
        int error = read_image(image, stored, recipe->block->stored, key);
        if (error < 0)
                return error;
        error = fmt_decompress(header->compressor, stored, recipe->block->stored, buffer,
                header->block_size, ret_size);
        if (error == -EBADMSG) {
                complain(image, key, "does not decompress, the image is damaged");
                error = -EIO;
        }
        if (error == 0)
                note_made(image, recipe->block);
        return error;
}

void fmt_squashfs_make_ahead(void *context, const struct fmt_index_block *block)
{
        struct fmt_squashfs *image = context;
        struct recipe recipe = {.image = image, .block = block};
        /* Whoever reads a damaged block is told then. */
        fmt_block_cache_make_ahead(image->blocks, block->position, make_block, &recipe);
}

static void add_piece(struct fmt_view *view, const void *data, size_t size)
{
        view->pieces[view->n_pieces].iov_base = (void *)(uintptr_t)data;
        view->pieces[view->n_pieces].iov_len = size;
        view->pins[view->n_pieces] = NULL;
        view->owned[view->n_pieces] = NULL;
        view->n_pieces++;
        view->size += size;
}

/* Blocks that are stored as they are would only fill the cache: the kernel keeps them. */
static int view_raw(struct fmt_squashfs *image, const struct fmt_index_block *block, uint64_t skip,
        size_t size, struct fmt_view *view)
{
        if (skip > block->stored || size > block->stored - skip) {
                complain(image, block->position, "is too short, the image is damaged");
                return -EIO;
        }
        _cleanup_free_ char *data = malloc(size);
        if (data == NULL)
                return -ENOMEM;
        int error = read_image(image, data, size, block->position + skip);
        if (error < 0)
                return error;
        add_piece(view, data, size);
        view->owned[view->n_pieces - 1] = steal_pointer(&data);
        return 0;
}

/* Adds SIZE bytes from byte SKIP of the decompressed BLOCK on. */
static int view_block(struct fmt_squashfs *image, const struct fmt_index_block *block,
        uint64_t skip, size_t size, struct fmt_view *view)
{
        if (image->readahead != NULL)
                fmt_readahead_note(image->readahead, block);
        if (block->raw)
                return view_raw(image, block, skip, size, view);
        struct recipe recipe = {.image = image, .block = block, .somebody_waits = true};
        struct fmt_cached_block *cached;
        int error =
                fmt_block_cache_get(image->blocks, block->position, make_block, &recipe, &cached);
        if (error < 0)
                return error;
        size_t available;
        const char *data = fmt_cached_block_data(cached, &available);
        if (skip > available || size > available - skip) {
                fmt_block_cache_put(cached);
                complain(image, block->position, "is too short, the image is damaged");
                return -EIO;
        }
        add_piece(view, data + skip, size);
        view->pins[view->n_pieces - 1] = cached;
        return 0;
}

void fmt_view_done(struct fmt_view *view)
{
        for (size_t i = 0; i < view->n_pieces; i++) {
                if (view->pins[i] != NULL)
                        fmt_block_cache_put(view->pins[i]);
                free(view->owned[i]);
        }
        view->n_pieces = 0;
        if (view->budget != NULL)
                fmt_budget_return(view->budget, view->cost);
        view->budget = NULL;
}

static int regular_of(
        const struct fmt_squashfs *image, fmt_inode inode, const struct fmt_index_inode **ret)
{
        const struct fmt_index_inode *record = fmt_squashfs_inode(image, inode);
        if (record == NULL)
                return -ENOENT;
        if (!S_ISREG(record->mode))
                return S_ISDIR(record->mode) ? -EISDIR : -EINVAL;
        *ret = record;
        return 0;
}

int fmt_squashfs_view(struct fmt_squashfs *image, fmt_inode inode, size_t size, uint64_t offset,
        struct fmt_view *ret)
{
        const struct fmt_index_inode *record;
        const uint64_t block_size = image->index.header->block_size;
        int error = regular_of(image, inode, &record);
        ret->size = 0;
        ret->n_pieces = 0;
        ret->budget = NULL;
        if (error < 0 || offset >= record->size)
                return error;
        if (size > FMT_VIEW_MAX)
                size = FMT_VIEW_MAX;
        if (size > record->size - offset)
                size = (size_t)(record->size - offset);
        /* At most so much at once: copies of blocks that are stored as they are, or one block's
         * compressed bytes at a time and what the cache has no slot for. */
        ret->cost = fmt_budget_take(&image->in_hand, size > block_size ? size : block_size);
        ret->budget = &image->in_hand;
        while (error == 0 && size > 0) {
                const uint64_t number = offset / block_size;
                const uint64_t skip = offset % block_size;
                const size_t now = size < block_size - skip ? size : (size_t)(block_size - skip);
                if (number >= record->count) {
                        error = view_block(image, &image->index.fragments[record->fragment],
                                record->fragment_offset + skip, now, ret);
                } else {
                        const struct fmt_index_block *block =
                                &image->index.blocks[record->first + number];
                        if (block->stored == 0)
                                add_piece(ret, zeroes, now);
                        else
                                error = view_block(image, block, skip, now, ret);
                }
                offset += now;
                size -= now;
        }
        if (error < 0)
                fmt_view_done(ret);
        return error;
}

ssize_t fmt_squashfs_read(
        struct fmt_squashfs *image, fmt_inode inode, void *buffer, size_t size, uint64_t offset)
{
        size_t done = 0;
        size = size < SSIZE_MAX ? size : SSIZE_MAX;
        while (done < size) {
                struct fmt_view view;
                int error = fmt_squashfs_view(image, inode, size - done, offset + done, &view);
                if (error < 0)
                        return error;
                if (view.size == 0)
                        break;
                for (size_t i = 0; i < view.n_pieces; i++) {
                        memcpy((char *)buffer + done, view.pieces[i].iov_base,
                                view.pieces[i].iov_len);
                        done += view.pieces[i].iov_len;
                }
                fmt_view_done(&view);
        }
        return (ssize_t)done;
}

int fmt_squashfs_seek(const struct fmt_squashfs *image, fmt_inode inode, uint64_t offset,
        int whence, uint64_t *ret)
{
        const struct fmt_index_inode *record;
        const uint64_t block_size = image->index.header->block_size;
        int error = regular_of(image, inode, &record);
        if (error < 0)
                return error;
        if (whence != SEEK_DATA && whence != SEEK_HOLE)
                return -EINVAL;
        if (offset >= record->size)
                return -ENXIO;
        for (uint64_t number = offset / block_size; number < record->count; number++) {
                const bool hole = image->index.blocks[record->first + number].stored == 0;
                if (hole == (whence == SEEK_HOLE)) {
                        *ret = number * block_size > offset ? number * block_size : offset;
                        return 0;
                }
        }
        /* Behind the blocks: the tail in a fragment, which is data, and then the end, a hole. */
        const uint64_t tail = (uint64_t)record->count * block_size;
        if (whence == SEEK_HOLE)
                *ret = record->size;
        else if (tail < record->size)
                *ret = tail > offset ? tail : offset;
        else
                return -ENXIO;
        return 0;
}

void fmt_squashfs_counts(struct fmt_squashfs *image, struct fmt_squashfs_counts *ret)
{
        fmt_block_cache_counts(image->blocks, &ret->blocks);
        ret->made_again = atomic_load_explicit(&image->made_again, memory_order_relaxed);
        ret->bytes_read = atomic_load_explicit(&image->bytes_read, memory_order_relaxed);
}

static int read_inode(void *context, void *buffer, size_t size, uint64_t offset)
{
        const struct fmt_source_inode *file = context;
        ssize_t n = fmt_squashfs_read(file->image, file->inode, buffer, size, offset);
        if (n < 0)
                return (int)n;
        return (size_t)n == size ? 0 : -EIO;
}

int fmt_source_of_inode(struct fmt_source_inode *file, struct fmt_source *ret)
{
        const struct fmt_index_inode *record;
        int error = regular_of(file->image, file->inode, &record);
        if (error < 0)
                return error;
        *ret = (struct fmt_source){.read = read_inode, .context = file, .size = record->size};
        return 0;
}
