/* SPDX-License-Identifier: Apache-2.0 */
/* list, export, import, forget: profiles that there are. */
#include "profile.h"

#include "fmt_cleanup.h"
#include "fmt_json.h"
#include "fmt_log.h"
#include "fmt_size.h"
#include "fmt_whole.h"
#include "fmt_strings.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* ---- list ---- */

static int append_profile(
        void *context, const struct fmt_digest *name, const struct jit_profile *profile)
{
        char name_hex[FMT_DIGEST_HEX_SIZE], data_hex[FMT_DIGEST_HEX_SIZE];

        fmt_digest_to_hex(name, name_hex);
        fmt_digest_to_hex(&profile->data, data_hex);
        json_array_append_new(context,
                json_pack("{s:s, s:s, s:s, s:I, s:I, s:I}", "name", name_hex, "program",
                        profile->program, "data", data_hex, "size", (json_int_t)profile->size,
                        "time", (json_int_t)profile->time, "files", (json_int_t)profile->files));
        return 0;
}

static int print_profile(
        void *context, const struct fmt_digest *name, const struct jit_profile *profile)
{
        const time_t made = (time_t)profile->time;
        char size[FMT_SIZE_TEXT], when[32] = "?";
        struct tm local;

        (void)context, (void)name;
        if (localtime_r(&made, &local))
                strftime(when, sizeof(when), "%Y-%m-%d %H:%M", &local);
        printf("%10s  %s  %-8s  /%s\n", fmt_size_text(profile->size, size), when,
                profile->files ? "counted" : "imported", profile->program);
        return 0;
}

int profile_list(const struct profile_request *request)
{
        const struct cache_options how = {.directory = request->cache};
        _cleanup_(fmt_json_decrefp) json_t *json = json_array();
        struct cache *cache;

        if (cache_open(&how, &cache) < 0)
                return 1;
        int r = jit_profile_each(cache, request->json ? append_profile : print_profile, json);
        if (r < 0)
                fmt_error("cannot read the cache %s: %s; look at the folder",
                        cache_directory(cache), strerror(-r));
        cache_close(cache);
        if (r == 0 && request->json) {
                json_dumpf(json, stdout, JSON_INDENT(2));
                printf("\n");
        }
        return r < 0;
}

/* ---- files ---- */

struct transfer {
        const struct profile_request *request;
        struct profile_image *image;
        size_t n;
};

static int make_folders(const char *file)
{
        _cleanup_free_ char *path = strdup(file);

        if (!path)
                return -ENOMEM;
        for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
                *slash = '\0';
                if (mkdir(path, 0777) < 0 && errno != EEXIST)
                        return -errno;
                *slash = '/';
        }
        return 0;
}

/* As old as the profile, so that whoever packs it knows. */
static int write_file(const char *path, const void *data, size_t size, uint64_t made)
{
        const struct timespec times[] = {{.tv_sec = (time_t)made}, {.tv_sec = (time_t)made}};
        int r = make_folders(path);

        if (r < 0)
                return r;
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0)
                return -errno;
        r = fmt_write_whole(fd, data, size);
        return r < 0 ? r : futimens(fd, times) < 0 ? -errno : 0;
}

/* What mounts use: the cache's, unless the image's is younger. *ret_made: seconds since the epoch.
 * -ENOENT: there is none. */
static int read_used(const struct profile_image *image, const struct profile_program *program,
        void **ret, size_t *ret_size, uint64_t *ret_made)
{
        const struct fmt_program *entry = program->entry;
        _cleanup_(jit_profile_done) struct jit_profile profile = {0};
        int r = -ENOENT;

        for (size_t i = 0; i < program->n_names && r == -ENOENT; i++)
                r = jit_profile_read(image->cache, &program->names[i], &profile);
        if (entry->has_profile &&
                (r == -ENOENT || (r == 0 && profile.time < entry->profile_time))) {
                *ret_made = entry->profile_time;
                return fmt_bundle_read(image->image.bundle, &entry->profile, ret, ret_size);
        }
        *ret_made = profile.time;
        return r < 0 ? r : jit_profile_data(image->cache, &profile.data, ret, ret_size);
}

static int export_program(void *context, const struct profile_program *program)
{
        struct transfer *transfer = context;
        _cleanup_free_ char *file =
                jit_profile_file_name(transfer->request->place, program->entry->path);
        _cleanup_free_ void *data = NULL;
        uint64_t made;
        size_t size;
        int r;

        if (!file)
                return -ENOMEM;
        r = read_used(transfer->image, program, &data, &size, &made);
        if (r == -ENOENT)
                return 0;
        if (r == 0)
                r = write_file(file, data, size, made);
        if (r < 0) {
                fmt_error("cannot export the profile of /%s to %s: %s; make room there, or choose "
                          "another folder",
                        program->entry->path, file, strerror(-r));
                return r;
        }
        printf("%s\n", file);
        transfer->n++;
        return 0;
}

/* VISIT counts those that had a profile. */
static int with_each(const struct profile_request *request,
        int (*visit)(void *context, const struct profile_program *program))
{
        _cleanup_(profile_image_done) struct profile_image image = {0};
        struct transfer transfer = {.request = request, .image = &image};

        if (profile_image_open(request, &image) < 0 ||
                profile_each(&image, request->programs, visit, &transfer) < 0)
                return 1;
        if (transfer.n > 0)
                return 0;
        fmt_error("there is no profile of what was named in %s; `xaas profile list` shows all",
                request->image);
        return 1;
}

int profile_export(const struct profile_request *request)
{
        return with_each(request, export_program);
}

/* -ENOENT: none is there. */
static int import_file(
        struct transfer *transfer, const struct profile_program *program, const char *file)
{
        struct jit_profile profile = {
                .program = program->entry->path, .time = (uint64_t)time(NULL)};
        _cleanup_free_ void *data = NULL;
        int r = jit_profile_load_file(file, &data, &profile.size);

        if (r == -ENOENT)
                return r;
        for (size_t i = 0; i < program->n_names && r == 0; i++)
                r = jit_profile_write(transfer->image->cache, &program->names[i], &profile, data);
        if (r < 0) {
                fmt_error("cannot import %s as the profile of /%s: %s; %s", file,
                        program->entry->path, r == -EBADMSG ? "it is none" : strerror(-r),
                        r == -EBADMSG ? "make one with `llvm-profdata merge`"
                                      : "do this as the owner of the cache");
                return r;
        }
        printf("/%s: imported %s\n", program->entry->path, file);
        transfer->n++;
        return 0;
}

static int import_program(void *context, const struct profile_program *program)
{
        struct transfer *transfer = context;
        const char *place = transfer->request->place;
        struct stat st;

        if (stat(place, &st) < 0 || !S_ISDIR(st.st_mode))
                return import_file(transfer, program, place);
        _cleanup_free_ char *file = jit_profile_file_name(place, program->entry->path);
        int r = file ? import_file(transfer, program, file) : -ENOMEM;
        return r == -ENOENT ? 0 : r;
}

int profile_import(const struct profile_request *request)
{
        _cleanup_(profile_image_done) struct profile_image image = {0};
        struct transfer transfer = {.request = request, .image = &image};
        struct stat st;

        if (stat(request->place, &st) < 0) {
                fmt_error("cannot read %s: %s; name a profile, or a folder that export made",
                        request->place, strerror(errno));
                return 1;
        }
        if (!S_ISDIR(st.st_mode) && !request->programs) {
                fmt_error("%s is one file: say which program it is the profile of", request->place);
                return 1;
        }
        if (profile_image_open(request, &image) < 0 ||
                profile_each(&image, request->programs, import_program, &transfer) < 0)
                return 1;
        if (transfer.n > 0)
                return 0;
        fmt_error("%s holds no profile of what was named in %s; they are called as export calls "
                  "them, PATH.profdata",
                request->place, request->image);
        return 1;
}

/* ---- forget ---- */

static int forget_program(void *context, const struct profile_program *program)
{
        struct transfer *transfer = context;

        for (size_t i = 0; i < program->n_names; i++) {
                int r = jit_profile_remove(transfer->image->cache, &program->names[i]);
                if (r == -ENOENT)
                        continue;
                if (r < 0) {
                        fmt_error("cannot forget the profile of /%s: %s; do this as the owner of "
                                  "the cache",
                                program->entry->path, strerror(-r));
                        return r;
                }
                printf("/%s: forgotten\n", program->entry->path);
                transfer->n++;
        }
        return 0;
}

int profile_forget(const struct profile_request *request)
{
        return with_each(request, forget_program);
}
