/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_state.h"

#include "fs_portable.h"

#include "fmt_cleanup.h"

#include <inttypes.h>
#include <string.h>

#define ENOUGH ((size_t)64 << 10) /* the kernel's own limit of names and values */

static int key_of(struct fs_program *program, char **ret)
{
        const struct jit_program *loaded;
        struct fmt_digest key;
        if (fs_program_load(program, &loaded) < 0)
                return -ENODATA;
        *ret = malloc(FMT_DIGEST_HEX_SIZE);
        if (*ret == NULL)
                return -ENOMEM;
        jit_program_key(loaded, &key);
        fmt_digest_to_hex(&key, *ret);
        return 0;
}

static int policy_of(struct fs_program *program, char **ret)
{
        const struct jit_program *loaded;
        if (fs_program_load(program, &loaded) < 0)
                return -ENODATA;
        return jit_policy_format(jit_program_policy(loaded), ret);
}

static int opens_of(struct fs_program *program, char **ret)
{
        struct fs_program_opens opens;
        fs_program_opens(program, &opens);
        return asprintf(ret, "%" PRIu64, opens.ever) < 0 ? -ENOMEM : 0;
}

static const struct {
        const char *name;
        int (*value)(struct fs_program *program, char **ret);
} told[] = {
        {"user.xaasfs.state", fs_program_state},
        {"user.xaasfs.key", key_of},
        {"user.xaasfs.policy", policy_of},
        {"user.xaasfs.opens", opens_of},
};

/* -EOPNOTSUPP: NAME is none of ours. */
static int program_value(struct fs_program *program, const char *name, char **ret)
{
        for (size_t i = 0; i < sizeof told / sizeof *told; i++)
                if (!strcmp(name, told[i].name))
                        return told[i].value(program, ret);
        return -EOPNOTSUPP;
}

/* As getxattr(2): the size alone where nothing but that was asked for. */
static void reply_value(fuse_req_t req, const char *value, ssize_t length, size_t size)
{
        if (length < 0)
                fuse_reply_err(req, (int)-length);
        else if (size == 0)
                fuse_reply_xattr(req, (size_t)length);
        else if ((size_t)length > size)
                fuse_reply_err(req, ERANGE);
        else
                fuse_reply_buf(req, value, (size_t)length);
}

/* The three kinds that squashfs keeps; of others the kernel's own squashfs says that there are none
 * here, so that nobody asks every file for its ACL. */
static bool is_kept(const char *name)
{
        return !strncmp(name, "user.", 5) || !strncmp(name, "trusted.", 8) ||
               !strncmp(name, "security.", 9);
}

void fs_getxattr(fuse_req_t req, fuse_ino_t inode, const char *name, size_t size)
{
        const struct fs *fs = fuse_req_userdata(req);
        struct fs_program *program = fs_portable_find(fs->portable, (fmt_inode)inode);
        if (!fs->any_xattrs && fs->portable == NULL) {
                /* The kernel does not ask again. */
                fuse_reply_err(req, ENOSYS);
                return;
        }
        if (program != NULL) {
                _cleanup_free_ char *text = NULL;
                int error = program_value(program, name, &text);
                if (error != -EOPNOTSUPP) {
                        reply_value(req, text, error < 0 ? error : (ssize_t)strlen(text), size);
                        return;
                }
        }
        if (!fs->any_xattrs || !is_kept(name)) {
                fuse_reply_err(req, is_kept(name) ? ENODATA : EOPNOTSUPP);
                return;
        }
        _cleanup_free_ char *value = malloc(ENOUGH);
        reply_value(req, value,
                value == NULL ? -ENOMEM
                              : fmt_squashfs_getxattr(
                                        fs->image, fs_inode(fs, inode), name, value, ENOUGH),
                size);
}

/* xattr(7): names of trusted.* are for those who may see values, the others' copies would fail. */
static ssize_t drop_trusted(char *names, ssize_t size)
{
        char *end = names;
        size_t name_size;
        for (const char *name = names; name < names + size; name += name_size) {
                name_size = strlen(name) + 1;
                if (!strncmp(name, "trusted.", 8))
                        continue;
                memmove(end, name, name_size);
                end += name_size;
        }
        return end - names;
}

void fs_listxattr(fuse_req_t req, fuse_ino_t inode, size_t size)
{
        const struct fs *fs = fuse_req_userdata(req);
        if (!fs->any_xattrs) {
                if (fs->portable == NULL)
                        fuse_reply_err(req, ENOSYS);
                else
                        reply_value(req, "", 0, size);
                return;
        }
        _cleanup_free_ char *names = malloc(ENOUGH);
        ssize_t all = names == NULL ? -ENOMEM
                                    : fmt_squashfs_listxattr(
                                              fs->image, fs_inode(fs, inode), names, ENOUGH);
        if (all > 0 && fuse_req_ctx(req)->uid != 0)
                all = drop_trusted(names, all);
        reply_value(req, names, all, size);
}
