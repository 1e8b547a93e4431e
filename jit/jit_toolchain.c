/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_toolchain.h"

#include "fmt_cleanup.h"
#include "fmt_elf.h"
#include "fmt_log.h"
#include "fmt_strings.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define _cleanup_facts_ _cleanup_(fmt_elf_facts_done)
#define _cleanup_toolchain_ _cleanup_(free_toolchain)

/* Where ld.so looks without being told, on the distributions we know. */
static const char *const default_folders[] = {"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu",
        "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib/x86_64-linux-gnu",
        "/usr/local/lib64", "/usr/local/lib"};

/* ld.so prefers builds for newer CPUs that lie in these subfolders. */
static const char *const hwcaps[] = {
        "glibc-hwcaps/x86-64-v4/", "glibc-hwcaps/x86-64-v3/", "glibc-hwcaps/x86-64-v2/", ""};

static void free_toolchain(struct jit_toolchain **toolchain)
{
        jit_toolchain_free(*toolchain);
}

/* Adds the resolved PATH to the closure if it exists; ret_found says so. */
static int add_file(char ***files, const char *path, bool *ret_found)
{
        char resolved[PATH_MAX];
        /* Hardly any exists, and to be told so realpath asks once per component. */
        if (access(path, F_OK) < 0 || !realpath(path, resolved))
                return 0;
        *ret_found = true;
        return fmt_strings_contain(*files, resolved) ? 0 : fmt_strings_append(files, resolved);
}

/* Adds every file called NAME that the loader may take out of FOLDER. */
static int add_from_folder(char ***files, const char *folder, const char *name, bool *ret_found)
{
        int r = 0;
        for (size_t i = 0; i < sizeof hwcaps / sizeof hwcaps[0] && r == 0; i++) {
                char path[PATH_MAX];
                if (snprintf(path, sizeof path, "%s/%s%s", folder, hwcaps[i], name) <
                        (int)sizeof path)
                        r = add_file(files, path, ret_found);
        }
        return r;
}

/* One folder of a RUNPATH, with $ORIGIN replaced by the folder of FILE. */
static void expand_origin(
        const char *entry, size_t size, const char *file, char ret[static PATH_MAX])
{
        static const char origin[] = "$ORIGIN";
        size_t skip = sizeof origin - 1;
        char copy[PATH_MAX];
        if (size < skip || memcmp(entry, origin, skip) != 0) {
                snprintf(ret, PATH_MAX, "%.*s", (int)size, entry);
                return;
        }
        snprintf(copy, sizeof copy, "%s", file);
        if (snprintf(ret, PATH_MAX, "%s%.*s", dirname(copy), (int)(size - skip), entry + skip) >=
                PATH_MAX)
                *ret = '\0';
}

/* Finds library NAME that FILE with search path RPATH needs. FOUND_BEFORE: names that were found in
 * the default folders, where they are the same for everybody. */
static int add_library(
        char ***files, char ***found_before, const char *file, const char *rpath, const char *name)
{
        bool found = false;
        int r = 0;
        if (!rpath && fmt_strings_contain(*found_before, name))
                return 0;
        for (const char *c = rpath; c && *c && r == 0;) {
                char folder[PATH_MAX];
                size_t size = strcspn(c, ":");
                expand_origin(c, size, file, folder);
                r = add_from_folder(files, folder, name, &found);
                c += size + (c[size] == ':');
        }
        for (size_t i = 0; i < sizeof default_folders / sizeof default_folders[0] && r == 0; i++)
                if (!found || rpath)
                        r = add_from_folder(files, default_folders[i], name, &found);
        if (r == 0 && found && !rpath)
                r = fmt_strings_append(found_before, name);
        if (r < 0 || found)
                return r;
        fmt_error("cannot find library %s that %s needs; install it, or set XAASFS_LLD to another "
                  "ld.lld",
                name, file);
        return -ENOENT;
}

/* Everything that FILES[i] loads comes behind it, until nothing new does. */
static int close_over(char ***files)
{
        _cleanup_(fmt_strings_freep) char **found_before = NULL;
        for (size_t i = 0; (*files)[i]; i++) {
                _cleanup_facts_ struct fmt_elf_facts facts = {0};
                _cleanup_close_ int fd = open((*files)[i], O_RDONLY | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
                int r = fmt_elf_read(fd, &facts);
                if (r < 0) {
                        fmt_error("cannot read %s: %s; set XAASFS_LLD to an ld.lld that is an ELF "
                                  "program",
                                (*files)[i], strerror(-r));
                        return r;
                }
                bool found = false;
                if (facts.interpreter)
                        r = add_file(files, facts.interpreter, &found);
                for (char **name = facts.needed; *name && r == 0; name++)
                        r = add_library(files, &found_before, (*files)[i], facts.rpath, *name);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Writes FILE's GNU build-id in hexadecimal, or its whole content's digest if it has none. */
static int write_build_id(FILE *stream, const char *file)
{
        uint8_t note[256];
        uint64_t offset, size;
        _cleanup_close_ int fd = open(file, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        char *name = strrchr(file, '/');
        fprintf(stream, "%s ", name ? name + 1 : file);
        /* The note: three 32-bit words (name size 4, description size, type 3), "GNU\0", the id. */
        int r = fmt_elf_find_section(fd, ".note.gnu.build-id", &offset, &size);
        if (r == 0 && size > 16 && size <= sizeof note &&
                pread(fd, note, size, (off_t)offset) == (ssize_t)size) {
                for (size_t i = 16; i < size; i++)
                        fprintf(stream, "%02x", note[i]);
                fputs("; ", stream);
                return 0;
        }
        struct fmt_digest_state *state;
        struct fmt_digest digest;
        char hex[FMT_DIGEST_HEX_SIZE], buffer[1 << 16];
        r = fmt_digest_begin(&state);
        if (r < 0)
                return r;
        ssize_t n;
        while ((n = read(fd, buffer, sizeof buffer)) > 0)
                fmt_digest_update(state, buffer, (size_t)n);
        r = fmt_digest_finish(state, &digest);
        if (n < 0 || r < 0)
                return n < 0 ? -EIO : r;
        fmt_digest_to_hex(&digest, hex);
        fprintf(stream, "%s; ", hex);
        return 0;
}

static bool makes_code(const char *file)
{
        const char *name = strrchr(file, '/') + 1;
        return strncmp(name, "libLLVM", 7) == 0 || strncmp(name, "liblld", 6) == 0;
}

static int identify(struct jit_toolchain *toolchain)
{
        size_t size;
        FILE *stream = open_memstream(&toolchain->identity, &size);
        if (!stream)
                return -ENOMEM;
        int r = write_build_id(stream, toolchain->linker);
        for (char **file = toolchain->readable; *file && r == 0; file++)
                if (makes_code(*file))
                        r = write_build_id(stream, *file);
        if (r == 0)
                r = write_build_id(stream, toolchain->worker);
        if (r == 0)
                r = write_build_id(stream, toolchain->bitcode);
        if (fclose(stream) != 0)
                return -ENOMEM;
        return r;
}

/* Resolves the companion NAME in FOLDER. */
static int find_companion(const char *folder, const char *name, char **ret)
{
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        *ret = realpath(path, NULL);
        if (*ret)
                return 0;
        fmt_error("cannot find %s: %s; set XAASFS_LIBEXEC to the folder of xaasfs's companions",
                path, strerror(errno));
        return -ENOENT;
}

static int find_programs(struct jit_toolchain *toolchain, const char *libexec, const char *linker)
{
        if (!libexec)
                libexec = getenv("XAASFS_LIBEXEC");
        if (!libexec)
                libexec = XAASFS_LIBEXECDIR;
        if (!linker)
                linker = getenv("XAASFS_LLD");
        if (!linker)
                linker = XAASFS_LLD;
        toolchain->linker = realpath(linker, NULL);
        if (!toolchain->linker) {
                fmt_error("cannot find the linker %s: %s; install lld-19 or set XAASFS_LLD", linker,
                        strerror(errno));
                return -ENOENT;
        }
        int r = find_companion(libexec, "xaas-worker", &toolchain->worker);
        if (r == 0)
                r = find_companion(libexec, "xaas-bitcode", &toolchain->bitcode);
        return r;
}

int jit_toolchain_close_over(const char *program, char ***ret)
{
        _cleanup_free_ char *resolved = realpath(program, NULL);
        if (!resolved)
                return -errno;
        int r = fmt_strings_append(ret, resolved);
        return r < 0 ? r : close_over(ret);
}

int jit_toolchain_find(const char *libexec, const char *linker, struct jit_toolchain **ret)
{
        _cleanup_toolchain_ struct jit_toolchain *toolchain = calloc(1, sizeof *toolchain);
        if (!toolchain)
                return -ENOMEM;
        int r = find_programs(toolchain, libexec, linker);
        if (r == 0)
                r = fmt_strings_append(&toolchain->readable, toolchain->linker);
        if (r == 0)
                r = fmt_strings_append(&toolchain->readable, toolchain->bitcode);
        if (r == 0)
                r = close_over(&toolchain->readable);
        if (r == 0)
                r = identify(toolchain);
        if (r < 0)
                return r;
        *ret = steal_pointer(&toolchain);
        return 0;
}

void jit_toolchain_free(struct jit_toolchain *toolchain)
{
        if (!toolchain)
                return;
        free(toolchain->linker);
        free(toolchain->worker);
        free(toolchain->bitcode);
        fmt_strings_free(toolchain->readable);
        free(toolchain->identity);
        free(toolchain);
}
