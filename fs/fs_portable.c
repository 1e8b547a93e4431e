/* SPDX-License-Identifier: Apache-2.0 */
#include "fs_portable.h"
int fs_portable_open(struct fs *fs, const struct fs_options *options, struct jit_spawner *spawner)
{
        (void)fs, (void)options, (void)spawner;
        return 0;
}
int fs_portable_start(struct fs_portable *portable)
{
        (void)portable;
        return 0;
}
void fs_portable_free(struct fs_portable *portable)
{
        (void)portable;
}
struct fs_program *fs_portable_find(const struct fs_portable *portable, fmt_inode inode)
{
        (void)portable, (void)inode;
        return NULL;
}
void fs_portable_start_libraries(struct fs_portable *portable, struct fs_program *program)
{
        (void)portable, (void)program;
}
const struct fmt_program *fs_program_entry(const struct fs_program *program)
{
        (void)program;
        return NULL;
}
int fs_program_load(struct fs_program *program, const struct jit_program **ret)
{
        (void)program, (void)ret;
        return -1;
}
void fs_program_open(struct fs_program *program, fuse_req_t req, const struct fuse_file_info *fi)
{
        (void)program, (void)req, (void)fi;
}
void fs_program_release(struct fs_program *program, fuse_req_t req)
{
        (void)program, (void)req;
}
void fs_program_read(struct fs_program *program, fuse_req_t req, size_t size, off_t offset)
{
        (void)program, (void)req, (void)size, (void)offset;
}
void fs_program_seek(struct fs_program *program, fuse_req_t req, off_t offset, int whence)
{
        (void)program, (void)req, (void)whence, (void)offset;
}
int fs_program_state(struct fs_program *program, char **ret)
{
        (void)program, (void)ret;
        return -1;
}
void jit_program_key(const struct jit_program *program, struct fmt_digest *ret)
{
        (void)program, (void)ret;
}
