/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_image.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "pack_target.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct pack_image {
        char *path;
        struct pack_target *target;
        int stream;   /* tar, write end; -1 once it was closed */
        int messages; /* memory file with all that mksquashfs printed */
        pid_t child;  /* 0 once it was waited for */
};

/* ---- mksquashfs ---- */

static void write_line(const char *file, const char *line)
{
        int fd = open(file, O_WRONLY | O_CLOEXEC);

        if (fd >= 0) {
                ssize_t ignored = write(fd, line, strlen(line));
                (void)ignored;
                close(fd);
        }
}

static void write_map(const char *file, uint32_t inside, uint32_t outside)
{
        char line[64];

        snprintf(line, sizeof line, "%u %u 1", inside, outside);
        write_line(file, line);
}

/* For a tar, mksquashfs 4.5 gives the root folder to whoever runs it (-root-uid and -root-gid are
 * taken and forgotten): so it is made to run as that folder's owner, in a user namespace that
 * knows nobody else. Where that is not allowed the owner is wrong, and nothing else is. */
static void become_root_owner(const struct pack_image_options *options)
{
        uint32_t owner = options->all_root ? 0 : options->root_owner;
        uint32_t group = options->all_root ? 0 : options->root_group;
        uint32_t user_now = geteuid();
        uint32_t group_now = getegid();

        if (owner == user_now && group == group_now)
                return;
        if (unshare(CLONE_NEWUSER) == 0) {
                write_line("/proc/self/setgroups", "deny");
                write_map("/proc/self/uid_map", owner, user_now);
                write_map("/proc/self/gid_map", group, group_now);
        }
        if (geteuid() != owner || getegid() != group)
                dprintf(2,
                        "the root folder belongs to %u:%u in the image, not to %u:%u, since this "
                        "system allows no user namespaces\n",
                        user_now, group_now, owner, group);
}

/* -no-duplicates: squashfs-tools 4.5.1 takes some files of the same size for equal that are not,
 * and stores one of them wrong. That was seen with blocks of 4 KiB only, but nothing is known that
 * would rule it out with larger ones. */
static _Noreturn void run_mksquashfs(
        const struct pack_image *image, int stream, const struct pack_image_options *options)
{
        char level[16], processors[16], mode[16], epoch[32];
        const char *argv[24] = {"mksquashfs", "-", "/proc/self/fd/3", "-tar", "-noappend", "-comp",
                "zstd", "-Xcompression-level", level, "-processors", processors, "-root-mode", mode,
                "-quiet", "-no-progress", "-exit-on-error", "-no-duplicates"};
        size_t n = 17;

        snprintf(level, sizeof level, "%u", options->level);
        snprintf(processors, sizeof processors, "%u", options->processors);
        snprintf(mode, sizeof mode, "%04o", options->root_mode & 07777);
        snprintf(epoch, sizeof epoch, "%u", options->time);
        if (options->all_root)
                argv[n++] = "-all-root";
        /* The numbers of descriptors from here on: 0 the stream, 1 and 2 messages, 3 the image. */
        if (dup2(stream, 0) < 0 || dup2(image->messages, 1) < 0 || dup2(image->messages, 2) < 0)
                _exit(127);
        int file = pack_target_fd(image->target);
        if (file == 3 ? fcntl(3, F_SETFD, 0) < 0 : dup2(file, 3) < 0)
                _exit(127);
        become_root_owner(options);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        signal(SIGPIPE, SIG_DFL);
        /* For it and for nothing else: with a variable of the environment it clamps the times of
         * files; with options it would not. */
        setenv("SOURCE_DATE_EPOCH", epoch, 1);
        execvp("mksquashfs", (char *const *)argv);
        dprintf(2, "cannot run mksquashfs: %s; install squashfs-tools 4.5 or later\n",
                strerror(errno));
        _exit(127);
}

static int start_mksquashfs(struct pack_image *image, const struct pack_image_options *options)
{
        int ends[2];

        image->messages = memfd_create("messages", MFD_CLOEXEC);
        if (image->messages < 0 || pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        image->child = fork();
        if (image->child == 0)
                run_mksquashfs(image, ends[0], options);
        int r = image->child < 0 ? -errno : 0;
        if (r < 0)
                image->child = 0;
        close(ends[0]);
        image->stream = ends[1];
        /* A larger pipe saves switches between the two processes; not getting it does no harm. */
        (void)fcntl(image->stream, F_SETPIPE_SZ, 1 << 20);
        return r;
}

/* Names that are no UTF-8 make libarchive say so; mksquashfs takes names as they are. */
#define HARMLESS "Unrecognised keyword \"hdrcharset\""

/* What it printed, on one line. */
static void read_messages(const struct pack_image *image, char *text, size_t size)
{
        char all[4096];
        size_t used = 0;
        ssize_t got = pread(image->messages, all, sizeof all - 1, 0);

        all[got > 0 ? got : 0] = '\0';
        text[0] = '\0';
        for (char *save = NULL, *line = strtok_r(all, "\n", &save); line;
                line = strtok_r(NULL, "\n", &save)) {
                if (strncmp(line, HARMLESS, strlen(HARMLESS)) == 0 ||
                        used + strlen(line) + 3 > size)
                        continue;
                used += (size_t)snprintf(text + used, size - used, "%s%s", used ? "; " : "", line);
        }
}

static int wait_for_mksquashfs(struct pack_image *image)
{
        char messages[1024];
        int status;

        if (image->stream >= 0)
                close(image->stream);
        image->stream = -1;
        if (image->child == 0)
                return 0;
        while (waitpid(image->child, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        image->child = 0;
        read_messages(image, messages, sizeof messages);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
                if (*messages)
                        fmt_warning("%s: mksquashfs says: %s", image->path, messages);
                return 0;
        }
        if (WIFSIGNALED(status))
                fmt_error("cannot write the image %s: mksquashfs was ended by signal %d%s%s; no "
                          "image "
                          "was left behind",
                        image->path, WTERMSIG(status), *messages ? ": " : "", messages);
        else
                fmt_error(
                        "cannot write the image %s: mksquashfs says: %s; no image was left behind",
                        image->path, *messages ? messages : "nothing");
        return -EIO;
}

/* ---- life ---- */

static void image_free(struct pack_image *image)
{
        pack_target_free(image->target);
        if (image->messages >= 0)
                close(image->messages);
        free(image->path);
        free(image);
}

int pack_image_begin(
        const char *path, const struct pack_image_options *options, struct pack_image **ret)
{
        struct pack_image *image = calloc(1, sizeof *image);

        if (!image)
                return -ENOMEM;
        image->stream = image->messages = -1;
        image->path = strdup(path);
        int r = image->path ? pack_target_open(path, &image->target) : -ENOMEM;
        if (r == 0) {
                r = start_mksquashfs(image, options);
                if (r < 0)
                        fmt_error("cannot start mksquashfs for %s: %s", path, strerror(-r));
        }
        if (r < 0) {
                image_free(image);
                return r;
        }
        *ret = image;
        return 0;
}

int pack_image_stream(const struct pack_image *image)
{
        return image->stream;
}

int pack_image_finish(struct pack_image *image, uint64_t *ret_size)
{
        int r = wait_for_mksquashfs(image);

        if (r == 0)
                r = pack_target_commit(image->target, ret_size);
        image_free(image);
        return r;
}

void pack_image_abandon(struct pack_image *image)
{
        if (!image)
                return;
        if (image->child > 0) {
                kill(image->child, SIGKILL);
                close(image->stream);
                image->stream = -1;
                while (waitpid(image->child, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        image_free(image);
}
