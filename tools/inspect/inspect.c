/* SPDX-License-Identifier: Apache-2.0 */
/* xaas inspect: what a file has to do with all this. */
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "inspect_parts.h"
#include "jit_spawner.h"
#include "tool_commands.h"
#include "tool_options.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { JSON = 1 };

static const struct tool_option options[] = {
        {JSON, 0, "json", NULL, "print a JSON object"},
        {0, 0, NULL, NULL, NULL},
};

struct inspection {
        const char *path;
        const char *program; /* within an image, or NULL */
        bool json;
};

/* 0, or an exit status + 1. */
static int parse(int argc, char **argv, struct inspection *what)
{
        struct tool_line line = {.usage = "xaas inspect [--json] FILE [PROGRAM]",
                .about = "Tells what FILE holds: an image, a captured program or library, an "
                         "object, a static\n"
                         "archive, any other ELF file, a program of a mounted image. PROGRAM: one portable object of an image, "
                         "in full.",
                .options = options,
                .argc = argc,
                .argv = argv};
        const char *value;
        int id;

        while ((id = tool_next(&line, &value)) != TOOL_END) {
                if (id == TOOL_HELP)
                        return 1;
                if (id == TOOL_WRONG)
                        return TOOL_USAGE + 1;
                if (id == JSON)
                        what->json = true;
                else if (!what->path)
                        what->path = value;
                else if (!what->program)
                        what->program = value;
                else {
                        tool_wrong(&line, "%s is one operand too many", value);
                        return TOOL_USAGE + 1;
                }
        }
        if (what->path)
                return 0;
        tool_wrong(&line, "FILE is missing");
        return TOOL_USAGE + 1;
}

static int open_file(const char *path, int *ret_fd)
{
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

        if (fd < 0 || fstat(fd, &st) < 0) {
                fmt_error("cannot open %s: %m; give an ELF file, an archive or an image", path);
                return -errno;
        }
        if (!S_ISREG(st.st_mode)) {
                close(fd);
                fmt_error("%s is not a file; give an ELF file, an archive or an image", path);
                return -EINVAL;
        }
        *ret_fd = fd;
        return 0;
}

static bool starts_with(const char *magic, size_t size, const char *wanted, size_t wanted_size)
{
        return size >= wanted_size && memcmp(magic, wanted, wanted_size) == 0;
}

static int describe(
        const struct inspection *what, int fd, struct inspect_modules *modules, json_t *object)
{
        char magic[64] = {0};
        ssize_t got = pread(fd, magic, sizeof magic, 0);
        size_t size = got > 0 ? (size_t)got : 0;

        if (starts_with(magic, size, "\177ELF", 4)) {
                int r = inspect_elf(fd, what->path, modules, object);
                if (r == 0)
                        (void)inspect_mounted(fd, object);
                return r;
        }
        if (starts_with(magic, size, "!<arch>\n", 8) || starts_with(magic, size, "!<thin>\n", 8))
                return inspect_archive(fd, what->path, modules, object);
        if (starts_with(magic, size, "BC\xc0\xde", 4))
                return inspect_bitcode(fd, modules, object);
        /* squashfs, or SIF, which starts with a script's first line and says so behind it. */
        if (starts_with(magic, size, "hsqs", 4) || memmem(magic, size, "SIF_MAGIC", 9))
                return inspect_image(what->path, what->program, object);
        fmt_error("%s is neither an ELF file nor an archive, bitcode or a squashfs image",
                what->path);
        return -EINVAL;
}

static int inspect(const struct inspection *what, struct jit_spawner *spawner)
{
        _cleanup_(inspect_modules_done) struct inspect_modules modules = {0};
        _cleanup_close_ int fd = -1;
        json_t *object = json_object();

        json_object_set_new(object, "file", json_string(what->path));
        int r = open_file(what->path, &fd);
        if (r == 0)
                r = describe(what, fd, &modules, object);
        if (r == 0)
                r = inspect_modules_look(&modules, spawner);
        if (r == 0 && what->json) {
                json_dumpf(object, stdout, JSON_INDENT(2));
                putchar('\n');
        } else if (r == 0) {
                inspect_print(what->path, object);
        }
        json_decref(object);
        return r;
}

int tool_inspect(int argc, char **argv)
{
        struct inspection what = {0};
        struct jit_spawner *spawner;

        int status = parse(argc, argv, &what);
        if (status > 0)
                return status - 1;
        /* Before there are threads. */
        int r = jit_spawner_start(NULL, &spawner);
        if (r < 0) {
                fmt_error("cannot start the process that starts confined processes: %s",
                        strerror(-r));
                return 1;
        }
        r = inspect(&what, spawner);
        jit_spawner_stop(spawner);
        if (fflush(stdout) < 0)
                return 1;
        return r < 0;
}
