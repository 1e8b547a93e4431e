/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_log.h"

#include "fmt_cleanup.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

/* Written by fmt_log_setup and fmt_log_to_syslog before threads start, read only afterwards. */
static const char *program_name;
static enum fmt_log_level most_talkative = FMT_LOG_INFO;
static bool to_syslog;

static const struct {
        const char *prefix;
        int priority;
} levels[] = {
        [FMT_LOG_ERROR] = {"", LOG_ERR},
        [FMT_LOG_WARNING] = {"warning: ", LOG_WARNING},
        [FMT_LOG_INFO] = {"info: ", LOG_INFO},
        [FMT_LOG_DEBUG] = {"debug: ", LOG_DEBUG},
};

static const char *program(void)
{
        return program_name ? program_name : program_invocation_short_name;
}

static void open_standard_descriptors(void)
{
        int fd;

        /* The lowest that is free is what open gives. */
        while ((fd = open("/dev/null", O_RDWR)) >= 0 && fd <= STDERR_FILENO)
                ;
        if (fd > STDERR_FILENO)
                close(fd);
}

void fmt_log_setup(const char *name, enum fmt_log_level most)
{
        program_name = name;
        most_talkative = most;
        open_standard_descriptors();
}

void fmt_log_to_syslog(void)
{
        to_syslog = true;
        openlog(program(), LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

bool fmt_log_wants(enum fmt_log_level level)
{
        return level <= most_talkative;
}

/* Names out of an image reach messages: they must not be able to drive someone's terminal. */
static void disarm(char *text)
{
        for (; *text; text++)
                if (((unsigned char)*text < ' ' && *text != '\n' && *text != '\t') || *text == 0x7f)
                        *text = '?';
}

/* "PROGRAM: LEVEL: text\n" in one piece, so that messages of several processes do not mix. */
static void print(enum fmt_log_level level, const char *text)
{
        _cleanup_free_ char *line = NULL;
        int size = asprintf(&line, "%s: %s%s\n", program(), levels[level].prefix, text);

        if (size < 0) {
                line = NULL;
                return;
        }
        for (int done = 0; done < size;) {
                ssize_t wrote = write(STDERR_FILENO, line + done, (size_t)(size - done));
                if (wrote < 0 && errno == EINTR)
                        continue;
                if (wrote <= 0)
                        return;
                done += (int)wrote;
        }
}

void fmt_log(enum fmt_log_level level, const char *format, ...)
{
        _cleanup_free_ char *text = NULL;
        int saved = errno;
        va_list arguments;

        if (!fmt_log_wants(level))
                return;
        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                text = NULL;
        va_end(arguments);
        if (!text) {
                syslog(LOG_ERR, "no memory left for a message");
        } else {
                disarm(text);
                if (to_syslog)
                        syslog(levels[level].priority, "%s%s", levels[level].prefix, text);
                else
                        print(level, text);
        }
        errno = saved;
}
