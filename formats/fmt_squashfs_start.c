/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_squashfs_start.h"

#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define MiB (UINT64_C(1) << 20)

/* Indexing reads at least 100 MiB of metadata per second, and an image is mostly data; these
 * are far beyond what an honest image needs and end a hang soon. */
#define BASE_SECONDS 5
#define BYTES_PER_SECOND (16 * MiB)
#define MOST_SECONDS 300
#define BASE_MEMORY (512 * MiB)
#define MOST_MEMORY (16384 * MiB)

#define REPAIR "get the image again, or check it with `unsquashfs -s`"

static void _cleanup_actions(posix_spawn_file_actions_t *actions)
{
        posix_spawn_file_actions_destroy(actions);
}

static int indexer_path(const char *libexec, char **ret)
{
        if (libexec == NULL)
                libexec = getenv("XAASFS_LIBEXEC");
        if (libexec == NULL)
                libexec = XAASFS_LIBEXECDIR;
        return asprintf(ret, "%s/xaas-indexer", libexec) < 0 ? -ENOMEM : 0;
}

static int spawn_indexer(
        const char *program, int image_fd, int output_fd, char *const *argv, pid_t *ret)
{
        _cleanup_(_cleanup_actions) posix_spawn_file_actions_t actions;
        char *const environment[] = {NULL};
        if (posix_spawn_file_actions_init(&actions) != 0)
                return -ENOMEM;
        /* Dup2 onto itself keeps close-on-exec off as well; ASIDE is out of everybody's way,
         * however many descriptors whoever started us has left open. */
        int aside = image_fd > output_fd ? image_fd + 1 : output_fd + 1;
        if (aside <= FMT_INDEXER_OUTPUT_FD)
                aside = FMT_INDEXER_OUTPUT_FD + 1;
        if (posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDWR, 0) != 0 ||
                posix_spawn_file_actions_adddup2(&actions, 0, 1) != 0 ||
                posix_spawn_file_actions_adddup2(&actions, output_fd, aside) != 0 ||
                posix_spawn_file_actions_adddup2(&actions, image_fd, FMT_INDEXER_IMAGE_FD) != 0 ||
                posix_spawn_file_actions_adddup2(&actions, aside, FMT_INDEXER_OUTPUT_FD) != 0 ||
                posix_spawn_file_actions_addclosefrom_np(&actions, 5) != 0)
                return -ENOMEM;
        return -posix_spawn(ret, program, &actions, NULL, argv, environment);
}

/* Waits at most SECONDS, kills it after that. Processor time is limited in the indexer itself;
 * wall time guards against an image on a file system that does not answer. */
static int wait_for(pid_t pid, uint64_t seconds, int *ret_status)
{
        _cleanup_close_ int pidfd = pidfd_open(pid, 0);
        int error = 0;
        if (pidfd >= 0) {
                struct pollfd ended = {.fd = pidfd, .events = POLLIN};
                int n;
                while ((n = poll(&ended, 1, (int)seconds * 1000)) < 0 && errno == EINTR)
                        ;
                if (n == 0) {
                        kill(pid, SIGKILL);
                        error = -ETIMEDOUT;
                }
        }
        while (waitpid(pid, ret_status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return error;
}

/* The sentence that the indexer left in its output, made safe to print. */
static void read_sentence(int output_fd, char *buffer, size_t size)
{
        ssize_t n = pread(output_fd, buffer, size - 1, 0);
        buffer[n > 0 ? n : 0] = '\0';
        for (char *c = buffer; *c != '\0'; c++)
                if (*c < ' ' || *c > '~')
                        *c = '?';
}

static int report_end(const char *path, int status, int output_fd)
{
        char sentence[200];
        struct rlimit files;
        if (WIFEXITED(status) && WEXITSTATUS(status) == FMT_INDEXER_OK)
                return 0;
        if (WIFSIGNALED(status)) {
                int number = WTERMSIG(status);
                if (number == SIGXFSZ && getrlimit(RLIMIT_FSIZE, &files) == 0 &&
                        files.rlim_cur < BASE_MEMORY) {
                        fmt_error("cannot index %s: no file may be larger than %" PRIu64
                                  " bytes here, not even in memory; allow more (`ulimit -f`)",
                                path, (uint64_t)files.rlim_cur);
                        return -EFBIG;
                }
                if (number == SIGXCPU || number == SIGKILL)
                        fmt_error("%s: this image is damaged: reading its directories does not "
                                  "come to an end; " REPAIR,
                                path);
                else
                        fmt_error("%s: this image is damaged: reading its directories ended with "
                                  "\"%s\"; " REPAIR,
                                path, strsignal(number));
                return -EBADMSG;
        }
        read_sentence(output_fd, sentence, sizeof sentence);
        switch (WEXITSTATUS(status)) {
        case FMT_INDEXER_REFUSED:
                fmt_error("cannot read %s: %s", path, sentence);
                return -EMEDIUMTYPE;
        case FMT_INDEXER_PROBLEM:
                fmt_error("cannot index %s: %s", path, sentence);
                return -EOPNOTSUPP;
        case FMT_INDEXER_DAMAGED:
                fmt_error("%s: this image is damaged: %s; " REPAIR, path, sentence);
                return -EBADMSG;
        default:
                fmt_error("%s: this image is damaged: reading its directories ended with status "
                          "%d; " REPAIR,
                        path, WEXITSTATUS(status));
                return -EBADMSG;
        }
}

static int run_indexer(const char *path, const char *libexec, int image_fd, int output_fd,
        uint64_t file_size, uint64_t offset)
{
        _cleanup_free_ char *program = NULL;
        char offset_text[24], memory_text[24], seconds_text[24];
        uint64_t memory = BASE_MEMORY + file_size / 4;
        uint64_t seconds = BASE_SECONDS + file_size / BYTES_PER_SECOND;
        memory = memory < MOST_MEMORY ? memory : MOST_MEMORY;
        seconds = seconds < MOST_SECONDS ? seconds : MOST_SECONDS;
        snprintf(offset_text, sizeof offset_text, "%" PRIu64, offset);
        snprintf(memory_text, sizeof memory_text, "%" PRIu64, memory);
        snprintf(seconds_text, sizeof seconds_text, "%" PRIu64, seconds);

        int error = indexer_path(libexec, &program);
        if (error < 0)
                return error;
        char *argv[] = {program, offset_text, memory_text, seconds_text, NULL};
        pid_t pid;
        error = spawn_indexer(program, image_fd, output_fd, argv, &pid);
        if (error < 0) {
                fmt_error("cannot run %s: %s; install xaasfs completely, or point XAASFS_LIBEXEC "
                          "at the folder with its companions",
                        program, strerror(-error));
                return error;
        }
        int status = 0;
        error = wait_for(pid, 4 * seconds, &status);
        if (error == -ETIMEDOUT) {
                fmt_error("%s: reading this image's directories took more than %" PRIu64
                          " seconds; it is damaged, or what it lies on does not answer",
                        path, 4 * seconds);
                return error;
        }
        if (error < 0) {
                fmt_error("cannot index %s: waiting for %s failed: %s", path, program,
                        strerror(-error));
                return error;
        }
        return report_end(path, status, output_fd);
}

/* From here on nobody can change what was written: not even a child that survived. */
static int seal_and_map(int output_fd, void **ret_map, size_t *ret_size)
{
        struct stat st;
        if (fcntl(output_fd, F_ADD_SEALS,
                    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0 ||
                fstat(output_fd, &st) < 0)
                return -errno;
        if (st.st_size == 0)
                return -EBADMSG;
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, output_fd, 0);
        if (map == MAP_FAILED)
                return -errno;
        *ret_map = map;
        *ret_size = (size_t)st.st_size;
        return 0;
}

int fmt_squashfs_start_index(const char *path, int image_fd, uint64_t file_size, uint64_t offset,
        const char *libexec, void **ret_map, size_t *ret_map_size, struct fmt_index *ret)
{
        _cleanup_close_ int output_fd =
                memfd_create("xaasfs-index", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        const char *why;
        if (output_fd < 0) {
                fmt_error("cannot index %s: no memory file: %s", path, strerror(errno));
                return -errno;
        }
        int error = run_indexer(path, libexec, image_fd, output_fd, file_size, offset);
        if (error < 0)
                return error;
        void *map = NULL;
        size_t size = 0;
        error = seal_and_map(output_fd, &map, &size);
        if (error < 0) {
                fmt_error("cannot index %s: %s", path, strerror(-error));
                return error;
        }
        error = fmt_index_check(map, size, file_size - offset, ret, &why);
        if (error < 0) {
                fmt_error("%s: this image is damaged: %s; " REPAIR, path, why);
                munmap(map, size);
                return error;
        }
        *ret_map = map;
        *ret_map_size = size;
        return 0;
}
