/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_worker_blame.h"

#include "fmt_cleanup.h"
#include "jit_archive.h"
#include "jit_bitcode_protocol.h"
#include "jit_worker_run.h"

#include <fcntl.h>
#include <sys/mman.h>

#define _cleanup_file_ _cleanup_(jit_worker_file_done)
#define _cleanup_writer_ _cleanup_(jit_archive_abandonp)

struct suspect {
        const char *name;
        struct jit_archive_member member;
};

struct suspects {
        const char *linker;
        struct suspect *all;
        size_t n;
};

/* The modules of one archive. */
static int collect(struct suspects *suspects, const struct fmt_variant *variant, bool lazy,
        const void *archive, size_t size)
{
        struct jit_archive_member member;
        size_t cursor = 0;
        for (size_t i = 0; i < variant->n_inputs; i++) {
                const struct fmt_input *input = &variant->inputs[i];
                if (input->lazy != lazy)
                        continue;
                if (jit_archive_next(archive, size, &cursor, &member) <= 0)
                        return -EBADMSG;
                if (input->kind == FMT_INPUT_MODULE)
                        suspects->all[suspects->n++] = (struct suspect){input->name, member};
        }
        return 0;
}

static int write_some(const struct suspects *suspects, size_t from, size_t to, int fd)
{
        _cleanup_free_ const char **names = calloc(to - from + 1, sizeof *names);
        _cleanup_writer_ struct jit_archive_writer *writer = NULL;
        if (!names)
                return -ENOMEM;
        for (size_t i = from; i < to; i++)
                names[i - from] = suspects->all[i].name;
        int r = jit_archive_begin(fd, names, to - from, &writer);
        for (size_t i = from; i < to && r == 0; i++)
                r = jit_archive_append(
                        writer, suspects->all[i].member.data, suspects->all[i].member.size);
        return r < 0 ? r : jit_archive_end(steal_pointer(&writer));
}

/* Whether the modules [FROM, TO) can be compiled. */
static bool compiles(const struct suspects *suspects, size_t from, size_t to)
{
        _cleanup_file_ struct jit_worker_file some = {.fd = -1};
        _cleanup_free_ char *reason = NULL;
        if (jit_worker_file_new("suspects", &some) < 0 ||
                write_some(suspects, from, to, some.fd) < 0)
                return true;
        char *argv[] = {(char *)"ld.lld", (char *)"-r", (char *)"-o", (char *)"-",
                (char *)"--lto-O0", (char *)"--no-dependent-libraries", (char *)"--whole-archive",
                some.path, NULL};
        return jit_worker_run(suspects->linker, argv, -1, JIT_WORKER_OUTPUT, &reason) == 0;
}

static const char *search(const struct suspects *suspects)
{
        size_t from = 0, to = suspects->n;
        if (to == 0 || compiles(suspects, from, to))
                return NULL;
        while (to - from > 1) {
                size_t middle = from + (to - from) / 2;
                if (!compiles(suspects, from, middle))
                        to = middle;
                else if (!compiles(suspects, middle, to))
                        from = middle;
                else
                        return NULL;
        }
        return suspects->all[from].name;
}

const char *jit_worker_blame(const char *linker, const struct jit_worker_parts *parts)
{
        const void *inputs = NULL, *lazy = NULL;
        size_t inputs_size = 0, lazy_size = 0;
        const char *name = NULL;
        struct suspects suspects = {.linker = linker,
                .all = calloc(parts->variant->n_inputs + 1, sizeof(struct suspect))};
        int r = suspects.all ? jit_bitcode_map(parts->inputs.fd, &inputs, &inputs_size) : -ENOMEM;
        if (r == 0 && parts->lazy.fd >= 0)
                r = jit_bitcode_map(parts->lazy.fd, &lazy, &lazy_size);
        if (r == 0)
                r = collect(&suspects, parts->variant, false, inputs, inputs_size);
        if (r == 0 && lazy)
                r = collect(&suspects, parts->variant, true, lazy, lazy_size);
        if (r == 0)
                name = search(&suspects);
        if (inputs)
                munmap((void *)inputs, inputs_size);
        if (lazy)
                munmap((void *)lazy, lazy_size);
        free(suspects.all);
        return name;
}
