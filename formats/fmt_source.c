/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_source.h"

#include "fmt_whole.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static bool within(uint64_t size, size_t wanted, uint64_t offset)
{
        return offset <= size && wanted <= size - offset;
}

static int read_fd(void *context, void *buffer, size_t size, uint64_t offset)
{
        const struct fmt_source_fd *part = context;

        if (!within(part->size, size, offset))
                return -EIO;
        return fmt_read_whole(part->fd, buffer, size, part->offset + offset);
}

struct fmt_source fmt_source_of_fd(struct fmt_source_fd *part)
{
        /* The file's end must stay within what pread can address. */
        if (part->offset > INT64_MAX || part->size > INT64_MAX - part->offset)
                part->size = 0;
        return (struct fmt_source){.read = read_fd, .context = part, .size = part->size};
}

static int read_memory(void *context, void *buffer, size_t size, uint64_t offset)
{
        const struct fmt_source_memory *memory = context;

        if (!within(memory->size, size, offset))
                return -EIO;
        if (size > 0)
                memcpy(buffer, (const char *)memory->data + offset, size);
        return 0;
}

struct fmt_source fmt_source_of_memory(struct fmt_source_memory *memory)
{
        return (struct fmt_source){.read = read_memory, .context = memory, .size = memory->size};
}
