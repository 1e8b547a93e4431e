/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that can be read at an offset: a plain file, a part of one, memory, or a file inside a
 * squashfs image. What parses a format takes a source, so that it does not care. */
#ifndef FMT_SOURCE_H
#define FMT_SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct fmt_source {
        /* Reads exactly SIZE bytes at OFFSET. 0, or a negative errno (-EIO also for a range past
         * the end). Must be thread-safe. */
        int (*read)(void *context, void *buffer, size_t size, uint64_t offset);
        void *context; /* owned by whoever made the source; outlives every reader */
        uint64_t size; /* bytes */
};

/* SIZE bytes of FD from OFFSET on. *context* storage is the caller's. */
struct fmt_source_fd {
        int fd; /* borrowed */
        uint64_t offset;
        uint64_t size;
};
struct fmt_source fmt_source_of_fd(struct fmt_source_fd *part);

/* Memory: MEMORY stays the caller's. */
struct fmt_source_memory {
        const void *data;
        uint64_t size;
};
struct fmt_source fmt_source_of_memory(struct fmt_source_memory *memory);

#endif
