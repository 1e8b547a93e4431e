/* SPDX-License-Identifier: Apache-2.0 */
/* usage: make-fat-elf ELF OUTPUT OBJECT… [--stub LIBRARY] [--text FILE] [--claim MODULE-FILE]
 *
 * What the linker of capture does, in small, so that tests of pack and inspect can make any record
 * they like: OUTPUT is ELF with a record of the OBJECTs (a module where they have .llvm.lto, native
 * otherwise). --claim takes a file as a module whatever is in it; --text is a version script. */
#include "fmt_bundle.h"
#include "fmt_cleanup.h"
#include "fmt_elf.h"
#include "fmt_record.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MUST(condition)                                                                            \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "make-fat-elf: %s:%d: %s\n", __FILE__, __LINE__,           \
                                #condition);                                                       \
                        exit(1);                                                                   \
                }                                                                                  \
        } while (0)

struct maker {
        struct fmt_bundle_writer *writer;
        struct fmt_record *record;
        struct fmt_variant *variant;
};

static int open_file(const char *path)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);

        MUST(fd >= 0);
        return fd;
}

static void *read_part(int fd, uint64_t offset, size_t size)
{
        void *data = malloc(size + 1);

        MUST(data && pread(fd, data, size, (off_t)offset) == (ssize_t)size);
        return data;
}

static size_t size_of(int fd)
{
        struct stat st;

        MUST(fstat(fd, &st) == 0);
        return (size_t)st.st_size;
}

static void add_object(struct maker *maker, const char *path, bool claim)
{
        _cleanup_close_ int fd = open_file(path);
        struct fmt_input *input;
        uint64_t offset = 0;
        uint64_t size = size_of(fd);
        bool module =
                claim || fmt_elf_find_section(fd, FMT_ELF_BITCODE_SECTION, &offset, &size) == 0;
        _cleanup_free_ void *data = read_part(fd, offset, size);

        MUST(fmt_variant_add_input(maker->variant, &input) == 0);
        input->kind = module ? FMT_INPUT_MODULE : FMT_INPUT_NATIVE;
        input->module.raw = module;
        input->size = size;
        input->name = strdup(strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
        MUST(fmt_bundle_add(maker->writer, module ? FMT_BLOB_MODULE : FMT_BLOB_NATIVE, data, size,
                     &input->digest) == 0);
        if (!module)
                MUST(fmt_strings_append(&maker->record->kept_native, input->name) == 0);
}

static void add_stub(struct maker *maker, const char *path)
{
        _cleanup_close_ int fd = open_file(path);
        _cleanup_free_ void *data = NULL;
        struct fmt_elf_facts facts;
        struct fmt_stub *stub;
        size_t size;

        MUST(fmt_elf_read(fd, &facts) == 0 && facts.soname);
        MUST(fmt_elf_stub(fd, facts.soname, &data, &size) == 0);
        MUST(fmt_variant_add_stub(maker->variant, &stub) == 0);
        *stub = (struct fmt_stub){.soname = strdup(facts.soname), .size = size, .needed = true};
        MUST(fmt_bundle_add(maker->writer, FMT_BLOB_STUB, data, size, &stub->digest) == 0);
        fmt_elf_facts_done(&facts);
}

static void add_text(struct maker *maker, const char *path)
{
        _cleanup_close_ int fd = open_file(path);
        _cleanup_free_ void *data = read_part(fd, 0, size_of(fd));
        struct fmt_option *option;

        MUST(fmt_variant_add_option(maker->variant, &option) == 0);
        option->text = strdup("--version-script=");
        option->has_file = true;
        MUST(fmt_bundle_add(maker->writer, FMT_BLOB_TEXT, data, size_of(fd), &option->file) == 0);
}

/* Only what an ELF cannot tell: pack reads the rest from the file. */
static void add_recipe(struct maker *maker, int elf)
{
        struct fmt_elf_facts facts;
        struct fmt_recipe *recipe = &maker->variant->recipe;

        MUST(fmt_elf_read(elf, &facts) == 0);
        recipe->kind = facts.is_pie        ? FMT_OUTPUT_PIE
                       : facts.type == 3   ? FMT_OUTPUT_SHARED
                       : facts.has_dynamic ? FMT_OUTPUT_EXECUTABLE
                                           : FMT_OUTPUT_STATIC;
        recipe->linker = FMT_LINKER_BFD;
        recipe->rpath = strdup("/recorded/before/cmake/--install");
        fmt_elf_facts_done(&facts);
}

static void write_output(struct maker *maker, int elf, const char *path)
{
        _cleanup_close_ int bundle = memfd_create("bundle", MFD_CLOEXEC);
        _cleanup_close_ int out = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0755);
        _cleanup_free_ char *json = NULL;
        struct fmt_digest root;
        size_t size;

        MUST(bundle >= 0 && out >= 0);
        MUST(fmt_record_encode(maker->record, &json, &size) == 0);
        MUST(fmt_bundle_add(maker->writer, FMT_BLOB_MANIFEST, json, size, &root) == 0);
        MUST(fmt_bundle_write(maker->writer, &root, 1, bundle, NULL) == 0);
        _cleanup_free_ void *section = read_part(bundle, 0, size_of(bundle));
        MUST(fmt_elf_with_section(elf, FMT_RECORD_SECTION, section, size_of(bundle), out) == 0);
}

int main(int argc, char **argv)
{
        struct maker maker;

        MUST(argc > 3);
        _cleanup_close_ int elf = open_file(argv[1]);
        MUST(fmt_bundle_writer_new(3, &maker.writer) == 0 && fmt_record_new(&maker.record) == 0);
        MUST(fmt_record_add_variant(maker.record, "default", &maker.variant) == 0);
        maker.record->producer = strdup("make-fat-elf");
        add_recipe(&maker, elf);
        for (int i = 3; i < argc; i++) {
                if (!strcmp(argv[i], "--stub") && i + 1 < argc)
                        add_stub(&maker, argv[++i]);
                else if (!strcmp(argv[i], "--text") && i + 1 < argc)
                        add_text(&maker, argv[++i]);
                else if (!strcmp(argv[i], "--claim") && i + 1 < argc)
                        add_object(&maker, argv[++i], true);
                else
                        add_object(&maker, argv[i], false);
        }
        write_output(&maker, elf, argv[2]);
        fmt_bundle_writer_free(maker.writer);
        fmt_record_free(maker.record);
        return 0;
}
