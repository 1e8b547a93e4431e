/* SPDX-License-Identifier: Apache-2.0 */
/* relink FAT OUTPUT: makes a program again out of its record, on this machine and without a box.
 * It is what the worker does, reduced to the recipe: so tests of capture need no mount. Where
 * the order of constructors matters it links a second time, with the objects that the first link
 * made of the modules; the worker orders them by a script instead, since that can use a cache.
 *
 * relink --show FAT: prints what the record says, one fact per line. */
#include "fmt_bundle.h"
#include "fmt_cleanup.h"
#include "fmt_elf.h"
#include "fmt_log.h"
#include "fmt_record.h"
#include "jit_recipe.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

struct fat {
        int fd;
        struct fmt_source_fd part;
        struct fmt_bundle *bundle;
        struct fmt_record *record;
};

static int open_fat(const char *path, struct fat *ret)
{
        *ret = (struct fat){.fd = open(path, O_RDONLY | O_CLOEXEC)};
        _cleanup_free_ void *json = NULL;
        struct fmt_digest root;
        size_t size = 0;
        ret->part.fd = ret->fd;
        int r = fmt_elf_find_section(
                ret->fd, FMT_RECORD_SECTION, &ret->part.offset, &ret->part.size);
        if (r == 0)
                r = fmt_bundle_open(fmt_source_of_fd(&ret->part), &ret->bundle);
        if (r < 0)
                return r;
        fmt_bundle_root(ret->bundle, &root);
        r = fmt_bundle_read(ret->bundle, &root, &json, &size);
        return r < 0 ? r : fmt_record_decode(json, size, &ret->record);
}

static void close_fat(struct fat *fat)
{
        fmt_record_free(fat->record);
        fmt_bundle_free(fat->bundle);
        fmt_close_fd(&fat->fd);
}

static void show(const struct fat *fat)
{
        static const char *const kinds[] = {"executable", "pie", "static", "static-pie", "shared"};
        printf("producer %s\n", fat->record->producer);
        for (char **reason = fat->record->kept_native; reason && *reason; reason++)
                printf("native-because %s\n", *reason);
        for (size_t v = 0; v < fat->record->n_variants; v++) {
                const struct fmt_variant *variant = &fat->record->variants[v];
                const struct fmt_recipe *recipe = &variant->recipe;
                printf("kind %s\nlinker %s\n", kinds[recipe->kind],
                        recipe->linker == FMT_LINKER_LLD ? "lld" : "bfd");
                printf("interposable %d\n", recipe->interposable);
                for (size_t i = 0; i < variant->n_inputs; i++)
                        printf("%s%s %s%s\n", variant->inputs[i].lazy ? "lazy-" : "",
                                variant->inputs[i].kind == FMT_INPUT_MODULE ? "module" : "native",
                                variant->inputs[i].name,
                                variant->inputs[i].has_constructors ? " constructors" : "");
                for (size_t i = 0; i < recipe->n_options; i++)
                        printf("option %s\n", recipe->options[i].text);
                for (size_t i = 0; i < variant->n_stubs; i++)
                        printf("stub %s%s\n", variant->stubs[i].soname,
                                variant->stubs[i].needed ? "" : " (not needed)");
                for (char **name = variant->exports; name && *name; name++)
                        printf("export %s\n", *name);
        }
}

/* ---- making it again ---- */

static int blob_descriptor(const struct fat *fat, const struct fmt_digest *digest)
{
        _cleanup_free_ void *data = NULL;
        size_t size = 0;
        int fd = memfd_create("blob", 0);
        if (fmt_bundle_read(fat->bundle, digest, &data, &size) < 0 ||
                write(fd, data, size) != (ssize_t)size) {
                fmt_error("cannot read a blob of the record; build the program again");
                exit(1);
        }
        return fd;
}

static void add_member(int fd, unsigned number, const void *data, size_t size)
{
        dprintf(fd, "%-16.16s%-12d%-6d%-6d%-8o%-10zu`\n", "", 0, 0, 0, 0644, size);
        lseek(fd, -60, SEEK_CUR);
        dprintf(fd, "%u.o/", number);
        lseek(fd, 0, SEEK_END);
        if (write(fd, data, size) != (ssize_t)size || (size % 2 && write(fd, "\n", 1) != 1))
                exit(1);
}

/* PREFIX: objects of an earlier step take the modules' place; NULL: the modules themselves. */
static int archive(
        const struct fat *fat, const struct fmt_variant *variant, bool lazy, const char *prefix)
{
        int fd = memfd_create("inputs", 0);
        unsigned module = 0;
        dprintf(fd, "!<arch>\n");
        for (size_t i = 0; i < variant->n_inputs; i++) {
                const struct fmt_input *input = &variant->inputs[i];
                _cleanup_free_ void *data = NULL;
                size_t size = 0;
                if (input->lazy != lazy)
                        continue;
                if (prefix && input->kind == FMT_INPUT_MODULE) {
                        _cleanup_free_ char *path = NULL;
                        _cleanup_close_ int object = -1;
                        if (asprintf(&path, "%s%u", prefix, ++module) < 0 ||
                                (object = open(path, O_RDONLY)) < 0) {
                                fmt_error("cannot open %s: %m; the first step made fewer objects",
                                        path);
                                exit(1);
                        }
                        size = (size_t)lseek(object, 0, SEEK_END);
                        data = malloc(size);
                        if (pread(object, data, size, 0) != (ssize_t)size)
                                exit(1);
                } else if (fmt_bundle_read(fat->bundle, &input->digest, &data, &size) < 0) {
                        fmt_error("cannot read %s; build the program again", input->name);
                        exit(1);
                }
                add_member(fd, (unsigned)i, data, size);
        }
        return fd;
}

static char *descriptor_path(int fd)
{
        char *path = NULL;
        return asprintf(&path, "/proc/self/fd/%d", fd) < 0 ? NULL : path;
}

static void free_paths(char **paths, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(paths[i]);
        free(paths);
}

static int run_linker(char *const *argv, const char *output)
{
        pid_t pid = fork();
        if (pid == 0) {
                int out = open(output, O_WRONLY | O_CREAT | O_TRUNC, 0755);
                dup2(out, STDOUT_FILENO);
                execvp(getenv("XAASFS_LLD") ? getenv("XAASFS_LLD") : "ld.lld-19", argv);
                _exit(127);
        }
        int status = 0;
        waitpid(pid, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int link_once(const struct fat *fat, const struct fmt_variant *variant, const char *prefix,
        bool second, const char *output)
{
        char **stubs = calloc(variant->n_stubs + 1, sizeof(char *));
        char **files = calloc(variant->recipe.n_options + 1, sizeof(char *));
        for (size_t i = 0; i < variant->n_stubs; i++)
                stubs[i] = descriptor_path(blob_descriptor(fat, &variant->stubs[i].digest));
        for (size_t i = 0; i < variant->recipe.n_options; i++)
                if (variant->recipe.options[i].has_file)
                        files[i] = descriptor_path(
                                blob_descriptor(fat, &variant->recipe.options[i].file));
        _cleanup_free_ char *inputs =
                descriptor_path(archive(fat, variant, false, second ? prefix : NULL));
        _cleanup_free_ char *lazy = descriptor_path(archive(fat, variant, true, NULL));
        struct jit_link_paths paths = {.inputs = inputs,
                .lazy_inputs = lazy,
                .stubs = (const char *const *)stubs,
                .option_files = (const char *const *)files};
        const char *features = getenv("RELINK_FEATURES"), *tune = getenv("RELINK_TUNE");
        char **argv = NULL;
        int r = jit_recipe_command(variant, &paths, tune, features, &JIT_POLICY_DEFAULT, 2, &argv);
        char option[PATH_MAX + 32];
        snprintf(option, sizeof option, "--lto-obj-path=%s", prefix ? prefix : "");
        if (r == 0 && prefix && !second)
                r = fmt_strings_append(&argv, option);
        if (r == 0)
                r = run_linker(argv, output);
        fmt_strings_free(argv);
        free_paths(stubs, variant->n_stubs);
        free_paths(files, variant->recipe.n_options);
        return r < 0 ? 1 : r;
}

static int relink(const struct fat *fat, const char *output)
{
        if (fat->record->n_variants == 0) {
                fmt_error("the program stayed native: %s", fat->record->kept_native[0]);
                return 2;
        }
        const struct fmt_variant *variant = &fat->record->variants[0];
        unlink(output);
        if (!jit_recipe_order_matters(variant))
                return link_once(fat, variant, NULL, false, output);
        _cleanup_free_ char *prefix = NULL;
        if (asprintf(&prefix, "%s.lto", output) < 0)
                return 1;
        int status = link_once(fat, variant, prefix, false, output);
        unlink(output);
        return status ? status : link_once(fat, variant, prefix, true, output);
}

int main(int argc, char **argv)
{
        struct fat fat;
        if (argc != 3) {
                fputs("usage: relink FAT OUTPUT | relink --show FAT\n", stderr);
                return 1;
        }
        bool shows = strcmp(argv[1], "--show") == 0;
        int r = open_fat(argv[shows ? 2 : 1], &fat);
        if (r < 0) {
                fmt_error("cannot read the record of %s: %s", argv[shows ? 2 : 1], strerror(-r));
                return 1;
        }
        int status = 0;
        if (shows)
                show(&fat);
        else
                status = relink(&fat, argv[2]);
        close_fat(&fat);
        return status;
}
