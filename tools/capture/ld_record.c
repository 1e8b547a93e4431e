/* SPDX-License-Identifier: Apache-2.0 */
#include "ld_record.h"

#include "capture_programs.h"
#include "fmt_cleanup.h"
#include "ld_environment.h"
#include "ld_object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BUNDLE_LEVEL 3 /* read once, by pack: speed of the build counts more */

int ld_record_new(const struct jit_link_line *line, struct ld_record *ret)
{
        *ret = (struct ld_record){.line = line};
        int r = fmt_record_new(&ret->record);
        if (r == 0)
                r = fmt_record_add_variant(ret->record, "default", &ret->variant);
        if (r == 0)
                r = fmt_bundle_writer_new(BUNDLE_LEVEL, &ret->writer);
        if (r < 0)
                ld_record_done(ret);
        return r;
}

void ld_record_done(struct ld_record *record)
{
        for (size_t i = 0; i < record->n_files; i++)
                ld_file_free(record->files[i]);
        free(record->files);
        fmt_bundle_writer_free(record->writer);
        fmt_record_free(record->record);
        *record = (struct ld_record){0};
}

int ld_record_file(struct ld_record *record, const char *path, struct ld_file **ret)
{
        for (size_t i = 0; i < record->n_files; i++)
                if (strcmp(record->files[i]->path, path) == 0) {
                        *ret = record->files[i];
                        return 0;
                }
        struct ld_file **grown =
                realloc(record->files, (record->n_files + 1) * sizeof(*record->files));
        if (!grown)
                return -ENOMEM;
        record->files = grown;
        int r = ld_file_open(path, ret);
        if (r == 0)
                grown[record->n_files++] = *ret;
        return r;
}

int ld_record_keep_native(struct ld_record *record, const char *reason)
{
        return fmt_strings_append(&record->record->kept_native, reason);
}

/* ---- inputs ---- */

static int add_input(struct ld_record *record, enum fmt_input_kind kind, const char *name,
        const void *data, size_t size, struct fmt_input **ret)
{
        struct fmt_input *input = NULL;
        int r = fmt_variant_add_input(record->variant, &input);
        if (r < 0)
                return r;
        input->kind = kind;
        input->size = size;
        input->name = strdup(name);
        input->module.raw = kind == FMT_INPUT_MODULE;
        r = input->name ? 0 : -ENOMEM;
        if (r == 0)
                r = fmt_bundle_add(record->writer,
                        kind == FMT_INPUT_MODULE ? FMT_BLOB_MODULE : FMT_BLOB_NATIVE, data, size,
                        &input->digest);
        *ret = input;
        return r;
}

static void free_bundle(struct fmt_bundle **bundle)
{
        fmt_bundle_free(*bundle);
}

/* The parts of an object that `ld -r` made (ld_relocatable.c). */
static int add_list(struct ld_record *record, const struct ld_object *object, bool lazy)
{
        struct fmt_source_memory memory = {object->bitcode, object->bitcode_size};
        _cleanup_(free_bundle) struct fmt_bundle *bundle = NULL;
        _cleanup_(fmt_record_freep) struct fmt_record *inner = NULL;
        _cleanup_free_ void *json = NULL;
        struct fmt_digest root;
        size_t size = 0;
        int r = fmt_bundle_open(fmt_source_of_memory(&memory), &bundle);
        if (r < 0)
                return r;
        fmt_bundle_root(bundle, &root);
        r = fmt_bundle_read(bundle, &root, &json, &size);
        if (r == 0)
                r = fmt_record_decode(json, size, &inner);
        if (r == 0 && inner->n_variants != 1)
                r = -EBADMSG;
        if (r == 0 && inner->variants[0].recipe.interposable)
                record->variant->recipe.interposable = true;
        for (size_t i = 0; r == 0 && i < inner->variants[0].n_inputs; i++) {
                const struct fmt_input *part = &inner->variants[0].inputs[i];
                _cleanup_free_ void *data = NULL;
                struct fmt_input *input = NULL;
                r = fmt_bundle_read(bundle, &part->digest, &data, &size);
                if (r == 0)
                        r = add_input(record, part->kind, part->name, data, size, &input);
                if (r < 0)
                        return r;
                input->lazy = lazy || part->lazy;
                input->has_constructors = part->has_constructors;
                record->n_modules += part->kind == FMT_INPUT_MODULE;
                record->n_natives += part->kind == FMT_INPUT_NATIVE;
        }
        return r;
}

static int take_producer(struct ld_record *record, struct ld_object *object)
{
        if (!record->record->producer && object->producer)
                record->record->producer = steal_pointer(&object->producer);
        return 0;
}

/* An import takes the .symver directives of its module along, but not what they name. */
static int see_version(void *context, const char *name, bool defined)
{
        bool *found = context;
        if (defined && strstr(name, "@@"))
                *found = true;
        return 0;
}

int ld_record_add_object(
        struct ld_record *record, const char *name, const void *data, size_t size, bool lazy)
{
        _cleanup_(ld_object_done) struct ld_object object;
        struct fmt_input *input = NULL;
        int r = ld_object_read(data, size, &object);
        if (r < 0)
                return r;
        if (object.is_list)
                return add_list(record, &object, lazy);
        if (object.bitcode) {
                take_producer(record, &object);
                record->n_modules++;
                r = ld_object_symbols(
                        data, size, see_version, &record->variant->recipe.interposable);
                if (r < 0)
                        return r;
                r = add_input(record, FMT_INPUT_MODULE, name, object.bitcode, object.bitcode_size,
                        &input);
                if (r == 0)
                        input->lazy = lazy;
                return r;
        }
        if (object.is_gcc_lto && record->line->uses_gcc_plugin)
                return ld_record_keep_native(record, "gcc's -flto took part in the link");
        record->n_natives++;
        r = add_input(record, FMT_INPUT_NATIVE, name, data, size, &input);
        if (r == 0) {
                input->lazy = lazy;
                input->has_constructors = object.has_constructors;
        }
        return r;
}

/* A name for people that never tells where on the build machine the file lay. */
static int input_name(const char *path, const char *member, char **ret)
{
        const char *scratch = getenv(LD_SCRATCH_VARIABLE);
        const char *base = capture_base_name(path);
        if (member && *member)
                return asprintf(ret, "%s(%s)", base, member) < 0 ? -ENOMEM : 0;
        if (scratch && strncmp(path, scratch, strlen(scratch)) == 0) {
                const char *plus = strchr(base, '+');
                *ret = strdup(plus ? plus + 1 : base);
                if (*ret && strlen(*ret) > 2)
                        (*ret)[strlen(*ret) - 2] = 0; /* SOURCE.o */
                return *ret ? 0 : -ENOMEM;
        }
        while (strncmp(path, "./", 2) == 0)
                path += 2;
        *ret = strdup(path[0] == '/' || strstr(path, "..") ? base : path);
        return *ret ? 0 : -ENOMEM;
}

static int add_member(struct ld_record *record, struct ld_file *archive, size_t index, bool lazy)
{
        const struct ld_member *member = NULL;
        _cleanup_free_ char *name = NULL;
        int r = ld_file_member(archive, index, &member);
        if (r == 0)
                r = input_name(archive->path, member->name, &name);
        return r < 0 ? r : ld_record_add_object(record, name, member->data, member->size, lazy);
}

/* Members may share a name: the symbol that one was taken for tells which; where that is not
 * said, as many as were taken are all of them, or else the linker decides again (lazy). */
static int add_taken_member(struct ld_record *record, const struct ld_taken_list *taken,
        size_t item, struct ld_file *archive)
{
        const struct ld_taken *wanted = &taken->items[item];
        size_t named = 0, same = 0, rank = 0, chosen = SIZE_MAX;
        for (size_t i = 0; i < taken->n; i++) {
                bool equal = taken->items[i].member &&
                             strcmp(taken->items[i].path, wanted->path) == 0 &&
                             strcmp(taken->items[i].member, wanted->member) == 0;
                same += equal;
                rank += equal && i < item;
        }
        for (size_t i = 0; i < archive->n_members; i++) {
                if (!ld_member_is(&archive->members[i], wanted->member))
                        continue;
                if (wanted->symbol && ld_file_defines(archive, i, wanted->symbol))
                        chosen = i;
                else if (chosen == SIZE_MAX && named == rank && !wanted->symbol)
                        chosen = i;
                named++;
        }
        if (named == 0)
                return -ENOENT;
        bool sure = named == 1 || named == same ||
                    (wanted->symbol && chosen != SIZE_MAX &&
                            ld_file_defines(archive, chosen, wanted->symbol));
        size_t seen = 0;
        for (size_t i = 0; i < archive->n_members; i++) {
                if (!ld_member_is(&archive->members[i], wanted->member))
                        continue;
                bool mine = chosen == SIZE_MAX ? seen == rank : i == chosen;
                if (sure ? mine : rank == 0) {
                        int r = add_member(record, archive, i, !sure);
                        if (r < 0)
                                return r;
                }
                seen++;
        }
        return 0;
}

/* Input files that are text may only name other files, which the linker then told us about. */
static int check_script(struct ld_record *record, const struct ld_file *file)
{
        static const char *const commands[] = {"SECTIONS", "PHDRS", "MEMORY", "VERSION", "PROVIDE",
                "ENTRY", "EXTERN", "ASSERT", "INSERT", "OVERLAY", NULL};
        for (const char *const *command = commands; *command; command++)
                if (memmem(file->data, file->size, *command, strlen(*command))) {
                        _cleanup_free_ char *reason = NULL;
                        if (asprintf(&reason, "%s: linker scripts cannot be repeated",
                                    capture_base_name(file->path)) < 0)
                                return -ENOMEM;
                        return ld_record_keep_native(record, reason);
                }
        return 0;
}

int ld_record_add_taken(struct ld_record *record, const struct ld_taken_list *taken)
{
        for (size_t i = 0; i < taken->n; i++) {
                const struct ld_taken *item = &taken->items[i];
                _cleanup_free_ char *name = NULL;
                struct ld_file *file = NULL;
                int r = ld_record_file(record, item->path, &file);
                if (r == 0 && file->kind == LD_ARCHIVE && item->member)
                        r = add_taken_member(record, taken, i, file);
                else if (r == 0 && file->kind == LD_SCRIPT)
                        r = check_script(record, file);
                else if (r == 0 && file->kind == LD_FOREIGN)
                        r = ld_record_keep_native(record, "an input is not ELF for x86-64");
                else if (r == 0 && file->kind == LD_OBJECT) {
                        r = input_name(item->path, NULL, &name);
                        if (r == 0)
                                r = ld_record_add_object(
                                        record, name, file->data, file->size, false);
                }
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- the end ---- */

int ld_record_finish(struct ld_record *record, void **ret_data, size_t *ret_size)
{
        _cleanup_free_ char *json = NULL;
        size_t size = 0;
        struct fmt_digest root;
        uint64_t written = 0;
        if (!record->record->producer && !(record->record->producer = strdup("unknown")))
                return -ENOMEM;
        size_t n_variants = record->record->n_variants;
        if (fmt_strings_count(record->record->kept_native) > 0) {
                /* Nobody will ask for the parts of a program that cannot be put together. */
                fmt_bundle_writer_free(record->writer);
                record->writer = NULL;
                record->record->n_variants = 0; /* for the encoder; the slots stay owned */
                int r = fmt_bundle_writer_new(BUNDLE_LEVEL, &record->writer);
                if (r < 0) {
                        record->record->n_variants = n_variants;
                        return r;
                }
        }
        int r = fmt_record_encode(record->record, &json, &size);
        record->record->n_variants = n_variants;
        if (r == 0)
                r = fmt_bundle_add(record->writer, FMT_BLOB_MANIFEST, json, size, &root);
        if (r < 0)
                return r;
        _cleanup_close_ int fd = memfd_create("bundle", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = fmt_bundle_write(record->writer, &root, 1, fd, &written);
        if (r < 0)
                return r;
        _cleanup_free_ char *data = malloc(written ? written : 1);
        if (!data)
                return -ENOMEM;
        for (uint64_t at = 0; at < written;) {
                ssize_t n = pread(fd, data + at, written - at, (off_t)at);
                if (n <= 0)
                        return -EIO;
                at += (uint64_t)n;
        }
        *ret_data = steal_pointer(&data);
        *ret_size = written;
        return 0;
}
