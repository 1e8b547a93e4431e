/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_bitcode_protocol.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

static const char question_magic[8] = {'x', 'a', 'a', 's', 'b', 'c', 'I', 'N'};
static const char answer_magic[8] = {'x', 'a', 'a', 's', 'b', 'O', 'U', 'T'};

struct question_head {
        char magic[8];
        uint32_t flags;
        uint32_t zero;
        uint64_t size;
};

struct answer_head {
        char magic[8];
        uint32_t error;
        uint32_t flags;
        uint64_t size;
        uint32_t reason_size;
        uint32_t required_size;
        uint32_t extras_size;
        uint32_t functions;
        uint32_t profiled;
        uint32_t changed;
        uint64_t zero;
};

static size_t padding(uint64_t size)
{
        return (size_t)(-size & 7);
}

static int write_all(int fd, struct iovec *parts, int n)
{
        while (n > 0) {
                ssize_t done = writev(fd, parts, n);
                if (done < 0 && errno == EINTR)
                        continue;
                if (done < 0)
                        return -errno;
                while (n > 0 && (size_t)done >= parts->iov_len) {
                        done -= (ssize_t)parts->iov_len;
                        parts++;
                        n--;
                }
                if (n > 0) {
                        parts->iov_base = (char *)parts->iov_base + done;
                        parts->iov_len -= (size_t)done;
                }
        }
        return 0;
}

int jit_bitcode_ask(int fd, const struct jit_bitcode_question *question)
{
        static const char zeros[8];
        struct question_head head = {
                .flags = htole32(question->flags), .size = htole64(question->size)};
        struct iovec parts[] = {{&head, sizeof(head)}, {(void *)question->data, question->size},
                {(void *)zeros, padding(question->size)}};

        memcpy(head.magic, question_magic, sizeof(head.magic));
        return write_all(fd, parts, 3);
}

int jit_bitcode_reply(int fd, const struct jit_bitcode_answer *answer)
{
        static const char zeros[8];
        struct answer_head head = {.error = htole32((uint32_t)-answer->error),
                .flags = htole32(answer->flags),
                .size = htole64(answer->size),
                .reason_size = htole32((uint32_t)answer->reason_size),
                .required_size = htole32((uint32_t)answer->required_size),
                .extras_size = htole32((uint32_t)answer->extras_size),
                .functions = htole32(answer->functions),
                .profiled = htole32(answer->profiled),
                .changed = htole32(answer->changed)};
        uint64_t body = (uint64_t)answer->size + answer->reason_size + answer->required_size +
                        answer->extras_size;
        struct iovec parts[] = {{&head, sizeof(head)}, {(void *)answer->data, answer->size},
                {(void *)answer->reason, answer->reason_size},
                {(void *)answer->required, answer->required_size},
                {(void *)answer->extras, answer->extras_size}, {(void *)zeros, padding(body)}};

        memcpy(head.magic, answer_magic, sizeof(head.magic));
        return write_all(fd, parts, 6);
}

int jit_bitcode_next_question(
        const void *buffer, size_t size, size_t *offset, struct jit_bitcode_question *ret)
{
        struct question_head head;
        size_t left = size - *offset;

        if (left == 0)
                return 0;
        const char *at = (const char *)buffer + *offset;
        if (left < sizeof(head))
                return -EBADMSG;
        memcpy(&head, at, sizeof(head));
        uint64_t module = le64toh(head.size);
        left -= sizeof(head);
        if (memcmp(head.magic, question_magic, sizeof(head.magic)) || head.zero || module > left ||
                padding(module) > left - module)
                return -EBADMSG;
        ret->flags = le32toh(head.flags);
        ret->data = at + sizeof(head);
        ret->size = (size_t)module;
        *offset += sizeof(head) + (size_t)module + padding(module);
        return 1;
}

/* Takes SIZE bytes off *LEFT; NULL if there are not that many. */
static const char *take(const char **at, size_t *left, uint64_t size)
{
        const char *taken = *at;

        if (size > *left)
                return NULL;
        *at += size;
        *left -= (size_t)size;
        return taken;
}

int jit_bitcode_next_answer(
        const void *buffer, size_t size, size_t *offset, struct jit_bitcode_answer *ret)
{
        struct answer_head head;
        size_t left = size - *offset;

        if (left == 0)
                return 0;
        const char *at = (const char *)buffer + *offset;
        const char *start = at;
        const char *raw = take(&at, &left, sizeof(head));
        if (!raw)
                return -EBADMSG;
        memcpy(&head, raw, sizeof(head));
        uint32_t error = le32toh(head.error);
        ret->error = error ? -EBADMSG : 0;
        ret->flags = le32toh(head.flags);
        ret->size = (size_t)le64toh(head.size);
        ret->reason_size = le32toh(head.reason_size);
        ret->required_size = le32toh(head.required_size);
        ret->extras_size = le32toh(head.extras_size);
        ret->functions = le32toh(head.functions);
        ret->profiled = le32toh(head.profiled);
        ret->changed = le32toh(head.changed);
        ret->data = take(&at, &left, ret->size);
        ret->reason = take(&at, &left, ret->reason_size);
        ret->required = take(&at, &left, ret->required_size);
        ret->extras = take(&at, &left, ret->extras_size);
        if (memcmp(head.magic, answer_magic, sizeof(head.magic)) || head.zero ||
                (error && error != EBADMSG) || (error && ret->size) || !ret->data || !ret->reason ||
                !ret->required || !ret->extras)
                return -EBADMSG;
        if (!take(&at, &left, padding((uint64_t)(at - start))))
                return -EBADMSG;
        *offset += (size_t)(at - start);
        return 1;
}

int jit_bitcode_map(int fd, const void **ret, size_t *ret_size)
{
        struct stat st;

        *ret = NULL;
        *ret_size = 0;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size == 0)
                return 0;
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED)
                return -errno;
        *ret = map;
        *ret_size = (size_t)st.st_size;
        return 0;
}
