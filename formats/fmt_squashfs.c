/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_squashfs.h"

#include "fmt_cleanup.h"
#include "fmt_cores.h"
#include "fmt_decompress.h"
#include "fmt_image_find.h"
#include "fmt_log.h"
#include "fmt_readahead.h"
#include "fmt_squashfs_image.h"
#include "fmt_squashfs_start.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#define DEFAULT_CACHE_SIZE (UINT64_C(256) << 20)
/* Each place for a block costs some memory by itself, so there is no use in many more places than
 * blocks; a few more, because blocks are not spread evenly (fmt_block_cache.c, shards). */
#define PLACES_PER_BLOCK 4
/* Bytes that all readers together may have in their hands: enough for 64 of them with blocks of
 * 128 KiB. Each of them may need as much again for what it decompresses; with all else that a mount
 * needs that is less than 40 MiB. */
#define IN_HAND (UINT64_C(8) << 20)
/* How far ahead of a reader blocks are made. One decompresses 128 KiB in about 0.1 ms, a reader
 * consumes them about as fast, so this is a few wake-ups' worth of work and no more. */
#define AHEAD_BYTES (UINT64_C(2) << 20)
/* Less in a small cache, where blocks that were made ahead would push each other out before they
 * are read: all readers that are told apart may fill half of it. */
#define AHEAD_PART_OF_CACHE (2 * FMT_READAHEAD_STREAMS)
#define MOST_LINKS 40 /* as path_resolution(7) */

static void free_image(struct fmt_squashfs **image)
{
        fmt_squashfs_free(*image);
}

static int open_file(const char *path, int *ret_fd, uint64_t *ret_size)
{
        /* A named pipe would keep us waiting for somebody who writes to it. */
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0) {
                const int error = -errno;
                if (path[0] == '\0')
                        fmt_error("cannot open the image: its path is empty; give the path of a "
                                  "squashfs image");
                else
                        fmt_error("cannot open %s: %s; %s", path, strerror(-error),
                                error == -EACCES ? "have its owner let you read it"
                                                 : "give the path of a squashfs image");
                return error;
        }
        if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
                fmt_error("cannot read %s: it is a %s; give the path of a squashfs image", path,
                        S_ISDIR(st.st_mode) ? "folder" : "special file");
                return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
        }
        off_t size = lseek(fd, 0, SEEK_END);
        if (size < 0)
                return -errno;
        *ret_fd = steal_fd(&fd);
        *ret_size = (uint64_t)size;
        return 0;
}

/* On one core there is nobody to read ahead. */
static int start_readahead(struct fmt_squashfs *image, uint64_t cache_size)
{
        const struct fmt_readahead_work work = {
                .make = fmt_squashfs_make_ahead,
                .fetch = fmt_squashfs_fetch,
                .context = image,
        };
        const uint64_t part = cache_size / AHEAD_PART_OF_CACHE;
        const uint64_t window =
                (part < AHEAD_BYTES ? part : AHEAD_BYTES) / image->index.header->block_size;
        const unsigned cores = fmt_cores_allowed();
        if (cores <= 1 || window < 2)
                return 0;
        return fmt_readahead_new(&image->index, (uint32_t)window, cores, &work, &image->readahead);
}

int fmt_squashfs_start_data(struct fmt_squashfs *image, uint64_t cache_size)
{
        const struct fmt_index_header *header = image->index.header;
        const uint64_t n_blocks = (uint64_t)header->n_blocks + header->n_fragments;
        const uint64_t useful = n_blocks * PLACES_PER_BLOCK * header->block_size;
        if (cache_size > useful && cache_size > DEFAULT_CACHE_SIZE)
                cache_size = useful > DEFAULT_CACHE_SIZE ? useful : DEFAULT_CACHE_SIZE;
        if (cache_size == 0)
                cache_size = DEFAULT_CACHE_SIZE;
        fmt_budget_init(&image->in_hand, IN_HAND);
        image->made = calloc(n_blocks / 64 + 1, sizeof *image->made);
        if (image->made == NULL)
                return -ENOMEM;
        int error = fmt_block_cache_new(cache_size, header->block_size, &image->blocks);
        return error < 0 ? error : start_readahead(image, cache_size);
}

static bool find_kept_index(
        struct fmt_squashfs *image, const struct fmt_index_keeper *keeper, uint64_t file_size)
{
        const char *why;
        if (keeper == NULL ||
                keeper->find(keeper->context, &image->identity, &image->map, &image->map_size) < 0)
                return false;
        if (fmt_index_place(image->map, image->map_size, file_size - image->offset, &image->index,
                    &why) == 0)
                return true;
        fmt_debug("%s: the index that was kept is not used: %s", image->path, why);
        munmap(image->map, image->map_size);
        image->map = NULL;
        return false;
}

/* The identity is taken before anything else is read: if the image is changed from here on, what is
 * kept under this one is never found again. */
static int open_index(
        struct fmt_squashfs *image, const struct fmt_squashfs_options *options, uint64_t file_size)
{
        if (fmt_image_identity(image->fd, image->offset, &image->identity) == 0) {
                image->index_is_kept = find_kept_index(image, options->keeper, file_size);
                if (image->index_is_kept)
                        return 0;
                image->index_may_be_kept = fmt_image_identity_settled(&image->identity);
        }
        return fmt_squashfs_start_index(image->path, image->fd, file_size, image->offset,
                options->libexec, &image->map, &image->map_size, &image->index);
}

void fmt_squashfs_index_origin(const struct fmt_squashfs *image, struct fmt_index_origin *ret)
{
        *ret = (struct fmt_index_origin){
                .data = image->map,
                .size = image->map_size,
                .image = image->identity,
                .is_kept = image->index_is_kept,
                .may_be_kept = image->index_may_be_kept,
        };
}

int fmt_squashfs_open(
        const char *path, const struct fmt_squashfs_options *options, struct fmt_squashfs **ret)
{
        const struct fmt_squashfs_options defaults = {0};
        options = options != NULL ? options : &defaults;
        _cleanup_(free_image) struct fmt_squashfs *image = calloc(1, sizeof *image);
        uint64_t file_size = 0;
        if (image == NULL)
                return -ENOMEM;
        image->fd = -1;
        image->path = strdup(path);
        if (image->path == NULL)
                return -ENOMEM;
        int error = open_file(path, &image->fd, &file_size);
        if (error < 0)
                return error;
        error = fmt_image_find(path, image->fd, file_size, options->offset, &image->offset);
        if (error < 0)
                return error;
        error = open_index(image, options, file_size);
        if (error < 0)
                return error;
        image->root = FMT_ROOT;
        error = fmt_squashfs_start_data(image, options->cache_size);
        if (error < 0)
                return error;
        *ret = steal_pointer(&image);
        return 0;
}

void fmt_squashfs_free(struct fmt_squashfs *image)
{
        if (image == NULL)
                return;
        fmt_readahead_free(image->readahead);
        fmt_block_cache_free(image->blocks);
        if (image->map != NULL)
                munmap(image->map, image->map_size);
        fmt_close_fd(&image->fd);
        if (image->made != NULL)
                fmt_budget_done(&image->in_hand);
        free(image->made);
        free(image->path);
        free(image);
}

uint32_t fmt_squashfs_count(const struct fmt_squashfs *image)
{
        return image->index.header->n_inodes;
}

void fmt_squashfs_facts(const struct fmt_squashfs *image, struct fmt_squashfs_facts *ret)
{
        const struct fmt_index_header *header = image->index.header;
        *ret = (struct fmt_squashfs_facts){
                .inodes = header->n_inodes,
                .xattr_sets = header->n_xattr_sets,
                .block_size = header->block_size,
                .image_size = header->image_size,
                .compressor = fmt_compressor_name(header->compressor),
        };
}

int fmt_squashfs_stat(const struct fmt_squashfs *image, fmt_inode inode, struct stat *ret)
{
        const struct fmt_index_inode *record = fmt_squashfs_inode(image, inode);
        if (record == NULL)
                return -ENOENT;
        *ret = (struct stat){
                .st_ino = record->number,
                .st_mode = record->mode,
                .st_nlink = record->nlink,
                .st_uid = record->uid,
                .st_gid = record->gid,
                .st_rdev = makedev(record->rdev >> 20, record->rdev & 0xfffff),
                .st_size = (off_t)record->size,
                .st_blksize = 4096,
                .st_blocks = (blkcnt_t)((record->allocated + 511) / 512),
                .st_mtim.tv_sec = record->mtime,
        };
        ret->st_atim = ret->st_mtim;
        ret->st_ctim = ret->st_mtim;
        return 0;
}

static int directory_of(
        const struct fmt_squashfs *image, fmt_inode inode, const struct fmt_index_inode **ret)
{
        const struct fmt_index_inode *record = fmt_squashfs_inode(image, inode);
        if (record == NULL)
                return -ENOENT;
        if (!S_ISDIR(record->mode))
                return -ENOTDIR;
        *ret = record;
        return 0;
}

int fmt_squashfs_lookup(const struct fmt_squashfs *image, fmt_inode directory, const char *name,
        size_t name_size, fmt_inode *ret)
{
        const struct fmt_index_inode *record;
        int error = directory_of(image, directory, &record);
        if (error < 0)
                return error;
        const struct fmt_index_entry *entries = image->index.entries + record->first;
        for (uint32_t low = 0, high = record->count; low < high;) {
                const uint32_t middle = low + (high - low) / 2;
                const struct fmt_index_entry *entry = &entries[middle];
                const size_t common = name_size < entry->name_size ? name_size : entry->name_size;
                int order = memcmp(name, image->index.text + entry->name, common);
                if (order == 0)
                        order = (name_size > entry->name_size) - (name_size < entry->name_size);
                if (order == 0) {
                        *ret = entry->inode;
                        return 0;
                }
                if (order < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return -ENOENT;
}

int fmt_squashfs_entry(const struct fmt_squashfs *image, fmt_inode directory, uint32_t index,
        const char **ret_name, size_t *ret_name_size, fmt_inode *ret_inode)
{
        const struct fmt_index_inode *record;
        int error = directory_of(image, directory, &record);
        if (error < 0)
                return error;
        if (index >= record->count)
                return -ENOENT;
        const struct fmt_index_entry *entry = &image->index.entries[record->first + index];
        *ret_name = image->index.text + entry->name;
        *ret_name_size = entry->name_size;
        *ret_inode = entry->inode;
        return 0;
}

int fmt_squashfs_parent(const struct fmt_squashfs *image, fmt_inode directory, fmt_inode *ret)
{
        const struct fmt_index_inode *record;
        int error = directory_of(image, directory, &record);
        if (error == 0)
                *ret = directory == image->root ? directory : record->parent;
        return error;
}

int fmt_squashfs_change_root(struct fmt_squashfs *image, fmt_inode directory)
{
        const struct fmt_index_inode *record;
        int error = directory_of(image, directory, &record);
        if (error == 0)
                image->root = directory;
        return error;
}

fmt_inode fmt_squashfs_root(const struct fmt_squashfs *image)
{
        return image->root;
}

int fmt_squashfs_readlink(
        const struct fmt_squashfs *image, fmt_inode inode, const char **ret, size_t *ret_size)
{
        const struct fmt_index_inode *record = fmt_squashfs_inode(image, inode);
        if (record == NULL)
                return -ENOENT;
        if (!S_ISLNK(record->mode))
                return -EINVAL;
        *ret = image->index.text + record->first;
        *ret_size = record->size;
        return 0;
}

/* Puts TARGET in front of what is left of the path behind the link. */
static int splice_target(const char *target, size_t size, const char *rest, char **path)
{
        char *joined;
        if (asprintf(&joined, "%.*s/%s", (int)size, target, rest) < 0)
                return -ENOMEM;
        free(*path);
        *path = joined;
        return 0;
}

int fmt_squashfs_resolve(const struct fmt_squashfs *image, const char *path, fmt_inode *ret)
{
        _cleanup_free_ char *buffer = strdup(path);
        fmt_inode at = image->root;
        unsigned links = 0;
        if (buffer == NULL)
                return -ENOMEM;
        for (char *rest = buffer;;) {
                rest += strspn(rest, "/");
                if (*rest == '\0')
                        break;
                const size_t size = strcspn(rest, "/");
                fmt_inode next;
                int error = 0;
                if (size == 1 && rest[0] == '.')
                        next = at;
                else if (size == 2 && rest[0] == '.' && rest[1] == '.')
                        error = fmt_squashfs_parent(image, at, &next);
                else
                        error = fmt_squashfs_lookup(image, at, rest, size, &next);
                if (error < 0)
                        return error;
                rest += size;
                const char *target;
                size_t target_size;
                if (fmt_squashfs_readlink(image, next, &target, &target_size) < 0) {
                        at = next;
                        continue;
                }
                if (++links > MOST_LINKS)
                        return -ELOOP;
                if (target[0] == '/')
                        at = image->root;
                error = splice_target(target, target_size, rest, &buffer);
                if (error < 0)
                        return error;
                rest = buffer;
        }
        *ret = at;
        return 0;
}
