/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_status.h"

#include "fmt_cleanup.h"
#include "fmt_json.h"
#include "fmt_log.h"
#include "fmt_status_text.h"

#include <fcntl.h>
#include <libgen.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define NAME_A_MOUNT "give the folder that an image is mounted on, or one below it"

static int refuse(const char *path, int error)
{
        switch (error) {
        case -ENOTCONN:
        case -ECONNABORTED:
                fmt_error("cannot ask %s: the mount is dead, nobody serves it; detach it with "
                          "`umount -l` or `fusermount3 -uz` and mount the image again",
                        path);
                break;
        case -EACCES:
        case -EPERM:
                fmt_error("cannot ask %s: it may not be opened by you; ask as who mounted it, or "
                          "mount it with -o allow_other",
                        path);
                break;
        case -ENOTTY:
                fmt_error("cannot ask %s: no xaasfs is mounted there, or one that is too old to "
                          "answer; " NAME_A_MOUNT,
                        path);
                break;
        default:
                fmt_error("cannot ask %s: %s; " NAME_A_MOUNT, path, strerror(-error));
        }
        return error;
}

/* A folder of the mount. Files are not opened: opening a program compiles it. */
static int open_folder(const char *path)
{
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0 || errno != ENOTDIR)
                return fd >= 0 ? fd : -errno;
        _cleanup_free_ char *copy = strdup(path);
        if (copy == NULL)
                return -ENOMEM;
        fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd >= 0 ? fd : -errno;
}

int fmt_status_read(const char *path, json_t **ret)
{
        _cleanup_free_ char *answer = malloc(FMT_STATUS_MOST);
        if (answer == NULL)
                return -ENOMEM;
        _cleanup_close_ int fd = open_folder(path);
        if (fd < 0)
                return refuse(path, fd);
        int size = ioctl(fd, FMT_STATUS_IOCTL, answer);
        if (size < 0)
                return refuse(path, errno == EINVAL || errno == ENOSYS ? -ENOTTY : -errno);
        if (size > FMT_STATUS_MOST || fmt_json_parse(answer, (size_t)size, path, ret) < 0) {
                fmt_error("cannot understand the answer of %s: it is no status; use the xaas that "
                          "came with the xaasfs that is mounted there",
                        path);
                return -EBADMSG;
        }
        return 0;
}

int fmt_status_show(const char *path, bool as_json)
{
        _cleanup_(fmt_json_decrefp) json_t *status = NULL;
        if (fmt_status_read(path, &status) < 0)
                return 1;
        if (!as_json) {
                fmt_status_print(status, stdout);
                return 0;
        }
        json_dumpf(status, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
        putchar('\n');
        return 0;
}
