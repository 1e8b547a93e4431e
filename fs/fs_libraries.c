/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_libraries.h"

#include "fs_portable.h"
#include "fs_root.h"

#include "fmt_needed.h"

#include <errno.h>

/* A portable object's record says what its native ELF will say. */
static int read_facts(void *context, fmt_inode inode, struct fmt_needed_facts *ret)
{
        struct fs_program *program = fs_portable_find(context, inode);
        const struct jit_program *loaded;
        if (program == NULL || fs_program_load(program, &loaded) < 0)
                return -ENOENT;
        const struct fmt_recipe *recipe = &jit_program_variant(loaded)->recipe;
        *ret = (struct fmt_needed_facts){
                .interpreter = recipe->interpreter,
                .needed = recipe->needed,
                .rpath = recipe->rpath,
                .rpath_is_old = recipe->rpath_is_old,
        };
        return 0;
}

static void start_one(void *context, fmt_inode inode, const char *path)
{
        struct fs_program *program = fs_portable_find(context, inode);
        (void)path;
        if (program != NULL)
                fs_program_start(program);
}

void fs_libraries_start(const struct fs *fs, struct fs_program *program)
{
        const char *path = fs_root_path(fs, fs_program_entry(program)->path);
        /* What cannot be found or read here is for the loader to complain about. */
        fmt_needed_walk(fs->image, path, read_facts, start_one, fs->portable);
}
