/* SPDX-License-Identifier: Apache-2.0 */
/* xaas pack: a root file system becomes an image. */
#include "fmt_cleanup.h"
#include "fmt_cores.h"
#include "fmt_log.h"
#include "image_bundle.h"
#include "pack_image.h"
#include "pack_profiles.h"
#include "pack_programs.h"
#include "pack_report.h"
#include "pack_stream.h"
#include "pack_tree.h"
#include "tool_commands.h"
#include "tool_options.h"

#include <archive_entry.h>
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Packing is done once, reading often: a high level. */
#define DEFAULT_LEVEL 19

struct pack {
        const char *rootfs;
        const char *target;
        char **exclude;
        char **trust; /* paths of earlier images */
        char **profiles;
        struct fmt_digest *trusted;
        size_t n_trusted;
        bool lean;
        bool keep_debug;
        bool quiet;
        bool all_root;
        unsigned level;
        unsigned threads;
        uint32_t time;
};

static void pack_done(struct pack *pack)
{
        fmt_strings_free(pack->exclude);
        fmt_strings_free(pack->trust);
        fmt_strings_free(pack->profiles);
        free(pack->trusted);
}

/* ---- command line ---- */

enum { LEAN = 1, KEEP_BASELINE, LEVEL, EXCLUDE, DEBUG, TRUST, PROFILE, ALL_ROOT, QUIET };

static const struct tool_option options[] = {
        {LEAN, 0, "lean", NULL,
                "leave out the generic ELF files: smaller, and runs through xaasfs only"},
        {KEEP_BASELINE, 0, "keep-baseline", NULL,
                "keep them, to fall back on (this is the default)"},
        {LEVEL, 0, "level", "N", "zstd level, 1 to 22 (default 19)"},
        {EXCLUDE, 0, "exclude", "PATTERN", "leave out paths that match, such as 'usr/share/doc/*'"},
        {DEBUG, 0, "debug", NULL, "keep the debug information of portable objects"},
        {TRUST, 0, "trust", "OLD.sqfs",
                "accept what was compiled for the modules of that earlier image"},
        {PROFILE, 0, "profile", "DIR",
                "take in what `xaas profile export` wrote, or PROGRAM=FILE; may be repeated"},
        {ALL_ROOT, 0, "all-root", NULL, "everything in the image belongs to root"},
        {QUIET, 'q', "quiet", NULL, "no progress and no summary"},
        {0, 0, NULL, NULL, NULL},
};

static int take_level(struct tool_line *line, const char *text, struct pack *pack)
{
        uint64_t level;

        if (tool_parse_number(text, 1, 22, &level) < 0)
                return tool_wrong(line, "--level %s is not a number from 1 to 22", text);
        pack->level = (unsigned)level;
        return 0;
}

static int take_operand(struct tool_line *line, const char *operand, struct pack *pack)
{
        if (!pack->rootfs)
                pack->rootfs = operand;
        else if (!pack->target)
                pack->target = operand;
        else
                return tool_wrong(line, "%s is one operand too many", operand);
        return 0;
}

static int take_option(struct tool_line *line, int id, const char *value, struct pack *pack)
{
        switch (id) {
        case LEAN:
                pack->lean = true;
                return 0;
        case KEEP_BASELINE:
                pack->lean = false;
                return 0;
        case LEVEL:
                return take_level(line, value, pack);
        case EXCLUDE:
                return fmt_strings_append(&pack->exclude, value);
        case DEBUG:
                pack->keep_debug = true;
                return 0;
        case TRUST:
                return fmt_strings_append(&pack->trust, value);
        case PROFILE:
                return fmt_strings_append(&pack->profiles, value);
        case ALL_ROOT:
                pack->all_root = true;
                return 0;
        case QUIET:
                pack->quiet = true;
                return 0;
        default:
                return take_operand(line, value, pack);
        }
}

/* 0, or an exit status + 1. */
static int parse(int argc, char **argv, struct pack *pack)
{
        struct tool_line line = {.usage = "xaas pack [OPTIONS] ROOTFS IMAGE.sqfs",
                .about = "Turns a root file system into a squashfs image whose captured programs "
                         "are stored as\n"
                         "bitcode beside their generic ELF files. ROOTFS is a folder, a tar, a "
                         "container image\n"
                         "(OCI layout, docker archive), or - for a tar on stdin.",
                .options = options,
                .argc = argc,
                .argv = argv};
        const char *value;
        int id;

        while ((id = tool_next(&line, &value)) != TOOL_END) {
                if (id == TOOL_HELP)
                        return 1;
                if (id == TOOL_WRONG || take_option(&line, id, value, pack) < 0)
                        return TOOL_USAGE + 1;
        }
        if (!pack->rootfs || !pack->target) {
                tool_wrong(&line, "%s is missing", pack->rootfs ? "IMAGE.sqfs" : "ROOTFS");
                return TOOL_USAGE + 1;
        }
        return 0;
}

/* ---- what is decided before anything is read ---- */

/* The time of the image: SOURCE_DATE_EPOCH, or the youngest file's, so that the same tree gives
 * the same bytes on any day. */
static int choose_time(struct pack *pack, const struct pack_tree *tree)
{
        const char *epoch = getenv("SOURCE_DATE_EPOCH");
        uint64_t time;

        if (!epoch || !*epoch) {
                pack->time = tree->newest < UINT32_MAX ? (uint32_t)tree->newest : UINT32_MAX;
                return 0;
        }
        if (tool_parse_number(epoch, 0, UINT32_MAX, &time) < 0) {
                fmt_error("SOURCE_DATE_EPOCH is \"%s\", which is no number of seconds since 1970; "
                          "correct it or unset it",
                        epoch);
                return -EINVAL;
        }
        pack->time = (uint32_t)time;
        return 0;
}

static int read_trusted(struct pack *pack)
{
        size_t n = fmt_strings_count(pack->trust);

        pack->trusted = calloc(n + 1, sizeof *pack->trusted);
        if (!pack->trusted)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                struct image_bundle image;
                int r = image_bundle_open(pack->trust[i], NULL, &image);
                if (r < 0)
                        return r;
                if (image.bundle)
                        fmt_bundle_root(image.bundle, &pack->trusted[pack->n_trusted++]);
                else
                        fmt_warning("%s has no portable objects: there is nothing to trust in it",
                                pack->trust[i]);
                image_bundle_done(&image);
        }
        return 0;
}

/* An image that holds its own predecessor grows with every run. */
static int check_target(const struct pack *pack, const struct pack_tree *tree)
{
        struct stat st;

        if (tree->folder < 0 || stat(pack->target, &st) < 0)
                return 0;
        for (size_t i = 0; i < tree->n_names; i++) {
                struct archive_entry *meta = tree->names[i]->file->meta;
                if (archive_entry_dev(meta) == st.st_dev &&
                        archive_entry_ino64(meta) == (la_int64_t)st.st_ino) {
                        fmt_error("the image %s lies in ROOTFS itself; write it elsewhere, or "
                                  "--exclude %s",
                                pack->target, tree->names[i]->path);
                        return -EINVAL;
                }
        }
        return 0;
}

static int check_tree(const struct pack *pack, const struct pack_tree *tree)
{
        if (pack_tree_find(tree, FMT_IMAGE_DIRECTORY)) {
                fmt_error("%s has a folder /%s already, which belongs to images; remove it, or "
                          "--exclude %s",
                        pack->rootfs, FMT_IMAGE_DIRECTORY, FMT_IMAGE_DIRECTORY);
                return -EEXIST;
        }
        if (tree->n_names == 0) {
                fmt_error("%s is empty; give the root file system that the image is to hold",
                        pack->rootfs);
                return -EINVAL;
        }
        if (tree->n_sockets > 0)
                fmt_warning("%u socket%s left out: they are of no use without the process that "
                            "made them",
                        tree->n_sockets, tree->n_sockets == 1 ? " was" : "s were");
        if (tree->root && archive_entry_xattr_count(tree->root->meta) > 0)
                fmt_warning("the extended attributes of the root folder itself are left out: "
                            "mksquashfs cannot store them");
        return check_target(pack, tree);
}

/* ---- writing ---- */

static int add_bundle(struct pack_stream *stream, int bundle)
{
        int r = pack_stream_add_own(stream, FMT_IMAGE_DIRECTORY, 0555, -1);

        return r < 0 ? r : pack_stream_add_own(stream, FMT_IMAGE_BUNDLE, 0444, bundle);
}

static int add_name(struct pack_stream *stream, const struct pack_programs *programs, size_t index)
{
        const struct pack_tree *tree = programs->tree;
        const struct pack_program *program = tree->names[index]->file->program;
        _cleanup_close_ int content = -1;

        if (program && pack_tree_is_first(tree, index)) {
                int r = pack_program_content(programs, program, &content);
                if (r < 0) {
                        fmt_error("cannot pack %s: %s", tree->names[index]->path,
                                r == -ESTALE ? "it changed while it was being packed"
                                             : strerror(-r));
                        return r;
                }
        }
        return pack_stream_add(stream, tree, index, content);
}

/* In the tree's order, the bundle where its name belongs. */
static int add_all(struct pack_stream *stream, const struct pack_programs *programs, int bundle,
        uint64_t bundle_size)
{
        const struct pack_programs_options *how = programs->options;
        const struct pack_tree *tree = programs->tree;
        bool waiting = bundle_size > 0;

        for (size_t i = 0; i < tree->n_names; i++) {
                int r = 0;
                if (waiting && strcmp(tree->names[i]->path, FMT_IMAGE_DIRECTORY) > 0) {
                        r = add_bundle(stream, bundle);
                        waiting = false;
                }
                if (r == 0)
                        r = add_name(stream, programs, i);
                if (r < 0)
                        return r;
                if (how->progress)
                        how->progress(how->context, "files written", i + 1, tree->n_names);
        }
        return waiting ? add_bundle(stream, bundle) : 0;
}

static int write_image(const struct pack *pack, const struct pack_programs *programs, int bundle,
        uint64_t bundle_size, uint64_t *ret_size)
{
        struct archive_entry *root = programs->tree->root ? programs->tree->root->meta : NULL;
        const struct pack_image_options how = {.level = pack->level,
                .time = pack->time,
                .root_mode = root ? archive_entry_perm(root) : 0755,
                .root_owner = root ? (uint32_t)archive_entry_uid(root) : 0,
                .root_group = root ? (uint32_t)archive_entry_gid(root) : 0,
                .all_root = pack->all_root,
                .processors = pack->threads};
        struct pack_image *image;
        struct pack_stream *stream;

        int r = pack_image_begin(pack->target, &how, &image);
        if (r < 0)
                return r;
        r = pack_stream_open(pack_image_stream(image), pack->time, &stream);
        if (r == 0) {
                r = add_all(stream, programs, bundle, bundle_size);
                int closed = pack_stream_close(stream, r < 0);
                r = r < 0 ? r : closed;
        }
        /* When mksquashfs stopped reading, only finish knows why. */
        if (r == 0 || r == -EPIPE) {
                int finished = pack_image_finish(image, ret_size);
                return r < 0 && finished == 0 ? r : finished;
        }
        pack_image_abandon(image);
        return r;
}

static int pack_contents(
        struct pack *pack, const struct pack_tree *tree, struct jit_spawner *spawner)
{
        const struct pack_programs_options how = {.lean = pack->lean,
                .keep_debug = pack->keep_debug,
                .level = pack->level,
                .threads = pack->threads,
                .trusted = pack->trusted,
                .n_trusted = pack->n_trusted,
                .profiles = pack->profiles,
                .progress = !pack->quiet && isatty(2) ? pack_report_progress : NULL};
        struct pack_programs *programs;
        uint64_t bundle_size;
        uint64_t image_size;
        _cleanup_close_ int bundle = memfd_create("bundle", MFD_CLOEXEC);

        if (bundle < 0)
                return -errno;
        int r = pack_programs_find(tree, &how, spawner, &programs);
        if (r < 0)
                return r;
        r = pack_programs_bundle(programs, bundle, &bundle_size);
        if (r == 0)
                r = write_image(pack, programs, bundle, bundle_size, &image_size);
        pack_report_progress_end();
        if (r == 0 && !pack->quiet)
                pack_report_summary(pack->target, tree, programs, bundle_size, image_size);
        pack_programs_free(programs);
        return r;
}

static int run(struct pack *pack)
{
        _cleanup_(pack_tree_freep) struct pack_tree *tree = NULL;
        struct jit_spawner *spawner;

        /* Both start processes, which has to come before there are threads. */
        int r = jit_spawner_start(NULL, &spawner);
        if (r < 0) {
                fmt_error("cannot start the process that starts confined processes: %s",
                        strerror(-r));
                return r;
        }
        r = pack_profiles_check(pack->profiles);
        if (r == 0)
                r = read_trusted(pack);
        if (r == 0)
                r = pack_tree_read(pack->rootfs, pack->exclude, &tree);
        if (r == 0)
                r = check_tree(pack, tree);
        if (r == 0)
                r = choose_time(pack, tree);
        if (r == 0)
                r = pack_contents(pack, tree, spawner);
        jit_spawner_stop(spawner);
        return r;
}

int tool_pack(int argc, char **argv)
{
        _cleanup_(pack_done) struct pack pack = {.level = DEFAULT_LEVEL};

        int status = parse(argc, argv, &pack);
        if (status > 0)
                return status - 1;
        pack.threads = fmt_cores_allowed();
        /* libarchive converts names through the locale: without one it would refuse UTF-8. */
        setlocale(LC_CTYPE, "C.UTF-8");
        signal(SIGPIPE, SIG_IGN);
        return run(&pack) < 0;
}
