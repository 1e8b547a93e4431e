/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_options.h"

#include "fs_mount_options.h"
#include "fs_mountpoint.h"
#include "fs_read_ahead.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <string.h>

/* Requests that wait for a compile hold no thread, so this is about reads that wait for the disk
 * and for each other's blocks. */
#define DEFAULT_THREADS 64
#define DEFAULT_IDLE_THREADS 16

const char fs_usage[] =
        "usage: xaasfs [OPTIONS] [-o OPTION[,OPTION...]] IMAGE MOUNTPOINT\n"
        "       xaasfs --stats [--json] MOUNTPOINT\n"
        "\n"
        "Mounts a squashfs image. Programs that `xaas pack` made portable are compiled for this\n"
        "host when they are first opened, and kept in a cache.\n"
        "\n"
        "  -f                    stay in the foreground\n"
        "  -d                    foreground, and print every request\n"
        "  -s                    one thread only\n"
        "  -h, --help            this text\n"
        "  -V, --version         versions of xaasfs and libfuse\n"
        "  --ready-fd N          write a line to descriptor N when the mount serves\n"
        "  --stats               show what a mount was asked, how fast it was, and what it holds\n"
        "  --json                that as JSON\n"
        "\n"
        "  -o patience=SECONDS   an open waits at most so long for a compile, then gets the\n"
        "                        generic program (default: it waits)\n"
        "  -o first=fast         the first open waits for a quick compile; the full one\n"
        "                        follows behind it, for later opens\n"
        "  -o notify=tty         tell who waits for more than two seconds, on their terminal\n"
        "  -o target=NAME        compile for x86-64-v3 or another target than this host\n"
        "  -o variant=NAME       use this variant of programs that have several\n"
        "  -o fp=strict          digits as the generic program's: no multiply and add in one\n"
        "                        rounding (default: as a native build)\n"
        "  -o lto=full, -o lto=off\n"
        "                        optimise all modules as one, or each by itself (default: thin)\n"
        "  -o policy=POLICY      compile like this whatever `xaas tune` found to be best\n"
        "  -o profile=DIR        serve programs that count how often their code runs, into DIR\n"
        "  -o profile=off        compile without profiles\n"
        "  -o jit_mem=SIZE       memory that all compiles together may use (default: 3/4 of it)\n"
        "  -o jit_cores=LIST     keep compiles on these cores, or with not:LIST on all others\n"
        "  -o cache=DIR          folder of compiled programs and indexes (default:\n"
        "                        ~/.cache/xaasfs)\n"
        "  -o cache_limit=SIZE   most that folder may hold (default: 10G)\n"
        "  -o cache_size=SIZE    memory for decompressed blocks (default: 256M)\n"
        "  -o offset=BYTES       where the squashfs starts in IMAGE\n"
        "  -o subdir=PATH        show this folder of the image and nothing else\n"
        "  -o uid=USER, -o gid=GROUP\n"
        "                        show everything as owned by them\n"
        "  -o allow_other        let other users in; allow_root: root as well\n"
        "  -o suid, -o dev       honour set-user-id files and devices (root only)\n"
        "  -o fsname=NAME        what the mount table shows as its source\n"
        "  -o timeout=SECONDS    unmount when unused for so long\n"
        "  -o auto_unmount       unmount even if killed; take away a dead mount that is there\n"
        "  -o read_ahead_kb=N    how far the kernel reads ahead (default: 512 for root)\n"
        "  -o max_threads=N, -o max_idle_threads=N, -o noclone_fd\n"
        "                        threads that serve\n"
        "  -o io_uring           talk to the kernel through rings in memory\n"
        "  -o ro, noexec, noatime, ...\n"
        "                        mount's own\n"
        "\n"
        "xaasfs(1) has the details.\n";

/* A comma in a value is written "\,". */
static int apply_list(struct fs_options *options, const char *list)
{
        _cleanup_free_ char *word = malloc(strlen(list) + 1);
        if (word == NULL)
                return -ENOMEM;
        while (*list != '\0') {
                size_t size = 0;
                for (; *list != '\0' && *list != ','; list++) {
                        if (list[0] == '\\' && list[1] == ',')
                                list++;
                        word[size++] = *list;
                }
                word[size] = '\0';
                list += *list == ',';
                int error = size > 0 ? fs_mount_option_apply(options, word) : 0;
                if (error < 0)
                        return error;
        }
        return 0;
}

/* "--name=value", "--name value", or just "--name". */
static int apply_long(
        struct fs_options *options, const char *argument, const char *next, bool *ret_took_next)
{
        _cleanup_free_ char *word = NULL;
        const bool split = strchr(argument, '=') == NULL && next != NULL &&
                           fs_mount_option_wants_value(argument);
        if (asprintf(&word, "%s%s%s", argument, split ? "=" : "", split ? next : "") < 0)
                return -ENOMEM;
        *ret_took_next = split;
        return fs_mount_option_apply(options, word);
}

static int apply_letter(struct fs_options *options, const char *argument)
{
        if (!strcmp(argument, "-f"))
                options->foreground = true;
        else if (!strcmp(argument, "-d"))
                options->debug = true;
        else if (!strcmp(argument, "-s"))
                options->single_threaded = true;
        else if (!strcmp(argument, "-h"))
                options->help = true;
        else if (!strcmp(argument, "-V"))
                options->version = true;
        else if (!strcmp(argument, "-r"))
                return 0;
        else {
                fmt_error("unknown option %s; `xaasfs -h` lists what there is", argument);
                return -EINVAL;
        }
        return 0;
}

static int apply_positional(struct fs_options *options, const char *argument)
{
        char **place = options->image == NULL ? &options->image : &options->mountpoint;
        if (*place != NULL) {
                fmt_error("unexpected argument %s; usage: xaasfs [options] IMAGE MOUNTPOINT",
                        argument);
                return -EINVAL;
        }
        *place = strdup(argument);
        return *place == NULL ? -ENOMEM : 0;
}

static int parse_arguments(int argc, char **argv, struct fs_options *options)
{
        bool only_positional = false;
        for (int i = 1; i < argc; i++) {
                int error;
                if (only_positional || argv[i][0] != '-') {
                        error = apply_positional(options, argv[i]);
                } else if (!strcmp(argv[i], "--")) {
                        only_positional = true;
                        continue;
                } else if (!strncmp(argv[i], "-o", 2)) {
                        const char *list = argv[i][2] != '\0' ? argv[i] + 2
                                           : i + 1 < argc     ? argv[++i]
                                                              : NULL;
                        if (list == NULL) {
                                fmt_error("-o needs options; `xaasfs -h` lists what there is");
                                return -EINVAL;
                        }
                        error = apply_list(options, list);
                } else if (!strncmp(argv[i], "--", 2)) {
                        bool took_next = false;
                        error = apply_long(options, argv[i] + 2, i + 1 < argc ? argv[i + 1] : NULL,
                                &took_next);
                        i += took_next;
                } else {
                        error = apply_letter(options, argv[i]);
                }
                if (error < 0)
                        return error;
        }
        return 0;
}

static int check_positionals(const struct fs_options *options)
{
        if (options->stats && options->image != NULL && options->mountpoint == NULL)
                return 0;
        if (options->stats)
                fmt_error("--stats wants one mount point; usage: xaasfs --stats [--json] "
                          "MOUNTPOINT");
        else if (options->json)
                fmt_error("--json goes with --stats; usage: xaasfs --stats [--json] MOUNTPOINT");
        else if (options->mountpoint != NULL)
                return 0;
        else if (options->image == NULL)
                fmt_error("no image and no mount point given; usage: xaasfs [options] IMAGE "
                          "MOUNTPOINT");
        else
                fmt_error("no mount point given for %s; usage: xaasfs [options] IMAGE MOUNTPOINT",
                        options->image);
        return -EINVAL;
}

static int check_passed(const struct fs_options *options)
{
        if (options->stats || !fs_mountpoint_is_passed(options->mountpoint) ||
                (options->timeout_ns == 0 && !options->auto_unmount))
                return 0;
        fmt_error("option %s cannot be had with %s: whoever mounted that has to unmount it; leave "
                  "the option out",
                options->timeout_ns > 0 ? "timeout" : "auto_unmount", options->mountpoint);
        return -EINVAL;
}

int fs_options_parse(int argc, char **argv, struct fs_options *ret)
{
        struct fs_options options = {
                .patience_ns = FS_PATIENCE_FOREVER,
                .uid = FS_AS_IMAGE,
                .gid = FS_AS_IMAGE,
                .max_threads = DEFAULT_THREADS,
                .idle_threads = DEFAULT_IDLE_THREADS,
                .read_ahead_kib = FS_READ_AHEAD_KIB,
                .clone_fd = true,
                .ready_fd = -1,
        };
        int error = parse_arguments(argc, argv, &options);
        if (error == 0 && !options.help && !options.version)
                error = check_positionals(&options);
        if (error == 0 && !options.help && !options.version)
                error = check_passed(&options);
        if (error < 0) {
                fs_options_done(&options);
                return error;
        }
        options.foreground |= options.debug;
        *ret = options;
        return 0;
}

void fs_options_done(struct fs_options *options)
{
        free(options->image);
        free(options->mountpoint);
        free(options->cache);
        free(options->target);
        jit_cores_free(options->jit_cores);
        free(options->variant);
        free(options->fsname);
        free(options->subdir);
        free(options->profile);
        free(options->fuse);
        *options = (struct fs_options){0};
}
