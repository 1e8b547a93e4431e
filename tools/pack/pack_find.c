/* SPDX-License-Identifier: Apache-2.0 */
/* pack_programs.h, first half: what the fat ELFs of a tree say. */
#include "fat_elf.h"
#include "fmt_cleanup.h"
#include "fmt_elf.h"
#include "fmt_log.h"
#include "jit_recipe.h"
#include "pack_programs.h"

#include <archive_entry.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

/* So many bytes of bitcode are held as the compiler wrote them before they are normalised. */
#define BATCH_BYTES ((size_t)256 << 20)

/* ---- one program ---- */

__attribute__((format(printf, 2, 3))) static int stay_native(
        struct pack_program *program, const char *format, ...)
{
        va_list arguments;

        if (program->native)
                return 0;
        va_start(arguments, format);
        int length = vasprintf(&program->native, format, arguments);
        va_end(arguments);
        if (length < 0) {
                program->native = NULL;
                return -ENOMEM;
        }
        return 0;
}

static int replace(char **string, const char *with)
{
        char *copy = with ? strdup(with) : NULL;

        if (with && !copy)
                return -ENOMEM;
        free(*string);
        *string = copy;
        return 0;
}

static int copy_needed(struct fmt_recipe *recipe, char *const *needed)
{
        char **list = calloc(1, sizeof *list);

        for (size_t i = 0; list && needed[i]; i++)
                if (fmt_strings_append(&list, needed[i]) < 0) {
                        fmt_strings_free(list);
                        return -ENOMEM;
                }
        if (!list)
                return -ENOMEM;
        fmt_strings_free(recipe->needed);
        recipe->needed = list;
        return 0;
}

/* Between link and pack people run patchelf, chrpath, cmake --install: what the file says now wins
 * over what was recorded. */
static int take_facts(struct fmt_variant *variant, int fd, const struct fmt_elf_facts *facts)
{
        struct fmt_recipe *recipe = &variant->recipe;
        char **exports;

        int r = fmt_elf_exports(fd, false, &exports);
        if (r < 0)
                return r;
        fmt_strings_free(variant->exports);
        variant->exports = exports;
        if ((r = replace(&recipe->interpreter, facts->interpreter)) < 0 ||
                (r = replace(&recipe->soname, facts->soname)) < 0 ||
                (r = replace(&recipe->rpath, facts->rpath)) < 0)
                return r;
        recipe->rpath_is_old = facts->rpath_is_old;
        return copy_needed(recipe, facts->needed);
}

/* The ELF as it will lie in the image: its digest, and the size that the promise is made of. */
static int measure_elf(const struct pack_programs *programs, struct pack_program *program, int fd)
{
        _cleanup_close_ int packed = -1;
        struct stat st;

        int r = fat_elf_strip(fd, programs->options->keep_debug, &packed);
        if (r < 0)
                return r;
        if (fstat(packed, &st) < 0)
                return -errno;
        program->elf_size = (uint64_t)st.st_size;
        return fat_elf_digest(packed, &program->elf);
}

static int take_modules(struct pack_programs *programs, struct pack_program *program,
        const struct fmt_variant *variant, const struct fmt_bundle *bundle)
{
        for (size_t i = 0; i < variant->n_inputs; i++) {
                const struct fmt_input *input = &variant->inputs[i];
                void *data;
                size_t size;
                if (input->kind != FMT_INPUT_MODULE ||
                        pack_modules_find(programs->modules, &input->digest))
                        continue;
                int r = fmt_bundle_read(bundle, &input->digest, &data, &size);
                if (r == -ENOENT || r == -EBADMSG)
                        return stay_native(program,
                                "its record is damaged: module %s cannot be read", input->name);
                if (r < 0)
                        return r;
                r = pack_modules_add(programs->modules, &input->digest, input->name, data, size);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int check_variant(struct pack_program *program, const struct fmt_variant *variant)
{
        size_t modules = 0;

        if (jit_recipe_check(&variant->recipe) < 0)
                return stay_native(program, "its link has options that cannot be repeated");
        for (size_t i = 0; i < variant->n_inputs; i++)
                modules += variant->inputs[i].kind == FMT_INPUT_MODULE;
        if (modules == 0)
                return stay_native(program, "none of its parts has bitcode");
        return 0;
}

static int read_program(struct pack_programs *programs, struct pack_program *program, int fd,
        const struct fmt_elf_facts *facts)
{
        _cleanup_(fat_elf_done) struct fat_elf fat = {0};

        int r = fat_elf_open(fd, &fat);
        if (r == -EPROTONOSUPPORT)
                return stay_native(program, "its record is of a later version of xaas");
        if (r == -EBADMSG || r == -EIO || r == -ENOENT)
                return stay_native(program, "its record is damaged");
        if (r < 0)
                return r;
        program->record = steal_pointer(&fat.record);
        if (program->record->n_variants == 0)
                return stay_native(program, "%s", program->record->kept_native[0]);
        if (facts->machine != EM_X86_64 || strcmp(program->record->machine, "x86_64") != 0)
                return stay_native(program, "it was captured for another machine than x86-64");
        if (!fmt_manifest_path_is_sane(program->name->path))
                return stay_native(program, "its name is not UTF-8, or has control characters");
        if (fmt_promised_size(program->elf_size) == 0)
                return stay_native(program, "it is too large");
        for (size_t i = 0; i < program->record->n_variants; i++) {
                struct fmt_variant *variant = &program->record->variants[i];
                r = check_variant(program, variant);
                if (r == 0)
                        r = take_facts(variant, fd, facts);
                if (r == 0 && !program->native)
                        r = take_modules(programs, program, variant, fat.bundle);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- all of them ---- */

static int append(struct pack_programs *programs, struct pack_program *program)
{
        size_t count = programs->count;

        if ((count & (count - 1)) == 0) {
                struct pack_program **grown =
                        reallocarray(programs->list, count ? 2 * count : 1, sizeof *grown);
                if (!grown)
                        return -ENOMEM;
                programs->list = grown;
        }
        programs->list[programs->count++] = program;
        return 0;
}

static int add_program(struct pack_programs *programs, const struct pack_name *name, int fd,
        const struct fmt_elf_facts *facts)
{
        struct pack_program *program = calloc(1, sizeof *program);

        if (!program)
                return -ENOMEM;
        program->name = name;
        int r = measure_elf(programs, program, fd);
        if (r == 0)
                r = append(programs, program);
        if (r < 0) {
                free(program);
                return r;
        }
        r = read_program(programs, program, fd, facts);
        if (r == 0)
                name->file->program = program;
        return r;
}

static int look_at(struct pack_programs *programs, const struct pack_name *name)
{
        _cleanup_close_ int fd = -1;
        struct fmt_elf_facts facts = {0};

        if (archive_entry_size(name->file->meta) < (la_int64_t)sizeof(Elf64_Ehdr))
                return 0;
        int r = pack_file_starts_with(programs->tree, name->file, ELFMAG, SELFMAG);
        if (r <= 0)
                return r;
        r = pack_file_open(programs->tree, name->file, &fd);
        if (r < 0)
                return r;
        r = fmt_elf_read(fd, &facts);
        if (r < 0)
                return r == -ENOMEM ? r : 0; /* no ELF that we know: an ordinary file */
        if (facts.has_record)
                r = add_program(programs, name, fd, &facts);
        else if (facts.type == ET_EXEC || facts.type == ET_DYN)
                programs->plain_elfs++;
        if (r == -EBADMSG || r == -ENOEXEC || r == -EOPNOTSUPP) {
                fmt_warning("%s has a program record but is no ELF that can do without; it is left "
                            "as it is",
                        name->path);
                r = 0;
        }
        fmt_elf_facts_done(&facts);
        return r;
}

struct batch {
        const struct pack_programs_options *options;
        size_t before; /* modules of earlier batches */
};

static void report_batch(void *context, size_t done, size_t total)
{
        const struct batch *batch = context;
        const struct pack_programs_options *options = batch->options;

        if (options->progress)
                options->progress(options->context, "modules normalised", batch->before + done,
                        batch->before + total);
}

static int normalise(struct pack_programs *programs, struct jit_spawner *spawner)
{
        const struct pack_programs_options *options = programs->options;
        struct batch batch = {.options = options, .before = pack_modules_done(programs->modules)};

        return pack_modules_normalise(programs->modules, spawner, options->keep_debug,
                options->threads, report_batch, &batch);
}

static int find_all(struct pack_programs *programs, struct jit_spawner *spawner)
{
        const struct pack_tree *tree = programs->tree;
        const struct pack_programs_options *options = programs->options;

        for (size_t i = 0; i < tree->n_names; i++) {
                const struct pack_name *name = tree->names[i];
                if (archive_entry_filetype(name->file->meta) == AE_IFREG &&
                        pack_tree_is_first(tree, i)) {
                        int r = look_at(programs, name);
                        if (r < 0) {
                                fmt_error("cannot pack %s: %s", name->path, strerror(-r));
                                return r;
                        }
                }
                if (options->progress)
                        options->progress(
                                options->context, "files looked at", i + 1, tree->n_names);
                if (pack_modules_waiting(programs->modules) > BATCH_BYTES) {
                        int r = normalise(programs, spawner);
                        if (r < 0)
                                return r;
                }
        }
        return normalise(programs, spawner);
}

int pack_programs_find(const struct pack_tree *tree, const struct pack_programs_options *options,
        struct jit_spawner *spawner, struct pack_programs **ret)
{
        struct pack_programs *programs = calloc(1, sizeof *programs);

        if (!programs)
                return -ENOMEM;
        programs->options = options;
        programs->tree = tree;
        int r = pack_modules_new(&programs->modules);
        if (r == 0)
                r = find_all(programs, spawner);
        if (r < 0) {
                pack_programs_free(programs);
                return r;
        }
        *ret = programs;
        return 0;
}

void pack_programs_free(struct pack_programs *programs)
{
        if (!programs)
                return;
        for (size_t i = 0; i < programs->count; i++) {
                fmt_record_free(programs->list[i]->record);
                free(programs->list[i]->native);
                free(programs->list[i]);
        }
        free(programs->list);
        pack_modules_free(programs->modules);
        free(programs);
}
