/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_needed.h"

#include "fmt_cleanup.h"
#include "fmt_elf_dynamic.h"
#include "fmt_ldconf.h"
#include "fmt_strings.h"

#include <limits.h>
#include <string.h>

/* A closure larger than this is a loop of names made to keep us busy. */
#define MOST_FILES 4096
#define MOST_LINKS 40

struct file {
        fmt_inode inode;
        char *origin; /* the folder $ORIGIN stands for */
        struct fmt_needed_facts facts;
        struct fmt_elf_dynamic own; /* what facts point to if the ELF headers were read */
        size_t loader;              /* index of the file that needed it; its own for the first */
};

struct walk {
        struct fmt_squashfs *image;
        fmt_needed_reader *reader;
        fmt_needed_visitor *visitor;
        void *context;
        char **folders;
        struct file *files;
        size_t n_files;
        char **names; /* names of libraries that were looked for: the loader never looks twice */
};

static void walk_done(struct walk *walk)
{
        for (size_t i = 0; i < walk->n_files; i++) {
                free(walk->files[i].origin);
                fmt_elf_dynamic_done(&walk->files[i].own);
        }
        free(walk->files);
        fmt_strings_free(walk->folders);
        fmt_strings_free(walk->names);
}

static int folder_of(const char *path, char **ret)
{
        const char *slash = strrchr(path, '/');

        *ret = strndup(path, slash ? (size_t)(slash - path) : 0);
        return *ret ? 0 : -ENOMEM;
}

/* The kernel resolves links before it tells the loader where a program lies. Only the last
 * component matters: folders lead to the same place either way. */
static int real_folder(struct fmt_squashfs *image, const char *path, char **ret)
{
        _cleanup_free_ char *at = strdup(path);

        if (!at)
                return -ENOMEM;
        for (unsigned i = 0; i < MOST_LINKS; i++) {
                _cleanup_free_ char *folder = NULL;
                const char *slash = strrchr(at, '/'), *name = slash ? slash + 1 : at, *target;
                fmt_inode directory, inode;
                char *next;
                size_t size;
                int r = folder_of(at, &folder);
                if (r < 0)
                        return r;
                if (fmt_squashfs_resolve(image, folder, &directory) < 0 ||
                        fmt_squashfs_lookup(image, directory, name, strlen(name), &inode) < 0 ||
                        fmt_squashfs_readlink(image, inode, &target, &size) < 0) {
                        *ret = steal_pointer(&folder);
                        return 0;
                }
                if (asprintf(&next, "%s%s%.*s", *target == '/' ? "" : folder,
                            *target == '/' ? "" : "/", (int)size, target) < 0)
                        return -ENOMEM;
                free(at);
                at = next;
        }
        return -ELOOP;
}

static int read_facts(struct walk *walk, struct file *file)
{
        struct fmt_source_inode storage = {.image = walk->image, .inode = file->inode};
        struct fmt_source source;
        int r = walk->reader ? walk->reader(walk->context, file->inode, &file->facts) : -ENOENT;

        if (r != -ENOENT)
                return r;
        r = fmt_source_of_inode(&storage, &source);
        if (r == 0)
                r = fmt_elf_dynamic_read(source, &file->own);
        if (r < 0)
                return r;
        file->facts = (struct fmt_needed_facts){.interpreter = file->own.interpreter,
                .needed = file->own.needed,
                .rpath = file->own.rpath,
                .rpath_is_old = file->own.rpath_is_old};
        return 0;
}

static bool is_known(const struct walk *walk, fmt_inode inode)
{
        for (size_t i = 0; i < walk->n_files; i++)
                if (walk->files[i].inode == inode)
                        return true;
        return false;
}

/* Takes PATH in as a file that LOADER loads. 1: it is in; 0: the loader would pass over it (not
 * there, or for another machine). */
static int load(struct walk *walk, const char *path, size_t loader, bool visit)
{
        struct file file = {.loader = loader};
        struct stat st;
        void *grown;
        int r;

        if (walk->n_files >= MOST_FILES ||
                fmt_squashfs_resolve(walk->image, path, &file.inode) < 0 ||
                fmt_squashfs_stat(walk->image, file.inode, &st) < 0 || !S_ISREG(st.st_mode))
                return 0;
        if (is_known(walk, file.inode))
                return 1;
        r = read_facts(walk, &file);
        if (r == -ENOEXEC || r == -EBADMSG)
                return 0;
        if (r == 0)
                r = real_folder(walk->image, path, &file.origin);
        grown = r < 0 ? NULL : reallocarray(walk->files, walk->n_files + 1, sizeof(*walk->files));
        if (!grown) {
                fmt_elf_dynamic_done(&file.own);
                free(file.origin);
                return r < 0 ? r : -ENOMEM;
        }
        walk->files = grown;
        walk->files[walk->n_files++] = file;
        if (visit)
                walk->visitor(walk->context, file.inode, path + strspn(path, "/"));
        return 1;
}

static const char *token_value(const char *name, size_t size, const char *origin, bool lib64)
{
        if (size == 6 && !strncmp(name, "ORIGIN", size))
                return origin;
        if (size == 3 && !strncmp(name, "LIB", size))
                return lib64 ? "lib64" : "lib/x86_64-linux-gnu";
        if (size == 8 && !strncmp(name, "PLATFORM", size))
                return "x86_64";
        return NULL;
}

/* FOLDER (SIZE bytes) with $TOKEN and ${TOKEN} replaced, and "/NAME" appended. $LIB is a matter
 * of how the loader was built: Debian's, or LIB64. */
static int expand(const char *folder, size_t size, const char *origin, bool lib64, const char *name,
        char **ret)
{
        _cleanup_fclose_ FILE *out = NULL;
        size_t written;
        bool failed;

        out = open_memstream(ret, &written);
        if (!out)
                return -ENOMEM;
        for (size_t i = 0; i < size;) {
                bool braces = folder[i] == '$' && i + 1 < size && folder[i + 1] == '{';
                const char *token = folder + i + 1 + braces;
                size_t length = strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
                const char *value =
                        folder[i] == '$' ? token_value(token, length, origin, lib64) : NULL;
                if (value && (!braces || token[length] == '}')) {
                        fputs(value, out);
                        i += 1 + length + 2 * (size_t)braces;
                } else {
                        fputc(folder[i++], out);
                }
        }
        fprintf(out, "/%s", name);
        failed = ferror(out);
        return fflush(out) != 0 || failed ? -ENOMEM : 0;
}

/* Looks for NAME in the folders of RPATH, which the file AT brought. As load. */
static int search_rpath(
        struct walk *walk, const char *rpath, size_t at, const char *name, size_t loader)
{
        int r = 0;

        for (const char *folder = rpath; r == 0 && folder; folder = strchr(folder, ':')) {
                folder += *folder == ':';
                if (!*folder || *folder == ':')
                        continue; /* the working directory, which is not known */
                for (int lib64 = 0; r == 0 && lib64 < 2; lib64++) {
                        _cleanup_free_ char *path = NULL;
                        r = expand(folder, strcspn(folder, ":"), walk->files[at].origin, lib64,
                                name, &path);
                        if (r == 0)
                                r = load(walk, path, loader, true);
                }
        }
        return r;
}

/* DT_RPATH of the file and of everyone up to the program, unless the file has a DT_RUNPATH,
 * which is for its own libraries alone. */
static int search_rpaths(struct walk *walk, size_t index, const char *name)
{
        const struct fmt_needed_facts *own = &walk->files[index].facts;
        size_t at = index;
        int r = 0;

        if (own->rpath && !own->rpath_is_old)
                return search_rpath(walk, own->rpath, index, name, index);
        for (;;) {
                struct fmt_needed_facts facts = walk->files[at].facts;
                if (facts.rpath && facts.rpath_is_old)
                        r = search_rpath(walk, facts.rpath, at, name, index);
                if (r != 0 || walk->files[at].loader == at)
                        return r;
                at = walk->files[at].loader;
        }
}

static int load_library(struct walk *walk, size_t index, const char *name)
{
        int r;

        if (fmt_strings_contain(walk->names, name))
                return 0;
        r = fmt_strings_append(&walk->names, name);
        if (r < 0)
                return r;
        if (strchr(name, '/'))
                return load(walk, name, index, true);
        r = search_rpaths(walk, index, name);
        for (char **folder = walk->folders; r == 0 && *folder; folder++) {
                char path[PATH_MAX];
                if (snprintf(path, sizeof(path), "%s/%s", *folder, name) < (int)sizeof(path))
                        r = load(walk, path, index, true);
        }
        return r;
}

int fmt_needed_walk(struct fmt_squashfs *image, const char *path, fmt_needed_reader *reader,
        fmt_needed_visitor *visitor, void *context)
{
        _cleanup_(walk_done) struct walk walk = {
                .image = image, .reader = reader, .visitor = visitor, .context = context};
        fmt_inode inode;
        int r;

        r = fmt_squashfs_resolve(image, path, &inode);
        if (r == 0)
                r = fmt_ldconf_folders(image, &walk.folders);
        if (r == 0)
                r = load(&walk, path, 0, false);
        /* Whatever is loaded is appended, and its libraries are looked for in turn. */
        for (size_t i = 0; r >= 0 && i < walk.n_files; i++) {
                struct fmt_needed_facts facts = walk.files[i].facts;
                if (facts.interpreter)
                        r = load(&walk, facts.interpreter, i, true);
                for (char *const *name = facts.needed; r >= 0 && name && *name; name++)
                        r = load_library(&walk, i, *name);
        }
        return r < 0 ? r : 0;
}
