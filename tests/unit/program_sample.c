/* SPDX-License-Identifier: Apache-2.0 */
#include "program_sample.h"

#include "fmt_cleanup.h"
#include "fmt_elf.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LIBC_FOLDER "/lib/x86_64-linux-gnu/"

__attribute__((noreturn, format(printf, 1, 2))) static void give_up(const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        vfprintf(stderr, format, arguments);
        va_end(arguments);
        fputc('\n', stderr);
        exit(1);
}

static char *print(const char *format, ...)
{
        char *text;
        va_list arguments;
        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                give_up("out of memory");
        va_end(arguments);
        return text;
}

static void check(int r, const char *what)
{
        if (r < 0)
                give_up("%s: %s", what, strerror(-r));
}

/* Runs a shell command made of the arguments. */
__attribute__((format(printf, 1, 2))) static void shell(const char *format, ...)
{
        _cleanup_free_ char *command = NULL;
        va_list arguments;
        va_start(arguments, format);
        if (vasprintf(&command, format, arguments) < 0)
                give_up("out of memory");
        va_end(arguments);
        int status = system(command);
        if (status != 0)
                give_up("status %d: %s", status, command);
}

static void *slurp(const char *path, size_t *ret_size)
{
        struct stat st;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                give_up("%s: %s", path, strerror(errno));
        char *data = malloc((size_t)st.st_size + 1);
        if (!data || read(fd, data, (size_t)st.st_size) != st.st_size)
                give_up("%s cannot be read", path);
        *ret_size = (size_t)st.st_size;
        return data;
}

static void write_text(const char *path, const char *text)
{
        _cleanup_fclose_ FILE *file = fopen(path, "w");
        if (!file || fputs(text, file) < 0)
                give_up("%s: %s", path, strerror(errno));
}

void sample_image_open(struct sample_image *image)
{
        const char *parent = getenv("TMPDIR");
        *image = (struct sample_image){0};
        if (system("command -v clang-19 opt-19 >/dev/null") != 0) {
                printf("clang-19 and opt-19 are not installed\n");
                exit(77);
        }
        image->folder = print("%s/xaasfs-sample-XXXXXX", parent ? parent : "/tmp");
        if (!mkdtemp(image->folder))
                give_up("%s: %s", image->folder, strerror(errno));
        check(fmt_bundle_writer_new(3, &image->writer), "fmt_bundle_writer_new");
        check(fmt_manifest_new(&image->manifest), "fmt_manifest_new");
}

void sample_image_close(struct sample_image *image)
{
        _cleanup_free_ char *json = NULL;
        struct fmt_digest root;
        size_t size;
        uint64_t written;
        check(fmt_manifest_encode(image->manifest, &json, &size), "fmt_manifest_encode");
        check(fmt_bundle_add(image->writer, FMT_BLOB_MANIFEST, json, size, &root),
                "fmt_bundle_add");
        int fd = memfd_create("bundle", MFD_CLOEXEC);
        if (fd < 0)
                give_up("memfd_create: %s", strerror(errno));
        check(fmt_bundle_write(image->writer, &root, 1, fd, &written), "fmt_bundle_write");
        image->memory.size = written;
        image->memory.data = mmap(NULL, written, PROT_READ, MAP_SHARED, fd, 0);
        close(fd);
        if (image->memory.data == MAP_FAILED)
                give_up("mmap: %s", strerror(errno));
        check(fmt_bundle_open(fmt_source_of_memory(&image->memory), &image->bundle),
                "fmt_bundle_open");
}

void sample_image_done(struct sample_image *image)
{
        fmt_bundle_free(image->bundle);
        if (image->memory.data)
                munmap((void *)image->memory.data, image->memory.size);
        fmt_bundle_writer_free(image->writer);
        fmt_manifest_free(image->manifest);
        shell("rm -rf '%s'", image->folder);
        free(image->folder);
}

static struct fmt_input *add_input(struct sample_image *image, struct fmt_record *record,
        enum fmt_input_kind kind, const char *name, const void *data, size_t size)
{
        struct fmt_input *input;
        check(fmt_variant_add_input(&record->variants[0], &input), "fmt_variant_add_input");
        input->kind = kind;
        input->size = size;
        input->name = print("%s", name);
        check(fmt_bundle_add(image->writer,
                      kind == FMT_INPUT_MODULE ? FMT_BLOB_MODULE : FMT_BLOB_NATIVE, data, size,
                      &input->digest),
                "fmt_bundle_add");
        return input;
}

static struct fmt_input *add_file(struct sample_image *image, struct fmt_record *record,
        enum fmt_input_kind kind, const char *name, const char *path)
{
        size_t size;
        _cleanup_free_ void *data = slurp(path, &size);
        return add_input(image, record, kind, name, data, size);
}

static void add_crt(struct sample_image *image, struct fmt_record *record, const char *name)
{
        _cleanup_free_ char *command = print("clang-19 -print-file-name=%s", name);
        char path[4096] = "";
        FILE *pipe = popen(command, "r");
        if (!pipe || !fgets(path, sizeof path, pipe) || pclose(pipe) != 0)
                give_up("%s failed", command);
        path[strcspn(path, "\n")] = '\0';
        struct fmt_input *input = add_file(image, record, FMT_INPUT_NATIVE, name, path);
        input->has_constructors = strncmp(name, "crtbegin", 8) == 0;
}

static void add_libc(struct sample_image *image, struct fmt_variant *variant)
{
        _cleanup_close_ int fd = open(LIBC_FOLDER "libc.so.6", O_RDONLY | O_CLOEXEC);
        _cleanup_free_ void *data = NULL;
        struct fmt_stub *stub;
        size_t size;
        check(fmt_elf_stub(fd, "libc.so.6", &data, &size), "fmt_elf_stub");
        check(fmt_variant_add_stub(variant, &stub), "fmt_variant_add_stub");
        stub->soname = print("libc.so.6");
        stub->size = size;
        stub->needed = true;
        check(fmt_bundle_add(image->writer, FMT_BLOB_STUB, data, size, &stub->digest),
                "fmt_bundle_add");
        check(fmt_strings_append(&variant->recipe.needed, "libc.so.6"), "fmt_strings_append");
}

struct fmt_record *sample_record(struct sample_image *image, enum fmt_output_kind kind)
{
        struct fmt_record *record;
        struct fmt_variant *variant;
        check(fmt_record_new(&record), "fmt_record_new");
        record->version = FMT_RECORD_VERSION;
        if (!record->producer)
                record->producer = print("clang 19");
        if (!record->machine)
                record->machine = print("x86_64");
        check(fmt_record_add_variant(record, "default", &variant), "fmt_record_add_variant");
        variant->recipe.kind = kind;
        if (kind != FMT_OUTPUT_SHARED)
                variant->recipe.interpreter = print("/lib64/ld-linux-x86-64.so.2");
        if (kind == FMT_OUTPUT_SHARED)
                variant->recipe.soname = print("libsample.so.1");
        add_libc(image, variant);
        if (kind != FMT_OUTPUT_SHARED)
                add_crt(image, record, kind == FMT_OUTPUT_PIE ? "Scrt1.o" : "crt1.o");
        add_crt(image, record, "crti.o");
        add_crt(image, record, kind == FMT_OUTPUT_EXECUTABLE ? "crtbegin.o" : "crtbeginS.o");
        return record;
}

void *sample_bitcode(struct sample_image *image, const char *source, const char *flags, bool keep,
        size_t *ret_size)
{
        _cleanup_free_ char *c = print("%s/module.c", image->folder);
        _cleanup_free_ char *bitcode = print("%s/module.bc", image->folder);
        write_text(c, source);
        if (keep)
                shell("cd '%s' && clang-19 -O3 -fPIC %s -flto=thin -c module.c -o module.bc",
                        image->folder, flags);
        else
                shell("cd '%s' && clang-19 -O3 -fPIC %s -flto=thin -S -emit-llvm module.c -o - | "
                      "sed -E 's/ \"(target-cpu|tune-cpu|target-features)\"=\"[^\"]*\"//g' | "
                      "opt-19 -module-summary -module-hash -o module.bc",
                        image->folder, flags);
        return slurp(bitcode, ret_size);
}

struct fmt_input *sample_module(struct sample_image *image, struct fmt_record *record,
        const char *name, const char *source, const char *flags, bool keep)
{
        size_t size;
        _cleanup_free_ void *data = sample_bitcode(image, source, flags, keep, &size);
        return sample_bytes(image, record, name, data, size);
}

struct fmt_input *sample_native(struct sample_image *image, struct fmt_record *record,
        const char *name, const char *source, const char *flags)
{
        _cleanup_free_ char *c = print("%s/native.c", image->folder);
        _cleanup_free_ char *object = print("%s/native.o", image->folder);
        write_text(c, source);
        shell("cd '%s' && clang-19 -O2 -fPIC %s -c native.c -o native.o", image->folder, flags);
        return add_file(image, record, FMT_INPUT_NATIVE, name, object);
}

struct fmt_input *sample_bytes(struct sample_image *image, struct fmt_record *record,
        const char *name, const void *data, size_t size)
{
        return add_input(image, record, FMT_INPUT_MODULE, name, data, size);
}

size_t sample_program(
        struct sample_image *image, struct fmt_record *record, const char *path, uint64_t size)
{
        _cleanup_free_ char *json = NULL;
        size_t json_size;
        struct fmt_program *program;
        enum fmt_output_kind kind = record->variants[0].recipe.kind;
        add_crt(image, record, kind == FMT_OUTPUT_EXECUTABLE ? "crtend.o" : "crtendS.o");
        add_crt(image, record, "crtn.o");
        check(fmt_record_encode(record, &json, &json_size), "fmt_record_encode");
        check(fmt_manifest_add(image->manifest, &program), "fmt_manifest_add");
        program->path = print("%s", path);
        program->size = size;
        check(fmt_bundle_add(image->writer, FMT_BLOB_MANIFEST, json, json_size, &program->record),
                "fmt_bundle_add");
        fmt_record_free(record);
        return image->manifest->n_programs - 1;
}

const struct fmt_program *sample_find(const struct sample_image *image, const char *path)
{
        for (size_t i = 0; i < image->manifest->n_programs; i++)
                if (strcmp(image->manifest->programs[i].path, path) == 0)
                        return &image->manifest->programs[i];
        give_up("no program %s", path);
}

char *sample_run(struct sample_image *image, int fd)
{
        _cleanup_free_ char *copy = print("%s/program-%d", image->folder, (int)getpid());
        char output[4096] = "", command[4096];
        struct stat st;
        if (fstat(fd, &st) < 0)
                give_up("fstat: %s", strerror(errno));
        int out = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
        off_t at = 0;
        while (at < st.st_size) {
                char buffer[1 << 16];
                ssize_t n = pread(fd, buffer, sizeof buffer, at);
                if (n <= 0 || pwrite(out, buffer, (size_t)n, at) != n)
                        give_up("%s cannot be written", copy);
                at += n;
        }
        close(out);
        snprintf(command, sizeof command, "%s", copy);
        FILE *pipe = popen(command, "r");
        size_t n = pipe ? fread(output, 1, sizeof output - 1, pipe) : 0;
        output[n] = '\0';
        int status = pipe ? pclose(pipe) : -1;
        if (status != 0)
                give_up("the program ended with status %d", status);
        return print("%s", output);
}
