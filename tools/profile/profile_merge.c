/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include "fmt_cleanup.h"
#include "fmt_confine.h"
#include "fmt_log.h"
#include "fmt_strings.h"
#include "fmt_whole.h"
#include "jit_toolchain.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* What a program wrote may come from anybody who could run it. */
#define MEMORY_LIMIT (UINT64_C(8) << 30)
#define OUTPUT_LIMIT (UINT64_C(1) << 30)
#define CPU_LIMIT_S 600
#define MESSAGE_MAX 400

static const char *find_program(void)
{
        const char *given = getenv("XAASFS_PROFDATA");

        return given ? given : XAASFS_PROFDATA;
}

/* Too many for a command line: a file with a path in each line. */
static int write_list(const char *folder, char *const *files, int *ret)
{
        _cleanup_close_ int fd = memfd_create("files", 0);

        if (fd < 0)
                return -errno;
        for (; *files; files++)
                if (dprintf(fd, "%s/%s\n", folder, *files) < 0)
                        return -EIO;
        *ret = steal_fd(&fd);
        return 0;
}

struct box {
        const char *program;
        char **readable;
        int list, output, messages; /* memfds */
};

static void box_done(struct box *box)
{
        fmt_strings_free(box->readable);
        fmt_close_fd(&box->list);
        fmt_close_fd(&box->output);
        fmt_close_fd(&box->messages);
}

/* In the child. */
static _Noreturn void become(const struct box *box)
{
        const struct fmt_confinement confinement = {
                .readable = (const char *const *)box->readable,
                .may_exec = true,
                .memory_limit = MEMORY_LIMIT,
                .file_limit = OUTPUT_LIMIT,
                .cpu_seconds = CPU_LIMIT_S,
        };
        char list[64], output[64];

        snprintf(list, sizeof(list), "--input-files=/proc/self/fd/%d", box->list);
        snprintf(output, sizeof(output), "--output=/proc/self/fd/%d", box->output);
        char *const argv[] = {(char *)"llvm-profdata", (char *)"merge",
                (char *)"--failure-mode=all", (char *)"--num-threads=1", list, output, NULL};
        int null = open("/dev/null", O_RDWR);
        if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(box->messages, 2) < 0)
                _exit(127);
        int r = fmt_confine(&confinement);
        if (r < 0) {
                dprintf(2, "this kernel cannot confine it (%s)\n", strerror(-r));
                _exit(127);
        }
        execv(box->program, argv);
        dprintf(2, "%s: %s\n", box->program, strerror(errno));
        _exit(127);
}

static int run(const struct box *box)
{
        int status;
        pid_t pid = fork();

        if (pid < 0)
                return -errno;
        if (pid == 0)
                become(box);
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBADMSG;
}

/* Its last line, without what could drive a terminal. */
static void last_words(int fd, char text[MESSAGE_MAX])
{
        off_t size = lseek(fd, 0, SEEK_END);
        off_t from = size > MESSAGE_MAX - 1 ? size - (MESSAGE_MAX - 1) : 0;
        ssize_t n = pread(fd, text, MESSAGE_MAX - 1, from);

        text[n > 0 ? n : 0] = '\0';
        for (char *end = text + strlen(text); end > text && end[-1] == '\n'; end--)
                end[-1] = '\0';
        char *line = strrchr(text, '\n');
        if (line)
                memmove(text, line + 1, strlen(line + 1) + 1);
        for (char *at = text; *at; at++)
                if ((unsigned char)*at < ' ' || *at == 0x7f)
                        *at = '?';
}

static int take_output(int fd, void **ret, size_t *ret_size)
{
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        _cleanup_free_ void *data = malloc((size_t)st.st_size + 1);
        if (!data)
                return -ENOMEM;
        int r = st.st_size == 0 ? -EIO : fmt_read_whole(fd, data, (size_t)st.st_size, 0);
        if (r < 0)
                return r;
        *ret = steal_pointer(&data);
        *ret_size = (size_t)st.st_size;
        return 0;
}

static int fill_box(const char *folder, char *const *files, struct box *ret)
{
        ret->program = find_program();
        int r = jit_toolchain_close_over(ret->program, &ret->readable);
        if (r == 0)
                r = fmt_strings_append(&ret->readable, folder);
        if (r == 0)
                r = write_list(folder, files, &ret->list);
        if (r < 0)
                return r;
        ret->output = memfd_create("profile", 0);
        ret->messages = memfd_create("messages", MFD_CLOEXEC);
        return ret->output < 0 || ret->messages < 0 ? -errno : 0;
}

int profile_merge(const char *folder, char *const *files, void **ret, size_t *ret_size)
{
        _cleanup_(box_done) struct box box = {.list = -1, .output = -1, .messages = -1};
        char said[MESSAGE_MAX] = "";
        int r = fill_box(folder, files, &box);

        if (r == 0)
                r = run(&box);
        if (r == 0)
                r = take_output(box.output, ret, ret_size);
        if (r == 0)
                return 0;
        if (box.messages >= 0)
                last_words(box.messages, said);
        fmt_error("cannot merge the counts in %s with %s: %s; install llvm-19, or set "
                  "XAASFS_PROFDATA to the llvm-profdata of the LLVM that compiles",
                folder, box.program, *said ? said : strerror(-r));
        return r;
}
