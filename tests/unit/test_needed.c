/* SPDX-License-Identifier: Apache-2.0 */
/* Libraries of a program in an image: real ELF files, made by this machine's compiler. */
#include "fmt_cleanup.h"
#include "fmt_elf_dynamic.h"
#include "fmt_ldconf.h"
#include "fmt_needed.h"
#include "fmt_strings.h"
#include "unit_check.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static char scratch[] = "/tmp/xaasfs-needed-XXXXXX";

/* The order in which ld.so finds things is told apart by where the same name lies twice. */
static const char script[] =
        "set -e; cd \"$1\"; mkdir -p tree; cd tree\n"
        "mkdir -p usr/bin usr/lib usr/lib/x86_64-linux-gnu lib64 etc/ld.so.conf.d opt/app/bin \\\n"
        "  opt/app/lib opt/app/lib64 opt/conf opt/old opt/deep sub\n"
        "ln -s usr/lib lib\n"
        "echo 'void f(void) {}' > ../f.c\n"
        "so() { out=$1; shift; cc -shared -nostdlib -fPIC -o $out ../f.c "
        "-Wl,-soname,$(basename $out) -Wl,--no-as-needed \"$@\"; }\n"
        "exe() { out=$1; shift; cc -nostdlib -fPIE -pie -Wl,-e,f -o $out ../f.c "
        "-Wl,--no-as-needed -Wl,--allow-shlib-undefined \"$@\"; }\n"
        "printf '# comment\\ninclude ld.so.conf.d/*.conf\\n/opt/last # here\\n' > etc/ld.so.conf\n"
        "echo /opt/conf > etc/ld.so.conf.d/b.conf\n"
        "echo 'include /etc/ld.so.conf' > etc/ld.so.conf.d/a.conf\n"
        "echo /opt/never > etc/ld.so.conf.d/c.txt\n"
        /* found through ld.so.conf, before the default folders */
        "so opt/conf/libconf.so; cp opt/conf/libconf.so usr/lib/\n"
        /* default folders, through a link, and one that is in none */
        "so usr/lib/libreal.so.1.2; ln -s libreal.so.1.2 usr/lib/libreal.so.1\n"
        "cc -shared -nostdlib -fPIC -o libmissing.so -Wl,-soname,libmissing.so ../f.c\n"
        "cc -shared -nostdlib -fPIC -o libreal.so -Wl,-soname,libreal.so.1 ../f.c\n"
        /* $ORIGIN: a library that brings a second one along */
        "so opt/app/lib/libinner.so\n"
        "so opt/app/lib/libouter.so -Wl,--enable-new-dtags -Wl,-rpath,'$ORIGIN' "
        "opt/app/lib/libinner.so opt/conf/libconf.so\n"
        "exe opt/app/bin/prog -Wl,--enable-new-dtags -Wl,-rpath,'$ORIGIN/../lib' "
        "opt/app/lib/libouter.so ./libreal.so ./libmissing.so -Wl,-dynamic-linker,/lib64/ld.so\n"
        "ln -s ../../opt/app/bin/prog usr/bin/prog\n"
        "rm libmissing.so libreal.so\n"
        "so lib64/ld.so\n"
        /* DT_RPATH is for the libraries of libraries, DT_RUNPATH is not */
        "so opt/deep/libdeep.so; so opt/old/libmid.so opt/deep/libdeep.so\n"
        "exe usr/bin/old -Wl,--disable-new-dtags -Wl,-rpath,/opt/old:/opt/deep opt/old/libmid.so\n"
        "exe usr/bin/new -Wl,--enable-new-dtags -Wl,-rpath,/opt/old:/opt/deep opt/old/libmid.so\n"
        /* another machine's library comes first on the path and is passed over */
        "so sub/libother.so; cp sub/libother.so opt/conf/libother.so\n"
        "printf '\\003' | dd of=sub/libother.so bs=1 seek=18 conv=notrunc 2>/dev/null\n"
        "exe usr/bin/skips -Wl,-rpath,/sub opt/conf/libother.so\n"
        /* a circle */
        "so usr/lib/liba.so; so usr/lib/libb.so usr/lib/liba.so; so usr/lib/liba.so "
        "usr/lib/libb.so\n"
        "exe usr/bin/circle usr/lib/liba.so\n"
        "echo '#!/bin/sh' > usr/bin/script; : > usr/bin/empty\n"
        "head -c 100 usr/bin/circle > usr/bin/short\n"
        "cd ..; mksquashfs tree image.sqfs -quiet -no-progress -noappend >/dev/null\n";

static void visit(void *context, fmt_inode inode, const char *path)
{
        char *list = context;

        CHECK(inode > FMT_ROOT && *path != '/');
        snprintf(list + strlen(list), 1024 - strlen(list), "%s%s", *list ? " " : "", path);
}

static void expect(struct fmt_squashfs *image, const char *path, const char *wanted)
{
        char list[1024] = "";
        int r = fmt_needed_walk(image, path, NULL, visit, list);

        if (r != 0 || strcmp(list, wanted)) {
                fprintf(stderr, "%s: %d, seen \"%s\", wanted \"%s\"\n", path, r, list, wanted);
                unit_failures++;
        }
}

static void test_closures(struct fmt_squashfs *image)
{
        /* The program lies where the link leads to; libinner is found by libouter's RUNPATH. */
        expect(image, "/usr/bin/prog",
                "lib64/ld.so usr/bin/../../opt/app/bin/../lib/libouter.so lib/libreal.so.1 "
                "usr/bin/../../opt/app/bin/../lib/libinner.so opt/conf/libconf.so");
        expect(image, "usr/bin/old", "opt/old/libmid.so opt/deep/libdeep.so");
        expect(image, "usr/bin/new", "opt/old/libmid.so");
        expect(image, "usr/bin/skips", "opt/conf/libother.so");
        expect(image, "usr/bin/circle", "lib/liba.so lib/libb.so");
        expect(image, "usr/lib/libreal.so.1", "");
        expect(image, "usr/bin/script", "");
        expect(image, "usr/bin/empty", "");
        expect(image, "usr/bin/short", "");
        CHECK(fmt_needed_walk(image, "usr/bin/nothing", NULL, visit, NULL) == -ENOENT);
}

/* A portable object speaks for itself, and only it. */
static int pretend(void *context, fmt_inode inode, struct fmt_needed_facts *ret)
{
        static char *needed[] = {(char *)"libconf.so", NULL};

        (void)context;
        if (inode != *(fmt_inode *)context)
                return -ENOENT;
        *ret = (struct fmt_needed_facts){.needed = needed};
        return 0;
}

static unsigned visited;

static void count(void *context, fmt_inode inode, const char *path)
{
        (void)context;
        (void)inode;
        visited++;
        CHECK(!strcmp(path, "opt/conf/libconf.so"));
}

static void test_reader_comes_first(struct fmt_squashfs *image)
{
        fmt_inode inode;

        REQUIRE(fmt_squashfs_resolve(image, "usr/bin/script", &inode) == 0);
        CHECK(fmt_needed_walk(image, "usr/bin/script", pretend, count, &inode) == 0);
        CHECK(visited == 1);
}

static void test_ldconf(struct fmt_squashfs *image)
{
        _cleanup_(fmt_strings_freep) char **folders = NULL;

        REQUIRE(fmt_ldconf_folders(image, &folders) == 0);
        CHECK(fmt_strings_contain(folders, "/opt/conf") &&
                fmt_strings_contain(folders, "/opt/last"));
        CHECK(!fmt_strings_contain(folders, "/opt/never"));
        CHECK(!strcmp(folders[fmt_strings_count(folders) - 1], "/usr/lib"));
}

/* Every byte of a real file's headers changed in turn: no crash, no endless read. */
static void test_damaged_headers(void)
{
        char path[128], bytes[65536];
        struct fmt_source_memory memory = {.data = bytes};
        ssize_t size;
        int fd;

        snprintf(path, sizeof(path), "%s/tree/opt/app/bin/prog", scratch);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        size = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
        REQUIRE(size > 1000);
        close(fd);
        memory.size = (uint64_t)size;
        for (ssize_t i = 0; i < size; i++) {
                char kept = bytes[i];
                for (int value = 0; value < 256; value += 15) {
                        struct fmt_elf_dynamic dynamic = {0};
                        bytes[i] = (char)value;
                        if (fmt_elf_dynamic_read(fmt_source_of_memory(&memory), &dynamic) == 0)
                                fmt_elf_dynamic_done(&dynamic);
                }
                bytes[i] = kept;
        }
        for (memory.size = 0; memory.size < (uint64_t)size; memory.size += 7) {
                struct fmt_elf_dynamic dynamic = {0};
                if (fmt_elf_dynamic_read(fmt_source_of_memory(&memory), &dynamic) == 0)
                        fmt_elf_dynamic_done(&dynamic);
        }
}

static int run(const char *how)
{
        char command[sizeof(script) + 256];

        snprintf(command, sizeof(command), "set -- '%s'; %s", scratch, how);
        return system(command);
}

int main(void)
{
        struct fmt_squashfs_options options = {0};
        struct fmt_squashfs *image;
        char path[128];

        if (system("command -v cc mksquashfs >/dev/null") != 0) {
                printf("cc or mksquashfs is missing; tools/setup installs them\n");
                return 77;
        }
        REQUIRE(mkdtemp(scratch) && run(script) == 0);
        snprintf(path, sizeof(path), "%s/image.sqfs", scratch);
        REQUIRE(fmt_squashfs_open(path, &options, &image) == 0);
        test_closures(image);
        test_reader_comes_first(image);
        test_ldconf(image);
        fmt_squashfs_free(image);
        test_damaged_headers();
        CHECK(run("rm -rf \"$1\"") == 0);
        return unit_report();
}
