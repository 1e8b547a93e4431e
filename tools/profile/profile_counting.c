/* SPDX-License-Identifier: Apache-2.0 */
/* start and finish: between them mounts serve programs that count. */
#include "profile.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_size.h"
#include "fmt_strings.h"
#include "fmt_whole.h"
#include "image_ground.h"
#include "jit_counting.h"
#include "prewarm/prewarm.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* ---- start ---- */

/* Where programs count unless somebody says otherwise; made if it is not there. */
static int open_folder(const struct profile_request *request, struct cache *cache,
        const struct fmt_digest *root, char **ret)
{
        _cleanup_free_ char *folder = NULL, *reason = NULL;
        char hex[FMT_DIGEST_HEX_SIZE];

        fmt_digest_to_hex(root, hex);
        int n = request->folder ? asprintf(&folder, "%s", request->folder)
                                : asprintf(&folder, "%s/counts-%.16s", cache_directory(cache), hex);
        if (n < 0)
                return -ENOMEM;
        if (mkdir(folder, 0700) < 0 && errno != EEXIST) {
                fmt_error("cannot make the folder %s: %s; name another one with --dir", folder,
                        strerror(errno));
                return -EIO;
        }
        *ret = realpath(folder, NULL);
        int r = *ret ? jit_counting_check_folder(*ret, &reason) : -errno;
        if (r < 0)
                fmt_error("programs cannot count in %s: %s; name another folder with --dir", folder,
                        reason ? reason : strerror(-r));
        return r;
}

/* The programs that were named and the libraries they need. */
static int select_programs(const struct profile_request *request, const struct image_ground *ground,
        struct jit_counting *counting)
{
        static const char *const everything[] = {NULL};
        const struct jit_options how = {0};
        _cleanup_(prewarm_done) struct prewarm prewarm = {0};
        int r = prewarm_begin(ground, &how, &prewarm);

        if (r == 0)
                r = prewarm_select(&prewarm,
                        request->programs ? (const char *const *)request->programs : everything);
        for (size_t i = 0; i < prewarm.n_programs && r == 0; i++)
                if (prewarm.programs[i].state == PREWARM_WAITING)
                        r = fmt_strings_append(
                                &counting->programs, prewarm.programs[i].entry->path);
        return r;
}

static int begin_counting(const struct profile_request *request, const struct image_ground *ground)
{
        _cleanup_(jit_counting_done) struct jit_counting counting = {0};
        struct fmt_digest root;

        fmt_bundle_root(ground->image.bundle, &root);
        int r = open_folder(request, ground->cache, &root, &counting.folder);
        if (r == 0)
                r = select_programs(request, ground, &counting);
        if (r < 0)
                return 1;
        if (!counting.programs) {
                fmt_error("no portable program was named in %s; `xaas inspect %s` lists them",
                        request->image, request->image);
                return 1;
        }
        r = jit_counting_write(ground->cache, &root, &counting);
        if (r < 0) {
                fmt_error("cannot write to the cache %s: %s; do this as its owner",
                        cache_directory(ground->cache), strerror(-r));
                return 1;
        }
        for (char **program = counting.programs; *program; program++)
                printf("/%s\n", *program);
        printf("count in %s, in mounts of %s that begin from now on.\n"
               "Containers must see that folder. Run what is typical, then: xaas profile finish "
               "%s\n",
                counting.folder, request->image, request->image);
        return 0;
}

int profile_start(const struct profile_request *request)
{
        const struct image_ground_wish wish = {.command = "profile start",
                .image = request->image,
                .cache = request->cache,
                .target = request->target};
        _cleanup_(image_ground_done) struct image_ground ground = IMAGE_GROUND_EMPTY;

        if (image_ground_lay(&wish, &ground) < 0)
                return 1;
        if (ground.image.manifest)
                return begin_counting(request, &ground);
        fmt_error("%s holds no portable objects; build programs with `xaas build` and pack the "
                  "image again",
                request->image);
        return 1;
}

/* ---- finish ---- */

struct finish {
        const struct profile_request *request;
        struct profile_image *image;
        struct jit_counting counting;
        char **done; /* names of profiles that were made: programs may share one */
        size_t n_made, n_silent;
};

static void finish_done(struct finish *finish)
{
        jit_counting_done(&finish->counting);
        fmt_strings_free(finish->done);
}

/* Files in the folder that begin with STEM. */
static int list_files(const char *folder, const char *stem, char ***ret)
{
        DIR *directory = opendir(folder);
        int r = directory ? 0 : -errno;

        for (struct dirent *entry; r == 0 && (entry = readdir(directory));) {
                const size_t size = strlen(entry->d_name);
                if (!strncmp(entry->d_name, stem, strlen(stem)) && size > 8 &&
                        !strcmp(entry->d_name + size - 8, ".profraw") &&
                        !strchr(entry->d_name, '\n'))
                        r = fmt_strings_append(ret, entry->d_name);
        }
        if (directory)
                closedir(directory);
        return r;
}

/* The profile that there was, as one more file to merge. */
static int add_earlier(const struct finish *finish, const struct fmt_digest *name, char ***files)
{
        _cleanup_(jit_profile_done) struct jit_profile profile = {0};
        _cleanup_free_ void *data = NULL;
        _cleanup_free_ char *path = NULL;
        static const char earlier[] = "earlier.profdata";
        size_t size;
        int r = jit_profile_read(finish->image->cache, name, &profile);

        if (r == 0)
                r = jit_profile_data(finish->image->cache, &profile.data, &data, &size);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        if (asprintf(&path, "%s/%s", finish->counting.folder, earlier) < 0)
                return -ENOMEM;
        /* Who else may write to the folder does not choose which file this is. */
        _cleanup_close_ int fd =
                open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        r = fd < 0 ? -errno : fmt_write_whole(fd, data, size);
        if (r < 0)
                fmt_error("cannot write the profile that there is to %s: %s; make room there, or "
                          "do without --add",
                        path, strerror(-r));
        return r < 0 ? r : fmt_strings_append(files, earlier);
}

static void remove_files(const char *folder, char *const *files)
{
        for (; *files; files++) {
                char path[PATH_MAX];
                if (snprintf(path, sizeof(path), "%s/%s", folder, *files) < (int)sizeof(path))
                        unlink(path);
        }
}

static int make_profile(struct finish *finish, const struct profile_program *program,
        const struct fmt_digest *name, char ***files)
{
        struct jit_profile profile = {.program = program->entry->path,
                .time = (uint64_t)time(NULL),
                .files = fmt_strings_count(*files)};
        _cleanup_free_ void *data = NULL;
        size_t size;
        char text[FMT_SIZE_TEXT];
        int r = finish->request->add ? add_earlier(finish, name, files) : 0;

        if (r == 0)
                r = profile_merge(finish->counting.folder, *files, &data, &size);
        if (r < 0)
                return r;
        profile.size = size;
        r = jit_profile_write(finish->image->cache, name, &profile, data);
        if (r < 0) {
                fmt_error("cannot keep the profile of /%s in the cache %s: %s; do this as its "
                          "owner, with room on the disk",
                        program->entry->path, cache_directory(finish->image->cache), strerror(-r));
                return r;
        }
        if (!finish->request->keep)
                remove_files(finish->counting.folder, *files);
        printf("/%s: %s, of %" PRIu64 " that ran at the same time\n", program->entry->path,
                fmt_size_text(size, text), profile.files);
        finish->n_made++;
        return 0;
}

static int finish_name(struct finish *finish, const struct profile_program *program,
        const struct fmt_digest *name, bool *ret_ran)
{
        _cleanup_(fmt_strings_freep) char **files = NULL;
        char hex[FMT_DIGEST_HEX_SIZE];

        fmt_digest_to_hex(name, hex);
        if (fmt_strings_contain(finish->done, hex)) {
                *ret_ran = true;
                return 0;
        }
        int r = list_files(finish->counting.folder, hex, &files);
        if (r < 0)
                fmt_error("cannot read the folder %s: %s; name it with --dir",
                        finish->counting.folder, strerror(-r));
        if (r < 0 || !files)
                return r;
        *ret_ran = true;
        r = make_profile(finish, program, name, &files);
        return r < 0 ? r : fmt_strings_append(&finish->done, hex);
}

static int finish_program(void *context, const struct profile_program *program)
{
        struct finish *finish = context;
        bool ran = false;
        int r = 0;

        if (!jit_counting_has(&finish->counting, program->entry->path))
                return 0;
        for (size_t i = 0; i < program->n_names && r == 0; i++)
                r = finish_name(finish, program, &program->names[i], &ran);
        if (r == 0 && !ran) {
                printf("/%s: did not run\n", program->entry->path);
                finish->n_silent++;
        }
        return r;
}

/* Where they counted: what start wrote down, or --dir. */
static int find_counts(struct finish *finish, const struct fmt_digest *root)
{
        const char *folder = finish->request->folder;
        int r = jit_counting_read(finish->image->cache, root, &finish->counting);

        if (folder) {
                jit_counting_done(&finish->counting);
                finish->counting.folder = realpath(folder, NULL);
                if (finish->counting.folder)
                        return 0;
                fmt_error("cannot read the folder %s: %s; name the one that programs counted in",
                        folder, strerror(errno));
                return -ENOENT;
        }
        if (r < 0)
                fmt_error("nothing counts in mounts of %s: %s; begin with `xaas profile start`, or "
                          "say where with --dir",
                        finish->request->image, r == -ENOENT ? "it was not started" : strerror(-r));
        return r;
}

int profile_finish(const struct profile_request *request)
{
        _cleanup_(profile_image_done) struct profile_image image = {0};
        _cleanup_(finish_done) struct finish finish = {.request = request, .image = &image};
        struct fmt_digest root;

        if (profile_image_open(request, &image) < 0)
                return 1;
        fmt_bundle_root(image.image.bundle, &root);
        int r = find_counts(&finish, &root);
        if (r == 0)
                r = profile_each(&image, request->programs, finish_program, &finish);
        if (r < 0)
                return 1;
        if (!request->keep) {
                jit_counting_remove(image.cache, &root);
                rmdir(finish.counting.folder); /* if nothing else is in it */
        }
        if (finish.n_made == 0) {
                fmt_error("no program of %s has counted anything in %s: mounts that were there "
                          "before the start do not count, and containers must see that folder",
                        request->image, finish.counting.folder);
                return 1;
        }
        return 0;
}
