/* SPDX-License-Identifier: Apache-2.0 */
/* pack_programs.h, second half: what the programs become. */
#include "fat_elf.h"
#include "fmt_cleanup.h"
#include "fmt_elf.h"
#include "fmt_log.h"
#include "jit_policy.h"
#include "pack_libraries.h"
#include "pack_profiles.h"
#include "pack_programs.h"

#include <search.h>
#include <string.h>

/* About the size at which more gains little (110 KB over LAMMPS and HPCG came within 7 % of a
 * solid archive). */
#define DICTIONARY_SIZE ((size_t)112 << 10)

/* First user of a module in normal form. */
struct use {
        struct fmt_digest module;
        const struct pack_program *program;
};

struct collection {
        struct pack_programs *programs;
        struct fmt_bundle_writer *writer;
        struct fmt_manifest *manifest;
        struct pack_libraries *libraries;
        void *uses; /* tsearch: struct use */
};

/* ---- what speaks against a program ---- */

static int say_native(
        struct pack_program *program, const char *format, const char *what, const char *why)
{
        _cleanup_free_ char *text = NULL;

        if (asprintf(&text, format, what, why) < 0)
                return -ENOMEM;
        program->native = steal_pointer(&text);
        return 0;
}

static int check_modules(const struct collection *all, struct pack_program *program,
        const struct fmt_variant *variant)
{
        for (size_t i = 0; i < variant->n_inputs && !program->native; i++) {
                const struct fmt_input *input = &variant->inputs[i];
                if (input->kind != FMT_INPUT_MODULE)
                        continue;
                const struct pack_module *module =
                        pack_modules_find(all->programs->modules, &input->digest);
                if (module && module->reason) {
                        int r = say_native(program, "%s: %s", input->name, module->reason);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static struct fmt_stub *find_stub(const struct fmt_variant *variant, const char *soname)
{
        for (size_t i = 0; i < variant->n_stubs; i++)
                if (strcmp(variant->stubs[i].soname, soname) == 0)
                        return &variant->stubs[i];
        return NULL;
}

/* A library that patchelf added after the link has no stub in the record: the tree has it. */
static int make_stub(const struct collection *all, struct pack_program *program,
        struct fmt_variant *variant, const char *soname)
{
        const struct pack_file *library = pack_libraries_find(all->libraries, soname);
        _cleanup_close_ int fd = -1;
        _cleanup_free_ void *data = NULL;
        struct fmt_stub *stub;
        size_t size;

        int r = library ? pack_file_open(all->programs->tree, library, &fd) : -ENOENT;
        if (r == 0)
                r = fmt_elf_stub(fd, soname, &data, &size);
        if (r == -ENOMEM)
                return r;
        if (r < 0)
                return say_native(program,
                        "it NEEDs %s since it was linked, which is not in ROOTFS%s", soname, "");
        r = fmt_variant_add_stub(variant, &stub);
        if (r < 0)
                return r;
        stub->soname = strdup(soname);
        stub->size = size;
        stub->needed = true;
        if (!stub->soname)
                return -ENOMEM;
        return fmt_bundle_add(all->writer, FMT_BLOB_STUB, data, size, &stub->digest);
}

/* What linkers find with libm, unasked. Code is to come to need it only where it is in the image,
 * in the C library's folder. */
static void check_libmvec(const struct collection *all, struct fmt_variant *variant)
{
        struct fmt_stub *stub = find_stub(variant, JIT_LIBMVEC);

        if (stub && !stub->needed &&
                !pack_libraries_have_beside(all->libraries, JIT_LIBMVEC, "libm.so.6"))
                fmt_variant_remove_stub(variant, (size_t)(stub - variant->stubs));
}

static int check_stubs(
        const struct collection *all, struct pack_program *program, struct fmt_variant *variant)
{
        char *const *needed = variant->recipe.needed;

        for (size_t i = 0; i < variant->n_stubs; i++)
                variant->stubs[i].needed = fmt_strings_contain(needed, variant->stubs[i].soname);
        check_libmvec(all, variant);
        for (size_t i = 0; needed[i] && !program->native; i++)
                if (!find_stub(variant, needed[i])) {
                        int r = make_stub(all, program, variant, needed[i]);
                        if (r < 0)
                                return r;
                }
        return 0;
}

/* ---- blobs ---- */

static int copy_blob(const struct collection *all, const struct fmt_bundle *from,
        enum fmt_blob_kind kind, const struct fmt_digest *digest)
{
        _cleanup_free_ void *data = NULL;
        size_t size;

        int r = fmt_bundle_read(from, digest, &data, &size);
        return r < 0 ? r : fmt_bundle_add(all->writer, kind, data, size, NULL);
}

static int by_module(const void *a, const void *b)
{
        return fmt_digest_compare(
                &((const struct use *)a)->module, &((const struct use *)b)->module);
}

/* Counts one use; the first one brings the module into the bundle. Two modules that the compiler
 * wrote differently may be one in normal form. */
static int use_module(struct collection *all, const struct pack_program *program,
        const struct pack_module *module)
{
        struct pack_programs *programs = all->programs;
        const struct use wanted = {.module = module->normal, .program = program};
        struct use **found = tfind(&wanted, &all->uses, by_module);

        programs->references++;
        if (found) {
                programs->shared += (*found)->program != program;
                return 0;
        }
        struct use *use = malloc(sizeof *use);
        if (!use)
                return -ENOMEM;
        *use = wanted;
        if (!tsearch(use, &all->uses, by_module)) {
                free(use);
                return -ENOMEM;
        }
        programs->used_modules++;
        programs->bitcode += module->size;
        int r = fmt_bundle_add(all->writer, FMT_BLOB_MODULE, module->data, module->size, NULL);
        pack_modules_release(programs->modules, module);
        return r;
}

static int take_module(
        struct collection *all, struct pack_program *program, struct fmt_input *input)
{
        const struct pack_module *module =
                pack_modules_find(all->programs->modules, &input->digest);
        struct fmt_module_facts *facts = &input->module;

        if (!module)
                return -ENOENT;
        if (!module->not_optimised)
                program->not_optimised = false;
        int r = use_module(all, program, module);
        if (r < 0)
                return r;
        input->digest = module->normal;
        input->size = module->size;
        free(facts->required);
        free(facts->extras);
        *facts = module->facts;
        facts->raw = false;
        facts->required = module->facts.required ? strdup(module->facts.required) : NULL;
        facts->extras = module->facts.extras ? strdup(module->facts.extras) : NULL;
        if ((module->facts.required && !facts->required) ||
                (module->facts.extras && !facts->extras))
                return -ENOMEM;
        return 0;
}

static int take_variant(struct collection *all, struct pack_program *program,
        struct fmt_variant *variant, const struct fmt_bundle *bundle)
{
        const struct fmt_recipe *recipe = &variant->recipe;
        struct fmt_blob_info info;
        int r = 0;

        for (size_t i = 0; r == 0 && i < variant->n_inputs; i++)
                r = variant->inputs[i].kind == FMT_INPUT_MODULE
                            ? take_module(all, program, &variant->inputs[i])
                            : copy_blob(all, bundle, FMT_BLOB_NATIVE, &variant->inputs[i].digest);
        /* Stubs that were made just now are in the writer already. */
        for (size_t i = 0; r == 0 && i < variant->n_stubs; i++)
                if (fmt_bundle_find(bundle, &variant->stubs[i].digest, &info) == 0)
                        r = copy_blob(all, bundle, FMT_BLOB_STUB, &variant->stubs[i].digest);
        for (size_t i = 0; r == 0 && i < recipe->n_options; i++)
                if (recipe->options[i].has_file)
                        r = copy_blob(all, bundle, FMT_BLOB_TEXT, &recipe->options[i].file);
        return r;
}

static int take_blobs(struct collection *all, struct pack_program *program)
{
        _cleanup_(fat_elf_done) struct fat_elf fat = {0};
        _cleanup_close_ int fd = -1;

        int r = pack_file_open(all->programs->tree, program->name->file, &fd);
        if (r == 0)
                r = fat_elf_open(fd, &fat);
        program->not_optimised = true;
        for (size_t i = 0; r == 0 && i < program->record->n_variants; i++)
                r = take_variant(all, program, &program->record->variants[i], fat.bundle);
        return r;
}

/* ---- programs ---- */

/* Everything that the record names must be there, before any of it goes into the bundle. */
static int check_blobs(const struct collection *all, struct pack_program *program)
{
        _cleanup_(fat_elf_done) struct fat_elf fat = {0};
        _cleanup_close_ int fd = -1;
        struct fmt_blob_info info;

        int r = pack_file_open(all->programs->tree, program->name->file, &fd);
        if (r == 0)
                r = fat_elf_open(fd, &fat);
        if (r < 0)
                return r;
        for (size_t v = 0; v < fat.record->n_variants && !program->native; v++) {
                const struct fmt_variant *variant = &fat.record->variants[v];
                bool whole = true;
                for (size_t i = 0; i < variant->n_inputs; i++)
                        whole = whole &&
                                !fmt_bundle_find(fat.bundle, &variant->inputs[i].digest, &info);
                for (size_t i = 0; i < variant->n_stubs; i++)
                        whole = whole &&
                                !fmt_bundle_find(fat.bundle, &variant->stubs[i].digest, &info);
                for (size_t i = 0; i < variant->recipe.n_options; i++)
                        whole = whole && (!variant->recipe.options[i].has_file ||
                                                 !fmt_bundle_find(fat.bundle,
                                                         &variant->recipe.options[i].file, &info));
                if (!whole)
                        return say_native(program, "its record is damaged: %s%s",
                                "a part that it names is missing", "");
        }
        return 0;
}

static int check_program(const struct collection *all, struct pack_program *program)
{
        struct fmt_record *record = program->record;
        int r = program->native ? 0 : check_blobs(all, program);

        for (size_t i = 0; r == 0 && !program->native && i < record->n_variants; i++) {
                r = check_modules(all, program, &record->variants[i]);
                if (r == 0 && !program->native)
                        r = check_stubs(all, program, &record->variants[i]);
        }
        return r;
}

static int take_program(struct collection *all, struct pack_program *program)
{
        _cleanup_free_ char *json = NULL;
        struct fmt_program *entry;
        size_t size;

        int r = take_blobs(all, program);
        if (r == 0)
                r = fmt_record_encode(program->record, &json, &size);
        if (r == 0)
                r = fmt_manifest_add(all->manifest, &entry);
        if (r < 0)
                return r;
        entry->path = strdup(program->name->path);
        if (!entry->path)
                return -ENOMEM;
        entry->size = fmt_promised_size(program->elf_size);
        entry->baseline = !all->programs->options->lean;
        entry->elf = program->elf;
        r = pack_profiles_take(all->programs->options->profiles, all->writer, entry);
        if (r < 0)
                return r;
        all->programs->portable++;
        all->programs->elf_bytes += program->elf_size;
        return fmt_bundle_add(all->writer, FMT_BLOB_MANIFEST, json, size, &entry->record);
}

static int take_programs(struct collection *all)
{
        for (size_t i = 0; i < all->programs->count; i++) {
                struct pack_program *program = all->programs->list[i];
                int r = check_program(all, program);
                if (r == 0 && !program->native)
                        r = take_program(all, program);
                if (r < 0) {
                        fmt_error("cannot pack %s: its record: %s", program->name->path,
                                strerror(-r));
                        return r;
                }
        }
        return 0;
}

static void warn_missing(const struct collection *all)
{
        char **said = NULL;

        for (size_t i = 0; i < all->programs->count; i++) {
                const struct pack_program *program = all->programs->list[i];
                if (!program->record || program->record->n_variants == 0)
                        continue;
                char *const *needed = program->record->variants[0].recipe.needed;
                for (size_t n = 0; needed[n]; n++) {
                        if (fmt_strings_contain(said, needed[n]) ||
                                pack_libraries_have(all->libraries, needed[n]))
                                continue;
                        fmt_warning("NEEDED %s is not in ROOTFS: %s will not start without it; "
                                    "install the library there",
                                needed[n], program->name->path);
                        if (fmt_strings_append(&said, needed[n]) < 0)
                                break;
                }
        }
        fmt_strings_free(said);
}

static int write_bundle(struct collection *all, int fd, uint64_t *ret_size)
{
        const struct pack_programs_options *options = all->programs->options;
        _cleanup_free_ char *json = NULL;
        struct fmt_digest root;
        size_t size;

        for (size_t i = 0; i < options->n_trusted; i++) {
                int r = fmt_manifest_trust(all->manifest, &options->trusted[i]);
                if (r < 0)
                        return r;
        }
        pack_profiles_warn(options->profiles, all->manifest);
        int r = fmt_manifest_encode(all->manifest, &json, &size);
        if (r == 0)
                r = fmt_bundle_add(all->writer, FMT_BLOB_MANIFEST, json, size, &root);
        if (r < 0)
                return r;
        fmt_bundle_want_dictionary(all->writer, DICTIONARY_SIZE);
        if (options->progress)
                options->progress(options->context, "compressing modules", 0, 0);
        return fmt_bundle_write(all->writer, &root, options->threads, fd, ret_size);
}

int pack_programs_bundle(struct pack_programs *programs, int fd, uint64_t *ret_size)
{
        struct collection all = {.programs = programs};

        *ret_size = 0;
        int r = fmt_bundle_writer_new((int)programs->options->level, &all.writer);
        if (r == 0)
                r = fmt_manifest_new(&all.manifest);
        if (r == 0)
                r = pack_libraries_new(programs->tree, &all.libraries);
        if (r == 0)
                r = take_programs(&all);
        if (r == 0)
                warn_missing(&all);
        if (r == 0 && programs->portable > 0)
                r = write_bundle(&all, fd, ret_size);
        tdestroy(all.uses, free);
        pack_libraries_free(all.libraries);
        fmt_manifest_free(all.manifest);
        fmt_bundle_writer_free(all.writer);
        return r;
}
