/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_tree.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "pack_layers.h"
#include "pack_scan.h"

#include <archive_entry.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <search.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

int pack_path_normalise(const char *path, char **ret)
{
        _cleanup_free_ char *clean = malloc(strlen(path) + 1);
        size_t used = 0;

        if (!clean)
                return -ENOMEM;
        while (*path) {
                size_t length = strcspn(path, "/");
                if (length == 2 && path[0] == '.' && path[1] == '.')
                        return -EINVAL;
                if (length > 0 && !(length == 1 && path[0] == '.')) {
                        if (used > 0)
                                clean[used++] = '/';
                        memcpy(clean + used, path, length);
                        used += length;
                }
                path += length;
                path += strspn(path, "/");
        }
        clean[used] = '\0';
        *ret = steal_pointer(&clean);
        return 0;
}

static bool is_excluded(char *const *patterns, const char *path)
{
        for (; patterns && *patterns; patterns++)
                if (fnmatch(*patterns + strspn(*patterns, "/"), path, FNM_LEADING_DIR) == 0)
                        return true;
        return false;
}

int pack_scan_file(struct pack_scan *scan, struct archive_entry *meta, struct pack_file **ret)
{
        struct pack_file *file = calloc(1, sizeof *file);

        if (!file) {
                archive_entry_free(meta);
                return -ENOMEM;
        }
        file->meta = meta;
        file->next = scan->tree->files;
        scan->tree->files = file;
        *ret = file;
        return 0;
}

static int by_path(const void *a, const void *b)
{
        return strcmp(((const struct pack_name *)a)->path, ((const struct pack_name *)b)->path);
}

static struct pack_name *find_name(const struct pack_scan *scan, const char *path)
{
        const struct pack_name wanted = {.path = (char *)path};
        struct pack_name **found = tfind(&wanted, &scan->by_path, by_path);

        return found ? *found : NULL;
}

struct pack_file *pack_scan_find(const struct pack_scan *scan, const char *path)
{
        struct pack_name *name = find_name(scan, path);

        return name && !name->removed ? name->file : NULL;
}

/* The array grows when its count is a power of two. */
static int append_name(struct pack_tree *tree, struct pack_name *name)
{
        if ((tree->n_names & (tree->n_names - 1)) == 0) {
                struct pack_name **grown = reallocarray(
                        tree->names, tree->n_names ? 2 * tree->n_names : 1, sizeof *grown);
                if (!grown)
                        return -ENOMEM;
                tree->names = grown;
        }
        tree->names[tree->n_names++] = name;
        return 0;
}

/* What earlier layers have below PATH (or at all, if it is empty). */
static void remove_below(struct pack_scan *scan, const char *path)
{
        size_t length = strlen(path);

        for (size_t i = 0; i < scan->tree->n_names; i++) {
                struct pack_name *name = scan->tree->names[i];
                if (name->layer < scan->layer && strncmp(name->path, path, length) == 0 &&
                        (length == 0 || name->path[length] == '/'))
                        name->removed = true;
        }
}

bool pack_scan_whiteout(struct pack_scan *scan, const char *path)
{
        const char *slash = strrchr(path, '/');
        const char *base = slash ? slash + 1 : path;
        _cleanup_free_ char *target = NULL;

        if (strncmp(base, ".wh.", 4) != 0)
                return false;
        bool all = strcmp(base, ".wh..wh..opq") == 0;
        if (asprintf(&target, "%.*s%s", (int)(all && slash ? slash - path : base - path), path,
                    all ? "" : base + 4) < 0)
                return true;
        struct pack_name *name = all ? NULL : find_name(scan, target);
        if (name && name->layer < scan->layer)
                name->removed = true;
        remove_below(scan, target);
        return true;
}

static int take_name(struct pack_scan *scan, struct pack_name *name, struct pack_file *file)
{
        /* A folder of an earlier layer that is no folder any more takes its files along. */
        if (name->layer < scan->layer && archive_entry_filetype(file->meta) != AE_IFDIR)
                remove_below(scan, name->path);
        name->file = file;
        name->removed = false;
        name->layer = scan->layer;
        return 0;
}

int pack_scan_name(struct pack_scan *scan, const char *path, struct pack_file *file)
{
        struct pack_name *name = find_name(scan, path);

        if (name)
                return take_name(scan, name, file);
        name = calloc(1, sizeof *name);
        if (!name)
                return -ENOMEM;
        name->layer = scan->layer;
        name->path = strdup(path);
        name->file = file;
        name->excluded = is_excluded(scan->exclude, path);
        int r = name->path ? append_name(scan->tree, name) : -ENOMEM;
        if (r < 0) {
                free(name->path);
                free(name);
                return r;
        }
        return tsearch(name, &scan->by_path, by_path) ? 0 : -ENOMEM;
}

/* ---- order ---- */

static void name_free(struct pack_name *name)
{
        free(name->path);
        free(name);
}

static int compare_names(const void *a, const void *b)
{
        return strcmp((*(struct pack_name *const *)a)->path, (*(struct pack_name *const *)b)->path);
}

static void drop_unwanted(struct pack_tree *tree)
{
        size_t kept = 0;

        for (size_t i = 0; i < tree->n_names; i++)
                if (tree->names[i]->excluded || tree->names[i]->removed)
                        name_free(tree->names[i]);
                else
                        tree->names[kept++] = tree->names[i];
        tree->n_names = kept;
}

/* A tar may leave folders out that its files lie in: they get root's ownership and mode 0755. */
static int make_folder(struct pack_scan *scan, const char *path)
{
        struct archive_entry *meta = archive_entry_new();
        struct pack_file *file;

        if (!meta)
                return -ENOMEM;
        archive_entry_set_filetype(meta, AE_IFDIR);
        archive_entry_set_perm(meta, 0755);
        int r = pack_scan_file(scan, meta, &file);
        return r < 0 ? r : pack_scan_name(scan, path, file);
}

static int check_parents(struct pack_scan *scan, const char *path)
{
        _cleanup_free_ char *parent = strdup(path);

        if (!parent)
                return -ENOMEM;
        for (char *slash = strrchr(parent, '/'); slash; slash = strrchr(parent, '/')) {
                *slash = '\0';
                struct pack_name *name = find_name(scan, parent);
                if (!name || name->removed || name->excluded) {
                        bool missing = !name || name->removed;
                        int r = missing ? make_folder(scan, parent) : 0;
                        if (r < 0)
                                return r;
                } else if (archive_entry_filetype(name->file->meta) != AE_IFDIR) {
                        fmt_error("cannot pack %s: %s is not a folder; the archive is not one root "
                                  "file system",
                                path, parent);
                        return -ENOTDIR;
                } else {
                        return 0; /* its own parents are checked under its own name */
                }
        }
        return 0;
}

static int finish(struct pack_scan *scan)
{
        struct pack_tree *tree = scan->tree;
        size_t given = tree->n_names;

        for (size_t i = 0; i < given; i++) {
                const struct pack_name *name = tree->names[i];
                int r = name->excluded || name->removed ? 0 : check_parents(scan, name->path);
                if (r < 0)
                        return r;
        }
        drop_unwanted(tree);
        if (tree->n_names > 0)
                qsort(tree->names, tree->n_names, sizeof(struct pack_name *), compare_names);
        tree->newest = tree->root ? archive_entry_mtime(tree->root->meta) : 0;
        for (size_t i = 0; i < tree->n_names; i++) {
                struct pack_file *file = tree->names[i]->file;
                if (file->has_name)
                        continue;
                file->has_name = true;
                file->first = i;
                if (archive_entry_filetype(file->meta) == AE_IFREG)
                        tree->data_size += (uint64_t)archive_entry_size(file->meta);
                if (archive_entry_mtime(file->meta) > tree->newest)
                        tree->newest = archive_entry_mtime(file->meta);
        }
        if (tree->newest < 0)
                tree->newest = 0;
        return 0;
}

/* ---- life ---- */

static void keep(void *node)
{
        (void)node; /* the trees only point at what others own */
}

static int scan_path(struct pack_scan *scan, const char *path)
{
        struct stat st;

        if (strcmp(path, "-") == 0)
                return pack_scan_tar(scan, path);
        if (stat(path, &st) < 0) {
                fmt_error("cannot read %s: %m; give a folder or a tar archive with the root file "
                          "system",
                        path);
                return -errno;
        }
        if (!S_ISDIR(st.st_mode))
                return pack_scan_tar(scan, path);
        scan->tree->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (scan->tree->folder < 0) {
                fmt_error("cannot open the folder %s: %m; check its permissions", path);
                return -errno;
        }
        return pack_scan_folder(scan, path);
}

static struct pack_tree *tree_new(void)
{
        struct pack_tree *tree = calloc(1, sizeof *tree);

        if (tree)
                tree->folder = tree->spool = -1;
        return tree;
}

static void scan_done(struct pack_scan *scan)
{
        tdestroy(scan->by_path, keep);
        tdestroy(scan->by_inode, keep);
}

/* What was read is a container image: its layers, one over the other, are the root file system. */
static int read_layers(struct pack_scan *image, char *const *exclude, struct pack_tree **ret)
{
        _cleanup_(pack_tree_freep) struct pack_tree *tree = tree_new();
        struct pack_scan scan = {.tree = tree, .exclude = exclude};

        int r = tree ? pack_layers_read(image, &scan) : -ENOMEM;
        if (r == 0)
                r = finish(&scan);
        scan_done(&scan);
        if (r < 0)
                return r;
        *ret = steal_pointer(&tree);
        return 0;
}

int pack_tree_read(const char *path, char *const *exclude, struct pack_tree **ret)
{
        _cleanup_(pack_tree_freep) struct pack_tree *tree = tree_new();
        struct pack_scan scan = {.tree = tree, .exclude = exclude};

        int r = tree ? scan_path(&scan, path) : -ENOMEM;
        bool layered = r == 0 && pack_layers_present(&scan);
        if (layered)
                r = read_layers(&scan, exclude, ret);
        else if (r == 0)
                r = finish(&scan);
        scan_done(&scan);
        if (r < 0 || layered)
                return r;
        *ret = steal_pointer(&tree);
        return 0;
}

void pack_tree_free(struct pack_tree *tree)
{
        if (!tree)
                return;
        for (size_t i = 0; i < tree->n_names; i++)
                name_free(tree->names[i]);
        free(tree->names);
        for (struct pack_file *file = tree->files, *next; file; file = next) {
                next = file->next;
                archive_entry_free(file->meta);
                free(file->source);
                free(file->extents);
                free(file);
        }
        if (tree->folder >= 0)
                close(tree->folder);
        if (tree->spool >= 0)
                close(tree->spool);
        free(tree);
}

const struct pack_name *pack_tree_find(const struct pack_tree *tree, const char *path)
{
        const struct pack_name wanted = {.path = (char *)path};
        const struct pack_name *key = &wanted;

        if (tree->n_names == 0)
                return NULL;
        struct pack_name **found = bsearch(
                &key, tree->names, tree->n_names, sizeof(struct pack_name *), compare_names);
        return found ? *found : NULL;
}

bool pack_tree_is_first(const struct pack_tree *tree, size_t index)
{
        return tree->names[index]->file->first == index;
}

/* ---- data ---- */

static int open_source(const struct pack_tree *tree, const struct pack_file *file, int *ret_fd)
{
        _cleanup_close_ int fd =
                openat(tree->folder, file->source, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        /* Someone may write to the folder while we read it. */
        if (!S_ISREG(st.st_mode) || st.st_size != archive_entry_size(file->meta))
                return -ESTALE;
        *ret_fd = steal_fd(&fd);
        return 0;
}

static int copy_extent(int from, const struct pack_extent *extent, int to)
{
        char buffer[65536];
        uint64_t done = 0;

        while (done < extent->length) {
                size_t want = extent->length - done < sizeof buffer
                                      ? (size_t)(extent->length - done)
                                      : sizeof buffer;
                ssize_t got = pread(from, buffer, want, (off_t)(extent->spool + done));
                if (got <= 0)
                        return got < 0 ? -errno : -EIO;
                if (pwrite(to, buffer, (size_t)got, (off_t)(extent->at + done)) != got)
                        return -EIO;
                done += (uint64_t)got;
        }
        return 0;
}

int pack_file_starts_with(
        const struct pack_tree *tree, const struct pack_file *file, const void *start, size_t size)
{
        _cleanup_close_ int opened = -1;
        char seen[16];
        int fd = tree->spool;
        off_t at = 0;

        if (size > sizeof seen || archive_entry_size(file->meta) < (la_int64_t)size)
                return 0;
        if (file->source) {
                int r = open_source(tree, file, &opened);
                if (r < 0)
                        return r;
                fd = opened;
        } else {
                /* Nothing that anybody looks for starts with a hole. */
                if (file->n_extents == 0 || file->extents[0].at != 0 ||
                        file->extents[0].length < size)
                        return 0;
                at = (off_t)file->extents[0].spool;
        }
        ssize_t got = pread(fd, seen, size, at);
        if (got < 0)
                return -errno;
        return (size_t)got == size && memcmp(seen, start, size) == 0;
}

int pack_file_open(const struct pack_tree *tree, const struct pack_file *file, int *ret_fd)
{
        if (file->source)
                return open_source(tree, file, ret_fd);
        _cleanup_close_ int fd = memfd_create("pack", MFD_CLOEXEC);
        if (fd < 0 || ftruncate(fd, archive_entry_size(file->meta)) < 0)
                return -errno;
        for (size_t i = 0; i < file->n_extents; i++) {
                int r = copy_extent(tree->spool, &file->extents[i], fd);
                if (r < 0)
                        return r;
        }
        *ret_fd = steal_fd(&fd);
        return 0;
}
