/* SPDX-License-Identifier: Apache-2.0 */
/* The recipe: what the output says itself, what the command line said, and stubs of the shared
 * libraries. */
#include "ld_record.h"

#include "capture_programs.h"
#include "fmt_cleanup.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static enum fmt_output_kind kind_of(
        const struct jit_link_line *line, const struct fmt_elf_facts *facts)
{
        if (line->kind == FMT_OUTPUT_SHARED)
                return FMT_OUTPUT_SHARED;
        if (facts->type == ET_DYN)
                return facts->interpreter ? FMT_OUTPUT_PIE : FMT_OUTPUT_STATIC_PIE;
        return facts->interpreter || facts->has_dynamic ? FMT_OUTPUT_EXECUTABLE : FMT_OUTPUT_STATIC;
}

static int copy_string(const char *from, char **ret)
{
        *ret = from ? strdup(from) : NULL;
        return *ret || !from ? 0 : -ENOMEM;
}

static int add_option(struct ld_record *record, const char *text, const void *data, size_t size)
{
        struct fmt_option *option = NULL;
        int r = fmt_variant_add_option(record->variant, &option);
        if (r == 0)
                r = copy_string(text, &option->text);
        if (r == 0 && data) {
                option->has_file = true;
                r = fmt_bundle_add(record->writer, FMT_BLOB_TEXT, data, size, &option->file);
        }
        return r;
}

/* Options of the line; a file's name is left out of the text, its content goes along. */
static int add_line_options(struct ld_record *record)
{
        const struct jit_link_line *line = record->line;
        for (size_t i = 0; i < line->n_options; i++) {
                const struct jit_link_option_given *given = &line->options[i];
                struct ld_file *file = NULL;
                int r = 0;
                if (given->file)
                        r = ld_record_file(record, given->file, &file);
                if (r == 0)
                        r = add_option(record, given->text, file ? file->data : NULL,
                                file ? file->size : 0);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool has_option(const struct jit_link_line *line, const char *prefix)
{
        for (size_t i = 0; i < line->n_options; i++)
                if (strncmp(line->options[i].text, prefix, strlen(prefix)) == 0)
                        return true;
        return false;
}

/* What the linker did unasked, read off its output. */
static int add_defaults(struct ld_record *record, const struct fmt_elf_facts *facts)
{
        const struct jit_link_line *line = record->line;
        int r = 0;
        if (facts->has_dynamic && !has_option(line, "--hash-style="))
                r = add_option(record,
                        !facts->has_gnu_hash   ? "--hash-style=sysv"
                        : facts->has_sysv_hash ? "--hash-style=both"
                                               : "--hash-style=gnu",
                        NULL, 0);
        if (r == 0 && facts->executable_stack && !has_option(line, "-z execstack"))
                r = add_option(record, "-z execstack", NULL, 0);
        return r;
}

/* --exclude-libs speaks of archives, which a relink does not have: say instead what is exported. */
static int add_exclusions(struct ld_record *record, int fd)
{
        char **exports = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        if (!record->line->excludes_libraries)
                return 0;
        if (has_option(record->line, "--version-script="))
                return ld_record_keep_native(
                        record, "--exclude-libs together with a version script cannot be repeated");
        int r = fmt_elf_exports(fd, true, &exports);
        if (r < 0)
                return r;
        FILE *file = open_memstream(&text, &size);
        if (file) {
                fputs("{\n", file);
                if (exports[0])
                        fputs("global:\n", file);
                for (size_t i = 0; exports[i]; i++)
                        fprintf(file, "\"%s\";\n", exports[i]);
                fputs("local: *;\n};\n", file);
        }
        fmt_strings_free(exports);
        if (!file || fclose(file) != 0)
                return -ENOMEM;
        return add_option(record, "--version-script=", text, size);
}

static int add_shape(struct ld_record *record, const struct fmt_elf_facts *facts)
{
        struct fmt_recipe *recipe = &record->variant->recipe;
        recipe->kind = kind_of(record->line, facts);
        recipe->rpath_is_old = facts->rpath_is_old;
        if (recipe->kind == FMT_OUTPUT_SHARED && !record->line->binds_symbols)
                recipe->interposable = true;
        int r = copy_string(facts->interpreter, &recipe->interpreter);
        if (r == 0)
                r = copy_string(facts->soname, &recipe->soname);
        if (r == 0)
                r = copy_string(facts->rpath, &recipe->rpath);
        for (size_t i = 0; facts->needed[i] && r == 0; i++)
                r = fmt_strings_append(&recipe->needed, facts->needed[i]);
        return r;
}

/* ---- stubs ---- */

static bool is_needed(const struct fmt_elf_facts *output, const char *name)
{
        for (char *const *needed = output->needed; *needed; needed++)
                if (strcmp(*needed, name) == 0)
                        return true;
        return false;
}

static bool has_stub(const struct ld_record *record, const char *soname)
{
        for (size_t i = 0; i < record->variant->n_stubs; i++)
                if (strcmp(record->variant->stubs[i].soname, soname) == 0)
                        return true;
        return false;
}

static int add_stub(struct ld_record *record, const char *path, const struct fmt_elf_facts *output)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        _cleanup_(fmt_elf_facts_done) struct fmt_elf_facts facts = {0};
        _cleanup_free_ void *data = NULL;
        size_t size = 0;
        if (fd < 0)
                return -errno;
        int r = fmt_elf_read(fd, &facts);
        if (r < 0)
                return r;
        /* Without a SONAME, NEEDED holds the name that the linker was given or found. */
        const char *soname = facts.soname;
        if (!soname)
                soname = is_needed(output, path) ? path : capture_base_name(path);
        if (has_stub(record, soname))
                return 0;
        r = fmt_elf_stub(fd, soname, &data, &size);
        struct fmt_stub *stub = NULL;
        if (r == 0)
                r = fmt_variant_add_stub(record->variant, &stub);
        if (r < 0)
                return r;
        stub->size = size;
        stub->needed = is_needed(output, soname);
        r = copy_string(soname, &stub->soname);
        return r < 0 ? r : fmt_bundle_add(record->writer, FMT_BLOB_STUB, data, size, &stub->digest);
}

/* libm is there wherever libc is, and code for another host may call it though this one's had an
 * instruction for it. */
static int add_libm(struct ld_record *record, const char *libc, const struct fmt_elf_facts *output)
{
        _cleanup_free_ char *path = NULL;
        if (asprintf(&path, "%.*slibm.so.6", (int)(capture_base_name(libc) - libc), libc) < 0)
                return -ENOMEM;
        int r = access(path, R_OK) == 0 ? add_stub(record, path, output) : 0;
        return r == -ENOEXEC ? 0 : r;
}

static int add_stubs(struct ld_record *record, const struct ld_taken_list *taken,
        const struct fmt_elf_facts *output)
{
        const char *libc = NULL;
        for (size_t i = 0; i < taken->n; i++) {
                struct ld_file *file = NULL;
                int r = ld_record_file(record, taken->items[i].path, &file);
                if (r == 0 && file->kind == LD_LIBRARY) {
                        r = add_stub(record, file->path, output);
                        if (strcmp(capture_base_name(file->path), "libc.so.6") == 0)
                                libc = file->path;
                }
                if (r < 0)
                        return r;
        }
        return libc ? add_libm(record, libc, output) : 0;
}

int ld_record_add_recipe(struct ld_record *record, const struct ld_taken_list *taken, int fd,
        const struct fmt_elf_facts *facts, enum fmt_linker linker)
{
        record->variant->recipe.linker = linker;
        int r = add_shape(record, facts);
        if (r == 0)
                r = add_line_options(record);
        if (r == 0)
                r = add_defaults(record, facts);
        if (r == 0)
                r = add_exclusions(record, fd);
        if (r == 0 && facts->has_dynamic)
                r = add_stubs(record, taken, facts);
        if (r == 0) {
                fmt_strings_free(record->variant->exports);
                record->variant->exports = NULL;
                r = fmt_elf_exports(fd, false, &record->variant->exports);
        }
        return r;
}
