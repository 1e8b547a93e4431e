/* SPDX-License-Identifier: Apache-2.0 */
#include "ld_openmp.h"

#include "capture_programs.h"
#include "fmt_cleanup.h"
#include "ld_file.h"
#include "ld_object.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static int see_symbol(void *context, const char *name, bool defined)
{
        bool *calls = context;
        if (!defined && strncmp(name, "__kmpc_", 7) == 0)
                *calls = true;
        return 0;
}

static bool file_calls_kmpc(const char *path)
{
        struct ld_file *file = NULL;
        bool calls = false;
        if (ld_file_open(path, &file) < 0)
                return false;
        if (file->kind == LD_OBJECT)
                ld_object_symbols(file->data, file->size, see_symbol, &calls);
        for (size_t i = 0; i < file->n_members && !calls; i++) {
                const struct ld_member *member = NULL;
                if (ld_file_member(file, i, &member) == 0)
                        ld_object_symbols(member->data, member->size, see_symbol, &calls);
        }
        ld_file_free(file);
        return calls;
}

/* libomp.so beside the clang that is used: Debian keeps it off the default path. */
static int find_libomp(char **ret)
{
        _cleanup_free_ char *clang = NULL;
        char real[PATH_MAX];
        int r = capture_clang(&clang);
        if (r < 0)
                return r;
        if (!realpath(clang, real))
                return -errno;
        size_t folder = (size_t)(capture_base_name(real) - real);
        if (asprintf(ret, "%.*s../lib/libomp.so", (int)folder, real) < 0)
                return -ENOMEM;
        if (access(*ret, R_OK) == 0)
                return 0;
        free(*ret);
        *ret = strdup("-lomp");
        return *ret ? 0 : -ENOMEM;
}

int ld_openmp_choose(const struct jit_link_line *line, char **words)
{
        char **gomp = words;
        while (*gomp && strcmp(*gomp, "-lgomp") != 0)
                gomp++;
        if (!*gomp)
                return 0;
        bool calls = false;
        for (size_t i = 0; i < line->n_files && !calls; i++)
                if (!line->files[i].is_library)
                        calls = file_calls_kmpc(line->files[i].path);
        for (; calls && *gomp; gomp++) {
                if (strcmp(*gomp, "-lgomp") != 0)
                        continue;
                char *libomp = NULL;
                int r = find_libomp(&libomp);
                if (r < 0)
                        return r;
                free(*gomp);
                *gomp = libomp;
        }
        return 0;
}
