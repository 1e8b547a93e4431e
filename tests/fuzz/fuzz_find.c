/* SPDX-License-Identifier: Apache-2.0 */
/* Finding the squashfs in a file: the header of a SIF file, and the names of what is no image. The
 * input is the file. Every refusal is one message. */
#include "fmt_image_find.h"
#include "fuzz.h"
#include "fuzz_mutate.h"
#include "unit_check.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* As in fmt_image_find.c. */
#define SIF_MAGIC_AT 32
#define SIF_TABLE_AT 96
#define SIF_DESCRIPTOR_SIZE 585

#define TABLE_AT 128
#define ROOT_AT 2048
#define SEED_SIZE 2560

/* Where there is a sanitizer: writes its report into the descriptor. */
extern void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

static int memory_file(const char *name)
{
        int fd = memfd_create(name, MFD_CLOEXEC);
        MUST(fd >= 0);
        return fd;
}

/* One line, which ends by saying what to do. */
static void check_message(int fd)
{
        char text[1024];
        ssize_t size = pread(fd, text, sizeof text - 1, 0);

        MUST(size > 0);
        text[size] = '\0';
        MUST(strchr(text, '\n') == text + size - 1);
        MUST(strstr(text, "file") && strstr(text, "; "));
}

/* What it says goes to a file: thousands of messages are for nobody to read. */
static int find(int fd, uint64_t size, uint64_t offset, uint64_t *ret)
{
        static int messages = -1;
        static int stderr_fd = -1;

        if (messages < 0) {
                messages = memory_file("messages");
                stderr_fd = dup(STDERR_FILENO);
                if (__sanitizer_set_report_fd)
                        __sanitizer_set_report_fd((void *)(intptr_t)stderr_fd);
        }
        MUST(ftruncate(messages, 0) == 0 && lseek(messages, 0, SEEK_SET) == 0);
        MUST(dup2(messages, STDERR_FILENO) >= 0);
        int r = fmt_image_find("file", fd, size, offset, ret);
        MUST(dup2(stderr_fd, STDERR_FILENO) >= 0);
        if (r < 0)
                check_message(messages);
        return r;
}

bool fuzz_accepts(const uint8_t *data, size_t size)
{
        static int fd = -1;
        uint64_t at;

        if (fd < 0)
                fd = memory_file("file");
        MUST(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
        for (uint64_t offset = 1; offset <= size + 1; offset = offset * 7 + 1) {
                int r = find(fd, size, offset, &at);
                MUST(r == -EMEDIUMTYPE || (r == 0 && at == offset && at < size));
        }
        int r = find(fd, size, 0, &at);
        MUST(r == -EMEDIUMTYPE || r == -EBADMSG || (r == 0 && at < size));
        return r == 0;
}

static void put(uint8_t *data, size_t at, uint64_t value, size_t size)
{
        memcpy(data + at, &value, size);
}

/* A SIF file with something else before its root, and a plain image. */
uint8_t *fuzz_seed(unsigned number, size_t *ret_size)
{
        uint8_t *data = calloc(1, SEED_SIZE);
        uint8_t *root = data + TABLE_AT + SIF_DESCRIPTOR_SIZE;

        MUST(data);
        *ret_size = SEED_SIZE;
        if (number == 1) {
                memcpy(data, "hsqs", 4);
                return data;
        }
        if (number > 1) {
                free(data);
                return NULL;
        }
        memcpy(data + SIF_MAGIC_AT, "SIF_MAGIC", 9);
        put(data, SIF_TABLE_AT, TABLE_AT, 8);
        put(data, SIF_TABLE_AT + 8, UINT64_C(2) * SIF_DESCRIPTOR_SIZE, 8);
        put(data, TABLE_AT, 0x4001, 4);
        put(root, 0, 0x4004, 4); /* a partition */
        root[4] = 1;             /* in use */
        put(root, 17, ROOT_AT, 8);
        put(root, 25, SEED_SIZE - ROOT_AT, 8);
        put(root, 201, 1, 4); /* squashfs */
        put(root, 205, 2, 4); /* the primary one */
        memcpy(data + ROOT_AT, "hsqs", 4);
        return data;
}

/* Mostly in the header and the second descriptor, which is the root. */
size_t fuzz_mutate(uint8_t *data, size_t size, size_t capacity, uint64_t *random)
{
        const size_t at = TABLE_AT + unit_random(random) % 3 * SIF_DESCRIPTOR_SIZE / 2;
        uint32_t value;

        (void)capacity;
        if (unit_random(random) % 2 || size < at + 256)
                return fuzz_mutate_bytes(data, size, random);
        uint8_t *field =
                data + (unit_random(random) % 2 ? SIF_TABLE_AT : at) + unit_random(random) % 240;
        memcpy(&value, field, sizeof value);
        value = fuzz_mutate_number(value, random);
        memcpy(field, &value, sizeof value);
        return size;
}
