/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_options.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "fmt_suggest.h"

#include <stddef.h>
#include <string.h>

/* Requests that wait for a compile hold no thread, so this is about reads that wait for the disk
 * and for each other's blocks. */
#define DEFAULT_THREADS 64

const char fs_usage[] =
        "usage: xaasfs [-f] [-o OPTION[,OPTION...]] IMAGE MOUNTPOINT\n"
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
        "  --stats               show what a mount was asked, how fast it was, and what it holds\n"
        "  --json                that as JSON\n"
        "\n"
        "  -o patience=SECONDS   an open waits at most so long for a compile, then gets the\n"
        "                        generic program (default: it waits)\n"
        "  -o target=NAME        compile for x86-64-v3 or another target than this host\n"
        "  -o variant=NAME       use this variant of programs that have several\n"
        "  -o cache=DIR          folder of compiled programs (default: ~/.cache/xaasfs)\n"
        "  -o cache_limit=SIZE   most that folder may hold (default: 10G)\n"
        "  -o cache_size=SIZE    memory for decompressed blocks (default: 256M)\n"
        "  -o offset=BYTES       where the squashfs starts in IMAGE\n"
        "  -o allow_other        let other users in; allow_root: root as well\n"
        "  -o suid, -o dev       honour set-user-id files and devices (root only)\n"
        "  -o fsname=NAME        what the mount table shows as its source\n"
        "  -o auto_unmount, -o max_threads=N, -o noclone_fd, and mount's own: ro, noexec, "
        "noatime...\n"
        "\n"
        "xaasfs(1) has the details.\n";

enum kind {
        FLAG,    /* sets a bool */
        NO_FLAG, /* clears a bool */
        TEXT,    /* char * */
        SIZE,    /* uint64_t, bytes, with suffix K, M, G or T */
        COUNT,   /* uint32_t, at least 1 */
        SECONDS, /* uint64_t, nanoseconds */
        TO_FUSE, /* handed on as it is */
        IGNORED, /* what mount(8) and fstab add and a read-only mount has anyway */
};

static const struct option {
        const char *name;
        enum kind kind;
        size_t field;
} known[] = {
        {"patience", SECONDS, offsetof(struct fs_options, patience_ns)},
        {"target", TEXT, offsetof(struct fs_options, target)},
        {"variant", TEXT, offsetof(struct fs_options, variant)},
        {"cache", TEXT, offsetof(struct fs_options, cache)},
        {"cache_limit", SIZE, offsetof(struct fs_options, cache_limit)},
        {"cache_size", SIZE, offsetof(struct fs_options, block_cache)},
        {"offset", SIZE, offsetof(struct fs_options, offset)},
        {"fsname", TEXT, offsetof(struct fs_options, fsname)},
        {"suid", FLAG, offsetof(struct fs_options, suid)},
        {"nosuid", NO_FLAG, offsetof(struct fs_options, suid)},
        {"dev", FLAG, offsetof(struct fs_options, dev)},
        {"nodev", NO_FLAG, offsetof(struct fs_options, dev)},
        {"max_threads", COUNT, offsetof(struct fs_options, max_threads)},
        {"clone_fd", FLAG, offsetof(struct fs_options, clone_fd)},
        {"noclone_fd", NO_FLAG, offsetof(struct fs_options, clone_fd)},
        {"foreground", FLAG, offsetof(struct fs_options, foreground)},
        {"debug", FLAG, offsetof(struct fs_options, debug)},
        {"allow_other", TO_FUSE, 0},
        {"allow_root", TO_FUSE, 0},
        {"auto_unmount", TO_FUSE, 0},
        {"default_permissions", IGNORED, 0},
        {"exec", TO_FUSE, 0},
        {"noexec", TO_FUSE, 0},
        {"sync", TO_FUSE, 0},
        {"async", TO_FUSE, 0},
        {"noatime", TO_FUSE, 0},
        {"context", TO_FUSE, 1},
        {"fscontext", TO_FUSE, 1},
        {"defcontext", TO_FUSE, 1},
        {"rootcontext", TO_FUSE, 1},
        {"ro", IGNORED, 0},
        {"rw", IGNORED, 0},
        {"atime", IGNORED, 0},
        {"relatime", IGNORED, 0},
        {"norelatime", IGNORED, 0},
        {"diratime", IGNORED, 0},
        {"nodiratime", IGNORED, 0},
        {"auto", IGNORED, 0},
        {"noauto", IGNORED, 0},
        {"user", IGNORED, 0},
        {"nouser", IGNORED, 0},
        {"users", IGNORED, 0},
        {"nofail", IGNORED, 0},
        {"_netdev", IGNORED, 0},
        {"defaults", IGNORED, 0},
};
#define N_KNOWN (sizeof known / sizeof *known)

static const struct option *find_option(const char *name)
{
        for (size_t i = 0; i < N_KNOWN; i++)
                if (!strcmp(known[i].name, name))
                        return &known[i];
        return NULL;
}

static int refuse_unknown(const char *name)
{
        const char *names[N_KNOWN + 1] = {0};
        for (size_t i = 0; i < N_KNOWN; i++)
                names[i] = known[i].name;
        const char *meant = fmt_suggest(name, names);
        if (meant != NULL)
                fmt_error("unknown option %s; did you mean %s?", name, meant);
        else
                fmt_error("unknown option %s; `xaasfs -h` lists what there is", name);
        return -EINVAL;
}

static int parse_size(const char *name, const char *text, uint64_t *ret)
{
        static const char suffixes[] = "KMGT";
        char *end;
        errno = 0;
        unsigned long long value = strtoull(text, &end, 0);
        const char *suffix = *end != '\0' ? strchr(suffixes, *end) : NULL;
        const unsigned shift = suffix != NULL ? 10 * (unsigned)(suffix - suffixes + 1) : 0;
        if (end == text || *text == '-' || errno != 0 || (*end != '\0' && suffix == NULL) ||
                (suffix != NULL && end[1] != '\0') || value > UINT64_MAX >> shift) {
                fmt_error("option %s=%s: not a size; give bytes, or a number with K, M, G or T",
                        name, text);
                return -EINVAL;
        }
        *ret = (uint64_t)value << shift;
        return 0;
}

static int parse_seconds(const char *name, const char *text, uint64_t *ret)
{
        char *end;
        double seconds = strtod(text, &end);
        if (end == text || *end != '\0' || !(seconds >= 0 && seconds < 1e9)) {
                fmt_error("option %s=%s: not a number of seconds; give 0 or more", name, text);
                return -EINVAL;
        }
        *ret = (uint64_t)(seconds * 1e9);
        return 0;
}

static int parse_count(const char *name, const char *text, uint32_t *ret)
{
        char *end;
        unsigned long value = strtoul(text, &end, 10);
        if (end == text || *end != '\0' || value < 1 || value > 100000) {
                fmt_error("option %s=%s: not a count; give a number from 1 on", name, text);
                return -EINVAL;
        }
        *ret = (uint32_t)value;
        return 0;
}

static int append_fuse(struct fs_options *options, const char *text)
{
        char *joined;
        if (asprintf(&joined, "%s%s%s", options->fuse != NULL ? options->fuse : "",
                    options->fuse != NULL ? "," : "", text) < 0)
                return -ENOMEM;
        free(options->fuse);
        options->fuse = joined;
        return 0;
}

/* WORD is "name" or "name=value". */
static int apply(struct fs_options *options, const char *word)
{
        _cleanup_free_ char *name = strndup(word, strcspn(word, "="));
        if (name == NULL)
                return -ENOMEM;
        const char *value = word[strlen(name)] == '=' ? word + strlen(name) + 1 : NULL;
        const struct option *option = find_option(name);
        /* fstab's comments: "x-systemd.automount". */
        if (option == NULL && !strncmp(name, "x-", 2))
                return 0;
        if (option == NULL)
                return refuse_unknown(name);
        const bool wants_value = option->kind == TEXT || option->kind == SIZE ||
                                 option->kind == COUNT || option->kind == SECONDS ||
                                 (option->kind == TO_FUSE && option->field == 1);
        if (wants_value != (value != NULL && *value != '\0')) {
                if (wants_value)
                        fmt_error("option %s needs a value; write %s=VALUE", name, name);
                else
                        fmt_error("option %s takes no value; write just %s", name, name);
                return -EINVAL;
        }
        void *field = (char *)options + option->field;
        switch (option->kind) {
        case FLAG:
                *(bool *)field = true;
                return 0;
        case NO_FLAG:
                *(bool *)field = false;
                return 0;
        case TEXT:
                free(*(char **)field);
                *(char **)field = strdup(value);
                return *(char **)field == NULL ? -ENOMEM : 0;
        case SIZE:
                return parse_size(name, value, field);
        case COUNT:
                return parse_count(name, value, field);
        case SECONDS:
                return parse_seconds(name, value, field);
        case TO_FUSE:
                return append_fuse(options, word);
        case IGNORED:
                return 0;
        }
        return 0;
}

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
                int error = size > 0 ? apply(options, word) : 0;
                if (error < 0)
                        return error;
        }
        return 0;
}

static int apply_letter(struct fs_options *options, const char *argument)
{
        if (!strcmp(argument, "-f"))
                options->foreground = true;
        else if (!strcmp(argument, "-d") || !strcmp(argument, "--debug"))
                options->debug = true;
        else if (!strcmp(argument, "-s"))
                options->single_threaded = true;
        else if (!strcmp(argument, "-h") || !strcmp(argument, "--help"))
                options->help = true;
        else if (!strcmp(argument, "-V") || !strcmp(argument, "--version"))
                options->version = true;
        else if (!strcmp(argument, "--stats"))
                options->stats = true;
        else if (!strcmp(argument, "--json"))
                options->json = true;
        else if (!strcmp(argument, "-r"))
                return 0;
        else if (!strncmp(argument, "--", 2))
                return apply_list(options, argument + 2);
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

int fs_options_parse(int argc, char **argv, struct fs_options *ret)
{
        struct fs_options options = {
                .patience_ns = FS_PATIENCE_FOREVER,
                .max_threads = DEFAULT_THREADS,
                .clone_fd = true,
        };
        int error = parse_arguments(argc, argv, &options);
        if (error == 0 && !options.help && !options.version)
                error = check_positionals(&options);
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
        free(options->variant);
        free(options->fsname);
        free(options->fuse);
        *options = (struct fs_options){0};
}
