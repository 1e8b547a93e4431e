/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_mounts.h"

#include "fmt_cleanup.h"

#include <stdbool.h>
#include <string.h>
#include <sys/sysmacros.h>

#define OUR_TYPE " - fuse.xaasfs "

/* As mountinfo writes it: what separates words is a backslash and three octal digits. */
static char *escaped(const char *mountpoint)
{
        char *text = malloc(4 * strlen(mountpoint) + 1), *end = text;
        for (const char *c = mountpoint; text != NULL && *c != '\0'; c++)
                if (strchr(" \t\n\\", *c) != NULL)
                        end += sprintf(end, "\\%03o", (unsigned)*c);
                else
                        *end++ = *c;
        if (text != NULL)
                *end = '\0';
        return text;
}

/* LINE: ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS ... - TYPE SOURCE OPTIONS (proc(5)). */
static bool is_at(const char *line, const char *mountpoint, dev_t *ret)
{
        unsigned major, minor;
        int at = 0;
        if (sscanf(line, "%*u %*u %u:%u %*s %n", &major, &minor, &at) < 2 || at == 0)
                return false;
        *ret = makedev(major, minor);
        const size_t size = strlen(mountpoint);
        return !strncmp(line + at, mountpoint, size) && line[at + (int)size] == ' ';
}

int fs_mounts_at(const char *mountpoint, dev_t *ret)
{
        _cleanup_free_ char *wanted = escaped(mountpoint), *line = NULL;
        _cleanup_fclose_ FILE *mounts = fopen("/proc/self/mountinfo", "re");
        size_t size = 0;
        int error = -ENOENT;
        if (wanted == NULL || mounts == NULL)
                return wanted == NULL ? -ENOMEM : -errno;
        while (getline(&line, &size, mounts) > 0) {
                dev_t device;
                if (!is_at(line, wanted, &device))
                        continue;
                /* Whatever is on top comes last. */
                error = strstr(line, OUR_TYPE) != NULL ? 0 : -ENOENT;
                *ret = device;
        }
        return error;
}

int fs_mounts_of(int fuse, dev_t *ret)
{
        char path[40], line[200];
        unsigned connection;
        snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fuse);
        _cleanup_fclose_ FILE *facts = fopen(path, "re");
        while (facts != NULL && fgets(line, sizeof line, facts) != NULL) {
                if (sscanf(line, "fuse_connection: %u", &connection) != 1)
                        continue;
                /* Such file systems have no device and get major 0. */
                *ret = makedev(0, connection);
                return 0;
        }
        return -ENOENT;
}
