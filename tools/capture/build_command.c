/* SPDX-License-Identifier: Apache-2.0 */
/* xaas build -- CMD…: runs a build with capture on.
 *
 * Nothing of the project changes: the names of compilers and linkers in a folder in front on PATH
 * are ours, and CC and CXX say so to those who do not look there. The folder is part of the
 * installation, so that what a configure step writes down stays true later. */
#include "capture_log.h"
#include "capture_programs.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "tool_commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define USAGE 2

static int usage(void)
{
        fputs("usage: xaas build [--] COMMAND [ARGUMENT…]\n"
              "Runs a build with capture on: programs and libraries that it links carry, beside\n"
              "their native code, what xaasfs needs to compile them for another machine.\n",
                stderr);
        return USAGE;
}

/* VARIABLE names a compiler: keep the user's choice if it is found through PATH ("ccache gcc",
 * "clang"), else point to ours. */
static int choose(const char *variable, const char *folder, const char *name)
{
        const char *chosen = getenv(variable);
        _cleanup_free_ char *full = NULL;
        if (chosen && *chosen && !strchr(chosen, '/'))
                return 0;
        if (chosen && *chosen)
                fmt_warning(
                        "%s=%s names a compiler by its path, which capture cannot stand in for; "
                        "using xaas's %s instead",
                        variable, chosen, name);
        if (asprintf(&full, "%s/%s", folder, name) < 0)
                return -ENOMEM;
        return setenv(variable, full, 1) < 0 ? -errno : 0;
}

static int set_environment(const char *folder, const char *log)
{
        const char *path = getenv("PATH");
        _cleanup_free_ char *front = NULL;
        if (asprintf(&front, "%s:%s", folder, path && *path ? path : "/usr/bin:/bin") < 0)
                return -ENOMEM;
        if (setenv("PATH", front, 1) < 0 || setenv(CAPTURE_LOG_VARIABLE, log, 1) < 0)
                return -errno;
        int r = choose("CC", folder, "cc");
        return r < 0 ? r : choose("CXX", folder, "c++");
}

int tool_build(int argc, char **argv)
{
        int first = argc > 1 && strcmp(argv[1], "--") == 0 ? 2 : 1;
        if (argc <= first)
                return usage();
        if (first == 1 && argv[1][0] == '-') {
                if (strcmp(argv[1], "--help") == 0)
                        return usage() - USAGE;
                fmt_error("unknown option %s; put -- before the build command", argv[1]);
                return USAGE;
        }
        _cleanup_free_ char *folder = NULL, *clang = NULL;
        if (capture_companion("path", &folder) < 0) {
                fmt_error("cannot find the folder of compiler names; install xaasfs completely, or "
                          "set XAASFS_LIBEXEC");
                return 1;
        }
        if (capture_clang(&clang) < 0) {
                fmt_error("cannot find clang 19, which makes the bitcode; install clang-19 and "
                          "lld-19, or set XAASFS_CLANG");
                return 1;
        }
        char log[] = "/tmp/xaas-build-XXXXXX";
        _cleanup_close_ int fd = mkostemp(log, O_CLOEXEC);
        int r = fd < 0 ? -errno : set_environment(folder, log);
        if (r < 0) {
                fmt_error(
                        "cannot prepare the build: %s; check that /tmp is writable", strerror(-r));
                return 1;
        }
        r = capture_run_by_name(argv[first], argv + first);
        if (r < 0) {
                fmt_error(
                        "cannot run %s: %s; check the command after --", argv[first], strerror(-r));
                r = 127;
        }
        capture_log_summarise(log);
        unlink(log);
        return r;
}
