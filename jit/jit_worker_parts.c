/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_worker_parts.h"

#include "fmt_cleanup.h"
#include "jit_archive.h"
#include "jit_worker_runtime.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define _cleanup_writer_ _cleanup_(jit_archive_abandonp)
#define _cleanup_view_ _cleanup_(unmap)

struct view {
        void *data;
        size_t size;
};

static void unmap(struct view *view)
{
        if (view->data)
                munmap(view->data, view->size);
}

static int map(int fd, struct view *ret)
{
        struct stat st;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size == 0)
                return -EBADMSG;
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED)
                return -errno;
        *ret = (struct view){data, (size_t)st.st_size};
        return 0;
}

/* Most of a stub is zeros, which need no memory where they are not written. */
static int write_sparse(int fd, const char *data, size_t size)
{
        static const char zeros[4096];
        if (ftruncate(fd, (off_t)size) < 0)
                return -errno;
        for (size_t at = 0; at < size;) {
                size_t length = size - at < sizeof zeros ? size - at : sizeof zeros;
                if (memcmp(data + at, zeros, length) == 0) {
                        at += length;
                        continue;
                }
                ssize_t n = pwrite(fd, data + at, length, (off_t)at);
                if (n < 0 && errno != EINTR)
                        return -errno;
                at += n > 0 ? (size_t)n : 0;
        }
        return 0;
}

static void name_file(int fd, struct jit_worker_file *ret)
{
        ret->fd = fd;
        snprintf(ret->path, sizeof ret->path, "/proc/self/fd/%d", fd);
}

int jit_worker_file_new(const char *name, struct jit_worker_file *ret)
{
        int fd = memfd_create(name, 0); /* ld.lld inherits it */
        if (fd < 0)
                return -errno;
        name_file(fd, ret);
        return 0;
}

void jit_worker_file_done(struct jit_worker_file *file)
{
        if (file->fd >= 0)
                close(file->fd);
        file->fd = -1;
}

/* ---- spares ---- */

int jit_worker_parts_begin(size_t n, struct jit_worker_parts *ret)
{
        *ret = JIT_WORKER_NO_PARTS;
        ret->spares = calloc(n + 1, sizeof *ret->spares);
        int r = ret->spares ? 0 : -ENOMEM;
        for (; ret->n_spares < n && r == 0; ret->n_spares += r == 0)
                r = jit_worker_file_new("part", &ret->spares[ret->n_spares]);
        return r;
}

int jit_worker_parts_take(struct jit_worker_parts *parts, struct jit_worker_file *ret)
{
        if (parts->n_spares == 0)
                return -EBADMSG;
        *ret = parts->spares[--parts->n_spares];
        return 0;
}

void jit_worker_parts_return(struct jit_worker_parts *parts, struct jit_worker_file *file)
{
        if (file->fd < 0)
                return;
        if (ftruncate(file->fd, 0) < 0 || lseek(file->fd, 0, SEEK_SET) < 0)
                jit_worker_file_done(file);
        else
                parts->spares[parts->n_spares++] = *file;
        file->fd = -1;
}

/* ---- the job ---- */

static bool is_called(const struct jit_archive_member *member, const char *name)
{
        return member->name_size == strlen(name) &&
               memcmp(member->name, name, member->name_size) == 0;
}

static int load_record(struct jit_worker_parts *parts, const struct jit_archive_member *member)
{
        int r = fmt_record_decode(member->data, member->size, &parts->record);
        if (r < 0)
                return r;
        if (parts->record->n_variants != 1)
                return -EBADMSG;
        parts->variant = parts->record->variants;
        size_t n_stubs = parts->variant->n_stubs, n_files = parts->variant->recipe.n_options;
        parts->stubs = calloc(n_stubs + 1, sizeof *parts->stubs);
        parts->files = calloc(n_files + 1, sizeof *parts->files);
        if (!parts->stubs || !parts->files)
                return -ENOMEM;
        for (size_t i = 0; i < n_stubs; i++)
                parts->stubs[i].fd = -1;
        for (size_t i = 0; i < n_files; i++)
                parts->files[i].fd = -1;
        return 0;
}

/* "stub-N" or "file-N" becomes a file of its own. */
static int load_file(struct jit_worker_parts *parts, const struct jit_archive_member *member)
{
        char name[32];
        if (!parts->record || member->name_size < 6 || member->name_size >= sizeof name)
                return -EBADMSG;
        memcpy(name, member->name, member->name_size);
        name[member->name_size] = '\0';
        bool is_stub = strncmp(name, "stub-", 5) == 0;
        size_t n = is_stub ? parts->variant->n_stubs : parts->variant->recipe.n_options;
        char *end;
        unsigned long index = strtoul(name + 5, &end, 10);
        if (*end || index >= n || (!is_stub && strncmp(name, "file-", 5) != 0))
                return -EBADMSG;
        struct jit_worker_file *file = is_stub ? &parts->stubs[index] : &parts->files[index];
        int r = file->fd < 0 ? jit_worker_parts_take(parts, file) : -EBADMSG;
        return r < 0 ? r : write_sparse(file->fd, member->data, member->size);
}

static int load_profile(struct jit_worker_parts *parts, const struct jit_archive_member *member)
{
        if (parts->profile.fd >= 0)
                return -EBADMSG;
        int r = jit_worker_file_new("profile", &parts->profile);
        return r < 0 ? r : write_sparse(parts->profile.fd, member->data, member->size);
}

static int load_job(struct jit_worker_parts *parts)
{
        _cleanup_view_ struct view job = {0};
        struct jit_archive_member member;
        size_t cursor = 0;
        int more, r = map(JIT_WORKER_JOB, &job);
        if (r < 0)
                return r;
        while ((more = jit_archive_next(job.data, job.size, &cursor, &member)) > 0) {
                if (is_called(&member, "job"))
                        r = jit_worker_job_decode(member.data, member.size, &parts->job);
                else if (is_called(&member, "record"))
                        r = load_record(parts, &member);
                else if (is_called(&member, "profile"))
                        r = load_profile(parts, &member);
                else
                        r = load_file(parts, &member);
                if (r < 0)
                        return r;
        }
        return more < 0 ? more : parts->variant && parts->job.size ? 0 : -EBADMSG;
}

int jit_worker_parts_load(struct jit_worker_parts *parts)
{
        struct stat lazy;
        eventfd_t complete;
        if (eventfd_read(JIT_WORKER_GO, &complete) < 0 || fstat(JIT_WORKER_LAZY, &lazy) < 0)
                return -errno;
        name_file(JIT_WORKER_INPUTS, &parts->inputs);
        if (lazy.st_size > 0)
                name_file(JIT_WORKER_LAZY, &parts->lazy);
        int r = load_job(parts);
        return r == 0 && parts->job.counts_folder ? jit_worker_runtime(parts) : r;
}

void jit_worker_parts_done(struct jit_worker_parts *parts)
{
        for (size_t i = 0; parts->stubs && i < parts->variant->n_stubs; i++)
                jit_worker_file_done(&parts->stubs[i]);
        for (size_t i = 0; parts->files && i < parts->variant->recipe.n_options; i++)
                jit_worker_file_done(&parts->files[i]);
        while (parts->n_spares > 0)
                jit_worker_file_done(&parts->spares[--parts->n_spares]);
        free(parts->spares);
        free(parts->stubs);
        free(parts->files);
        jit_worker_file_done(&parts->inputs);
        jit_worker_file_done(&parts->lazy);
        jit_worker_file_done(&parts->profile);
        jit_worker_file_done(&parts->runtime);
        jit_worker_job_done(&parts->job);
        fmt_record_free(parts->record);
        *parts = JIT_WORKER_NO_PARTS;
}

/* ---- writing an archive again ---- */

static int write_members(struct jit_archive_writer *writer, const struct fmt_variant *variant,
        const struct view *old, bool lazy, jit_worker_replacer *replace, void *context)
{
        struct jit_archive_member member;
        size_t cursor = 0;
        int r = 0;
        for (size_t i = 0; i < variant->n_inputs && r == 0; i++) {
                _cleanup_free_ void *data = NULL;
                size_t size;
                if (variant->inputs[i].lazy != lazy)
                        continue;
                r = jit_archive_next(old->data, old->size, &cursor, &member);
                if (r <= 0)
                        return r < 0 ? r : -EBADMSG;
                r = replace(context, &variant->inputs[i], &data, &size);
                if (r >= 0)
                        r = jit_archive_append(
                                writer, r ? data : member.data, r ? size : member.size);
        }
        return r;
}

int jit_worker_rewrite(struct jit_worker_parts *parts, bool lazy, jit_worker_replacer *replace,
        void *context, struct jit_worker_file *ret)
{
        const struct fmt_variant *variant = parts->variant;
        _cleanup_free_ const char **names = calloc(variant->n_inputs + 1, sizeof *names);
        _cleanup_writer_ struct jit_archive_writer *writer = NULL;
        _cleanup_view_ struct view old = {0};
        size_t n = 0;
        if (!names)
                return -ENOMEM;
        for (size_t i = 0; i < variant->n_inputs; i++)
                if (variant->inputs[i].lazy == lazy)
                        names[n++] = variant->inputs[i].name;
        int r = map(lazy ? parts->lazy.fd : parts->inputs.fd, &old);
        if (r == 0)
                r = jit_worker_parts_take(parts, ret);
        if (r < 0)
                return r;
        r = jit_archive_begin(ret->fd, names, n, &writer);
        if (r == 0)
                r = write_members(writer, variant, &old, lazy, replace, context);
        if (r == 0)
                r = jit_archive_end(steal_pointer(&writer));
        if (r < 0)
                jit_worker_parts_return(parts, ret);
        return r;
}

int jit_worker_read(const char *path, char **ret_data, size_t *ret_size)
{
        struct stat st;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        _cleanup_free_ char *data = malloc((size_t)st.st_size + 1);
        if (!data)
                return -ENOMEM;
        for (off_t at = 0; at < st.st_size;) {
                ssize_t n = pread(fd, data + at, (size_t)(st.st_size - at), at);
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                at += n;
        }
        data[st.st_size] = '\0';
        *ret_data = steal_pointer(&data);
        *ret_size = (size_t)st.st_size;
        return 0;
}
