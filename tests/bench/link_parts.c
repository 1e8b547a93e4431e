/* SPDX-License-Identifier: Apache-2.0 */
/* bench-link-parts IMAGE PROGRAM FOLDER THREADS: writes what a worker would hand to ld.lld for PROGRAM
 * (a path in IMAGE) on this host into files of FOLDER, and prints, a line each, the path of ld.lld and
 * the words that it is called with. They link into FOLDER/linked, and keep no results of modules. */
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_record.h"
#include "image_bundle.h"
#include "jit_archive.h"
#include "jit_host.h"
#include "jit_recipe.h"
#include "jit_toolchain.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder;
static const struct fmt_bundle *bundle;

/* Ends the program if ERROR is one. */
static void need(int error, const char *what)
{
        if (error >= 0)
                return;
        fmt_error("%s: %s; pack the image again", what, strerror(-error));
        exit(1);
}

static char *path_of(const char *name, size_t number)
{
        char *path;
        need(asprintf(&path, "%s/%s-%zu", folder, name, number) < 0 ? -ENOMEM : 0, name);
        return path;
}

static int create(const char *path)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        need(fd < 0 ? -errno : 0, path);
        return fd;
}

static void *read_blob(const struct fmt_digest *digest, const char *what, size_t *ret_size)
{
        void *data;
        need(fmt_bundle_read(bundle, digest, &data, ret_size), what);
        return data;
}

/* The file NAME-NUMBER with the content of a blob; the path is never freed. */
static const char *write_blob(const char *name, size_t number, const struct fmt_digest *digest)
{
        char *path = path_of(name, number);
        _cleanup_close_ int fd = create(path);
        size_t size;
        _cleanup_free_ void *data = read_blob(digest, name, &size);
        need(write(fd, data, size) == (ssize_t)size ? 0 : -EIO, path);
        return path;
}

/* All inputs that are lazy, or all that are not, as jit_worker.c hands them over. NULL: none. */
static const char *write_archive(const struct fmt_variant *variant, bool lazy)
{
        _cleanup_free_ const char **names = calloc(variant->n_inputs + 1, sizeof *names);
        struct jit_archive_writer *writer;
        size_t n = 0;
        for (size_t i = 0; i < variant->n_inputs; i++)
                if (variant->inputs[i].lazy == lazy)
                        names[n++] = variant->inputs[i].name;
        if (n == 0)
                return NULL;
        char *path = path_of("archive", lazy);
        _cleanup_close_ int fd = create(path);
        need(jit_archive_begin(fd, names, n, &writer), path);
        for (size_t i = 0; i < variant->n_inputs; i++) {
                const struct fmt_input *input = &variant->inputs[i];
                if (input->lazy != lazy)
                        continue;
                size_t size;
                _cleanup_free_ void *data = read_blob(&input->digest, input->name, &size);
                need(jit_archive_append(writer, data, size), path);
        }
        need(jit_archive_end(writer), path);
        return path;
}

static void print_command(const struct fmt_variant *variant, unsigned threads)
{
        _cleanup_free_ const char **stubs = calloc(variant->n_stubs + 1, sizeof *stubs);
        _cleanup_free_ const char **files = calloc(variant->recipe.n_options + 1, sizeof *files);
        const struct jit_policy policy = JIT_POLICY_DEFAULT;
        struct jit_toolchain *toolchain;
        struct jit_target *target;
        char **words = NULL;
        for (size_t i = 0; i < variant->n_stubs; i++)
                stubs[i] = write_blob("stub", i, &variant->stubs[i].digest);
        for (size_t i = 0; i < variant->recipe.n_options; i++)
                files[i] = variant->recipe.options[i].has_file
                                   ? write_blob("file", i, &variant->recipe.options[i].file)
                                   : NULL;
        const struct jit_link_paths paths = {.inputs = write_archive(variant, false),
                .lazy_inputs = write_archive(variant, true),
                .stubs = stubs,
                .option_files = files};
        need(jit_toolchain_find(NULL, NULL, &toolchain), "ld.lld");
        need(jit_target_detect(NULL, false, &target), "this host");
        need(jit_recipe_command(variant, &paths, target->tune, target->features, &policy, threads,
                     &words),
                "its link");
        puts(toolchain->linker);
        for (size_t i = 0; words[i] != NULL; i++) {
                if (i > 0 && strcmp(words[i], "-") == 0 && strcmp(words[i - 1], "-o") == 0)
                        printf("%s/linked\n", folder);
                else
                        puts(words[i]);
        }
        fmt_strings_free(words);
        jit_target_free(target);
        jit_toolchain_free(toolchain);
}

int main(int argc, char **argv)
{
        struct image_bundle image;
        struct fmt_record *record;
        if (argc != 5) {
                fputs("usage: bench-link-parts IMAGE PROGRAM FOLDER THREADS\n", stderr);
                return 1;
        }
        folder = argv[3];
        need(image_bundle_open(argv[1], NULL, &image), argv[1]);
        const struct fmt_program *program =
                image.manifest != NULL ? fmt_manifest_find(image.manifest, argv[2]) : NULL;
        need(program != NULL ? 0 : -ENOENT, argv[2]);
        bundle = image.bundle;
        size_t size;
        _cleanup_free_ void *json = read_blob(&program->record, argv[2], &size);
        need(fmt_record_decode(json, size, &record), argv[2]);
        print_command(&record->variants[0], (unsigned)strtoul(argv[4], NULL, 10));
        fmt_record_free(record);
        image_bundle_done(&image);
        return 0;
}
