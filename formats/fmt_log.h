/* SPDX-License-Identifier: Apache-2.0 */
/* Messages for people.
 *
 * Every message that a user can see has three parts: what failed, on what (and why), what to do
 * next; for example
 *
 *     fmt_error("cannot mount %s: %s; give a squashfs image made by `xaas pack`", path, why);
 *
 * Messages go to stderr as "PROGRAM: LEVEL: text" (errors without LEVEL), or to syslog after
 * fmt_log_to_syslog (a mount that daemonised). Thread-safe; one message is one write. errno is
 * preserved. */
#ifndef FMT_LOG_H
#define FMT_LOG_H

#include <stdbool.h>

enum fmt_log_level { FMT_LOG_ERROR, FMT_LOG_WARNING, FMT_LOG_INFO, FMT_LOG_DEBUG };

/* Sets the name that starts each line and the most talkative level that is printed.
 * Default: the program's short name, FMT_LOG_INFO. Opens /dev/null as descriptors 0, 1 and 2 where
 * they are closed: no message may end in a file that got one of these numbers. Call first in main.
 */
void fmt_log_setup(const char *program, enum fmt_log_level most);

/* From here on messages go to syslog (facility daemon). Call before threads start. */
void fmt_log_to_syslog(void);

bool fmt_log_wants(enum fmt_log_level level);

void fmt_log(enum fmt_log_level level, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

#define fmt_error(...) fmt_log(FMT_LOG_ERROR, __VA_ARGS__)
#define fmt_warning(...) fmt_log(FMT_LOG_WARNING, __VA_ARGS__)
#define fmt_info(...) fmt_log(FMT_LOG_INFO, __VA_ARGS__)
#define fmt_debug(...) fmt_log(FMT_LOG_DEBUG, __VA_ARGS__)

#endif
