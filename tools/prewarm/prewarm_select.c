/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_needed.h"
#include "prewarm.h"

#include <limits.h>
#include <string.h>

int prewarm_begin(
        const struct image_ground *ground, const struct jit_options *how, struct prewarm *ret)
{
        const struct fmt_manifest *manifest = ground->image.manifest;
        int r;

        *ret = (struct prewarm){.image = &ground->image};
        ret->programs = calloc(manifest->n_programs + 1, sizeof(*ret->programs));
        if (!ret->programs)
                return -ENOMEM;
        ret->n_programs = manifest->n_programs;
        for (size_t i = 0; i < manifest->n_programs; i++)
                ret->programs[i].entry = &manifest->programs[i];
        r = jit_session_new(how, ground->spawner, ground->cache, ground->target,
                ground->image.bundle, manifest, &ret->session);
        if (r < 0)
                prewarm_done(ret);
        return r;
}

void prewarm_done(struct prewarm *prewarm)
{
        for (size_t i = 0; i < prewarm->n_programs; i++) {
                jit_program_free(prewarm->programs[i].loaded);
                free(prewarm->programs[i].reason);
        }
        free(prewarm->programs);
        jit_session_free(prewarm->session, true);
        *prewarm = (struct prewarm){0};
}

int prewarm_load(struct prewarm *prewarm, struct prewarm_program *program)
{
        return program->loaded
                       ? 0
                       : jit_program_load(prewarm->session, program->entry, &program->loaded);
}

static struct prewarm_program *find_program(struct prewarm *prewarm, fmt_inode inode)
{
        for (size_t i = 0; i < prewarm->n_programs; i++)
                if (prewarm->programs[i].inode == inode)
                        return &prewarm->programs[i];
        return NULL;
}

static void want(struct prewarm *prewarm, struct prewarm_program *program)
{
        if (program->state != PREWARM_UNWANTED)
                return;
        program->state = PREWARM_WAITING;
        prewarm->n_wanted++;
}

/* fmt_needed_reader: a portable object's record says what it needs, in every kind of image. */
static int read_facts(void *context, fmt_inode inode, struct fmt_needed_facts *ret)
{
        struct prewarm *prewarm = context;
        struct prewarm_program *program = find_program(prewarm, inode);
        const struct fmt_recipe *recipe;

        /* One whose record is damaged says so when its turn comes. */
        if (!program || prewarm_load(prewarm, program) < 0)
                return -ENOENT;
        recipe = &jit_program_variant(program->loaded)->recipe;
        *ret = (struct fmt_needed_facts){.interpreter = recipe->interpreter,
                .needed = recipe->needed,
                .rpath = recipe->rpath,
                .rpath_is_old = recipe->rpath_is_old};
        return 0;
}

/* fmt_needed_visitor */
static void visit(void *context, fmt_inode inode, const char *path)
{
        struct prewarm_program *program = find_program(context, inode);

        (void)path;
        if (program)
                want(context, program);
}

/* Whether FOLDER is one of those that PROGRAM's path leads through. */
static bool lies_below(
        struct prewarm *prewarm, const struct prewarm_program *program, fmt_inode folder)
{
        const char *path = program->entry->path;

        if (folder == FMT_ROOT)
                return true;
        for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                char above[PATH_MAX];
                fmt_inode inode;
                if (snprintf(above, sizeof(above), "%.*s", (int)(slash - path), path) <
                                (int)sizeof(above) &&
                        fmt_squashfs_resolve(prewarm->image->image, above, &inode) == 0 &&
                        inode == folder)
                        return true;
        }
        return false;
}

struct prewarm_program *prewarm_find(struct prewarm *prewarm, const char *path)
{
        fmt_inode inode;

        return fmt_squashfs_resolve(prewarm->image->image, path, &inode) == 0
                       ? find_program(prewarm, inode)
                       : NULL;
}

static int select_one(struct prewarm *prewarm, const char *path)
{
        struct prewarm_program *program;
        fmt_inode inode;
        struct stat st;
        int r;

        r = fmt_squashfs_resolve(prewarm->image->image, path, &inode);
        if (r == 0)
                r = fmt_squashfs_stat(prewarm->image->image, inode, &st);
        if (r < 0) {
                fmt_error("cannot compile %s: %s in the image; give a path as it is inside the "
                          "image, for example /usr/bin/program",
                        path, strerror(-r));
                return r;
        }
        if (S_ISDIR(st.st_mode)) {
                for (size_t i = 0; i < prewarm->n_programs; i++)
                        if (lies_below(prewarm, &prewarm->programs[i], inode))
                                want(prewarm, &prewarm->programs[i]);
                return 0;
        }
        program = find_program(prewarm, inode);
        if (program)
                want(prewarm, program);
        return fmt_needed_walk(prewarm->image->image, path, read_facts, visit, prewarm);
}

int prewarm_select(struct prewarm *prewarm, const char *const *paths)
{
        int r = 0;

        for (size_t i = 0; i < prewarm->n_programs; i++) {
                struct prewarm_program *program = &prewarm->programs[i];
                if (fmt_squashfs_resolve(
                            prewarm->image->image, program->entry->path, &program->inode) < 0)
                        program->inode = 0;
                if (!*paths)
                        want(prewarm, program);
        }
        for (; r == 0 && *paths; paths++)
                r = select_one(prewarm, *paths);
        return r;
}
