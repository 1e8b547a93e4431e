/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_profiles.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "jit_profile.h"

#include <string.h>
#include <sys/stat.h>

/* The FILE of "PATH=FILE"; NULL: it is a folder, which may have such a name. */
static const char *file_of(const char *given)
{
        const char *equals = strchr(given, '=');
        struct stat st;

        if (!equals || (stat(given, &st) == 0 && S_ISDIR(st.st_mode)))
                return NULL;
        return equals + 1;
}

/* Whether the PATH of "PATH=FILE" is that one, with or without a slash in front. */
static bool names(const char *given, const char *path)
{
        given += *given == '/';
        return !strncmp(given, path, strlen(path)) && given[strlen(path)] == '=';
}

int pack_profiles_check(char *const *given)
{
        for (; given && *given; given++) {
                const char *file = file_of(*given);
                struct stat st;
                errno = ENOTDIR;
                if (stat(file ? file : *given, &st) == 0 && (file || S_ISDIR(st.st_mode)))
                        continue;
                fmt_error("cannot read --profile %s: %s; give PROGRAM=FILE, or the folder that "
                          "`xaas profile export` wrote",
                        *given, strerror(errno));
                return -EINVAL;
        }
        return 0;
}

/* Path of the last profile that is meant for the program, or NULL. -ENOMEM by ret. */
static int find(char *const *given, const char *path, char **ret)
{
        *ret = NULL;
        for (; given && *given; given++) {
                const char *file = file_of(*given);
                _cleanup_free_ char *name = NULL;
                if (file && !names(*given, path))
                        continue;
                name = file ? strdup(file) : jit_profile_file_name(*given, path);
                if (!name)
                        return -ENOMEM;
                if (access(name, F_OK) < 0)
                        continue;
                free(*ret);
                *ret = steal_pointer(&name);
        }
        return 0;
}

int pack_profiles_take(
        char *const *given, struct fmt_bundle_writer *writer, struct fmt_program *entry)
{
        _cleanup_free_ char *file = NULL;
        _cleanup_free_ void *data = NULL;
        uint64_t size;
        struct stat st;
        int r = find(given, entry->path, &file);

        if (r < 0 || !file)
                return r;
        r = jit_profile_load_file(file, &data, &size);
        if (r == 0 && stat(file, &st) < 0)
                r = -errno;
        if (r == 0)
                r = fmt_bundle_add(writer, FMT_BLOB_PROFILE, data, size, &entry->profile);
        if (r < 0) {
                fmt_error("cannot take %s as the profile of /%s: %s; export it again, or leave it "
                          "out",
                        file, entry->path,
                        r == -EBADMSG ? "it is no profile of LLVM's" : strerror(-r));
                return r;
        }
        entry->has_profile = true;
        entry->profile_time = st.st_mtime > 0 ? (uint64_t)st.st_mtime : 0;
        return 0;
}

/* Whether a program at PATH, which has a profile, may have it from there. */
static bool may_be_from(const char *given, const char *path)
{
        _cleanup_free_ char *name = NULL;

        if (file_of(given))
                return names(given, path);
        name = jit_profile_file_name(given, path);
        return name && access(name, F_OK) == 0;
}

void pack_profiles_warn(char *const *given, const struct fmt_manifest *manifest)
{
        for (; given && *given; given++) {
                bool used = false;
                for (size_t i = 0; i < manifest->n_programs && !used; i++)
                        used = manifest->programs[i].has_profile &&
                               may_be_from(*given, manifest->programs[i].path);
                if (!used)
                        fmt_warning("--profile %s: it is of no portable object of this image; "
                                    "name programs by their paths in ROOTFS",
                                *given);
        }
}
