/* SPDX-License-Identifier: Apache-2.0 */
/* pack_programs.h, last part: what stands in a program's place. */
#include "fat_elf.h"
#include "fmt_cleanup.h"
#include "pack_programs.h"

#include <sys/mman.h>

/* Whoever mounts a lean image with something else than xaasfs and starts a program of it gets a
 * shell that reads this. */
static int lean_text(const struct pack_program *program, int *ret_fd)
{
        _cleanup_close_ int fd = memfd_create("lean", MFD_CLOEXEC);

        if (fd < 0)
                return -errno;
        if (dprintf(fd,
                    "# xaas portable object\n"
                    "# %s is stored as bitcode only. Mount the image with `xaasfs IMAGE "
                    "MOUNTPOINT`:\n"
                    "# there this file is the program, compiled for the host when it is opened.\n"
                    "exit 126\n",
                    program->name->path) < 0)
                return -EIO;
        *ret_fd = steal_fd(&fd);
        return 0;
}

static int generic_elf(const struct pack_programs *programs, const struct pack_program *program,
        int fat, int *ret_fd)
{
        _cleanup_close_ int packed = -1;
        struct fmt_digest digest;

        int r = fat_elf_strip(fat, programs->options->keep_debug, &packed);
        if (r == 0)
                r = fat_elf_digest(packed, &digest);
        if (r < 0)
                return r;
        /* The manifest names these bytes already. */
        if (!fmt_digest_equal(&digest, &program->elf))
                return -ESTALE;
        *ret_fd = steal_fd(&packed);
        return 0;
}

/* An ordinary ELF keeps its debug information. Of its record remains why it is one, for whoever
 * inspects it in the image. */
static int native_elf(const struct pack_program *program, int fat, int *ret_fd)
{
        _cleanup_close_ int packed = -1;

        int r = fat_elf_strip(fat, true, &packed);
        if (r == 0)
                r = fat_elf_explain(packed, program->native, ret_fd);
        if (r != -EINVAL)
                return r;
        *ret_fd = steal_fd(&packed); /* a reason that no record may hold */
        return 0;
}

int pack_program_content(
        const struct pack_programs *programs, const struct pack_program *program, int *ret_fd)
{
        _cleanup_close_ int fat = -1;

        if (programs->options->lean && !program->native)
                return lean_text(program, ret_fd);
        int r = pack_file_open(programs->tree, program->name->file, &fat);
        if (r < 0)
                return r;
        if (!program->native)
                return generic_elf(programs, program, fat, ret_fd);
        /* What capture gave up on says so already, with all its reasons. */
        if (program->record && program->record->n_variants == 0) {
                *ret_fd = steal_fd(&fat);
                return 0;
        }
        return native_elf(program, fat, ret_fd);
}
