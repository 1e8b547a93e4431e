/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_landlock.h"

#include "fmt_cleanup.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* From Linux' Documentation/userspace-api/landlock.rst. Debian 12's header ends at ABI 2, so the
 * interface is spelt out here; the system-call numbers are the same on all architectures. */
#define NR_CREATE_RULESET 444
#define NR_ADD_RULE 445
#define NR_RESTRICT_SELF 446
#define CREATE_RULESET_VERSION 1U
#define RULE_PATH_BENEATH 1

enum {
        FS_EXECUTE = 1 << 0,
        FS_WRITE_FILE = 1 << 1,
        FS_READ_FILE = 1 << 2,
        FS_READ_DIR = 1 << 3,
        FS_REMOVE_DIR = 1 << 4,
        FS_REMOVE_FILE = 1 << 5,
        FS_MAKE_DIR = 1 << 7,
        FS_MAKE_REG = 1 << 8,
        FS_REFER = 1 << 13,    /* ABI 2 */
        FS_TRUNCATE = 1 << 14, /* ABI 3 */
};

/* The tests pretend that this kernel is older. */
#ifndef ABI_MAX
#define ABI_MAX 1000
#endif

#define FS_ALL_ABI_1 ((1U << 13) - 1)
#define FS_ALL_ABI_2 ((1U << 14) - 1)
#define FS_ALL_ABI_3 ((1U << 15) - 1)
#define FS_ALL_ABI_5 ((1U << 16) - 1) /* IOCTL_DEV */
#define NET_ALL_ABI_4 3U              /* TCP bind and connect */
#define SCOPE_ALL_ABI_6 3U            /* abstract Unix sockets, signals */

/* What can be granted on something that is not a folder. */
#define FS_OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE)
#define FS_OF_SCRATCH                                                                              \
        (FS_WRITE_FILE | FS_READ_FILE | FS_READ_DIR | FS_REMOVE_DIR | FS_REMOVE_FILE |             \
                FS_MAKE_DIR | FS_MAKE_REG | FS_REFER | FS_TRUNCATE)

struct ruleset_attributes {
        uint64_t handled_access_fs;
        uint64_t handled_access_net; /* ABI 4 */
        uint64_t scoped;             /* ABI 6 */
};

struct path_beneath_attributes {
        uint64_t allowed_access;
        int32_t parent_fd;
} __attribute__((packed));

static struct ruleset_attributes everything(int abi)
{
        struct ruleset_attributes attributes = {.handled_access_fs = FS_ALL_ABI_1};

        if (abi >= 2)
                attributes.handled_access_fs = FS_ALL_ABI_2;
        if (abi >= 3)
                attributes.handled_access_fs = FS_ALL_ABI_3;
        if (abi >= 5)
                attributes.handled_access_fs = FS_ALL_ABI_5;
        if (abi >= 4)
                attributes.handled_access_net = NET_ALL_ABI_4;
        if (abi >= 6)
                attributes.scoped = SCOPE_ALL_ABI_6;
        return attributes;
}

static size_t attributes_size(int abi)
{
        if (abi >= 6)
                return sizeof(struct ruleset_attributes);
        return abi >= 4 ? offsetof(struct ruleset_attributes, scoped)
                        : offsetof(struct ruleset_attributes, handled_access_net);
}

/* A path that does not exist needs no rule: there is nothing to grant. */
static int allow(int ruleset, const char *path, uint64_t access)
{
        _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
        struct stat st;

        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR ? 0 : -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISDIR(st.st_mode))
                access &= FS_OF_FILES;
        struct path_beneath_attributes rule = {.allowed_access = access, .parent_fd = fd};
        return syscall(NR_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

static int add_rules(int ruleset, const struct fmt_confinement *confinement, uint64_t handled)
{
        uint64_t reading = FS_READ_FILE | FS_READ_DIR | (confinement->may_exec ? FS_EXECUTE : 0);
        int r = 0;

        for (const char *const *path = confinement->readable; path && *path && r == 0; path++)
                r = allow(ruleset, *path, reading);
        if (r == 0 && confinement->writable)
                r = allow(ruleset, confinement->writable, FS_OF_SCRATCH & handled);
        return r;
}

int fmt_landlock_restrict(const struct fmt_confinement *confinement, bool *ret_signals_stay)
{
        long abi = syscall(NR_CREATE_RULESET, NULL, 0, CREATE_RULESET_VERSION);

        if (abi < 0)
                return errno == ENOSYS || errno == EOPNOTSUPP ? -EOPNOTSUPP : -errno;
        if (abi > ABI_MAX)
                abi = ABI_MAX;
        struct ruleset_attributes attributes = everything((int)abi);
        *ret_signals_stay = attributes.scoped;
        _cleanup_close_ int ruleset =
                (int)syscall(NR_CREATE_RULESET, &attributes, attributes_size((int)abi), 0);
        if (ruleset < 0)
                return -errno;
        int r = add_rules(ruleset, confinement, attributes.handled_access_fs);
        if (r < 0)
                return r;
        return syscall(NR_RESTRICT_SELF, ruleset, 0) < 0 ? -errno : 0;
}
