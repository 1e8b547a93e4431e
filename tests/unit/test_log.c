/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: what they look like, that one message is one write, that errno stays. */
#include "fmt_cleanup.h"
#include "fmt_log.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        dprintf(result_fd, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
                        failures++;                                                                \
                }                                                                                  \
        } while (0)

static int failures;
static int result_fd;

/* Each message arrives as one datagram, so its bounds show how it was written. */
static const char *next_message(int fd)
{
        static char text[16384];
        ssize_t size = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

        text[size < 0 ? 0 : size] = '\0';
        return text;
}

/* Started without them, a program must not take the first files that it opens for them. */
static void test_closed_descriptors(void)
{
        pid_t child = fork();
        int status;

        if (child == 0) {
                close_range(STDIN_FILENO, STDERR_FILENO, 0);
                fmt_log_setup("xaas", FMT_LOG_WARNING);
                int fd = open("/", O_RDONLY | O_CLOEXEC);
                _exit(fd > STDERR_FILENO && fcntl(STDERR_FILENO, F_GETFD) == 0 ? 0 : 1);
        }
        CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
        char longer[8000];
        int pair[2];

        result_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        if (result_fd < 0 || socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0 ||
                dup2(pair[0], STDERR_FILENO) < 0)
                return 1;

        test_closed_descriptors();

        fmt_error("plain %d", 1);
        CHECK(!strcmp(next_message(pair[1]), "test_log: plain 1\n"));

        fmt_log_setup("xaas", FMT_LOG_WARNING);
        fmt_error("cannot do it");
        CHECK(!strcmp(next_message(pair[1]), "xaas: cannot do it\n"));
        fmt_warning("take care");
        CHECK(!strcmp(next_message(pair[1]), "xaas: warning: take care\n"));
        fmt_info("not wanted");
        CHECK(!strcmp(next_message(pair[1]), ""));
        CHECK(fmt_log_wants(FMT_LOG_WARNING) && !fmt_log_wants(FMT_LOG_INFO));

        fmt_error("a name \x1b[2J\x7f from an image");
        CHECK(!strcmp(next_message(pair[1]), "xaas: a name ?[2J? from an image\n"));

        memset(longer, 'x', sizeof(longer) - 1);
        longer[sizeof(longer) - 1] = '\0';
        fmt_error("%s", longer);
        CHECK(strlen(next_message(pair[1])) == strlen("xaas: ") + strlen(longer) + 1);

        errno = ENOTTY;
        fmt_error("something else");
        CHECK(errno == ENOTTY);
        return failures > 0;
}
