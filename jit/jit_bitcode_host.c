/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "jit_bitcode.h"
#include "jit_bitcode_protocol.h"

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

static int read_line(int fd, char **ret_line)
{
        _cleanup_fclose_ FILE *stream = fdopen(fd, "r");
        _cleanup_free_ char *line = NULL;
        size_t room = 0;

        if (!stream) {
                close(fd);
                return -ENOMEM;
        }
        ssize_t size = getline(&line, &room, stream);
        if (size < 2 || line[size - 1] != '\n')
                return -EBADMSG;
        line[size - 1] = 0;
        *ret_line = steal_pointer(&line);
        return 0;
}

int jit_bitcode_host_name(char **ret_name)
{
        const char *libexec = getenv("XAASFS_LIBEXEC");
        char *argv[] = {(char *)JIT_BITCODE_PROGRAM, (char *)"host", NULL};
        _cleanup_free_ char *program = NULL;
        posix_spawn_file_actions_t actions;
        int ends[2], status;
        pid_t child;

        if (asprintf(&program, "%s/%s", libexec ? libexec : XAASFS_LIBEXECDIR,
                    JIT_BITCODE_PROGRAM) < 0)
                return -ENOMEM;
        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        int error = posix_spawn(&child, program, &actions, NULL, argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        close(ends[1]);
        if (error) {
                close(ends[0]);
                return -error;
        }
        int r = read_line(ends[0], ret_name);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                ;
        return r;
}
