/* SPDX-License-Identifier: Apache-2.0 */
#include "fmt_cleanup.h"
#include "fmt_elf.h"
#include "unit_check.h"

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int own_file(void)
{
        return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

static int memory_file(void)
{
        return memfd_create("elf", MFD_CLOEXEC);
}

static off_t size_of(int fd)
{
        struct stat st;
        REQUIRE(fstat(fd, &st) == 0);
        return st.st_size;
}

/* Runs the ELF in FD; its only task is to end with status 7. */
static bool runs(int fd)
{
        pid_t pid = fork();
        if (pid == 0) {
                char *argv[] = {"test_elf", "--end", NULL};
                char *environment[] = {NULL};
                fexecve(fd, argv, environment);
                _exit(1);
        }
        int status = 0;
        waitpid(pid, &status, 0);
        return WIFEXITED(status) && WEXITSTATUS(status) == 7;
}

static void test_facts(void)
{
        _cleanup_close_ int fd = own_file();
        _cleanup_(fmt_elf_facts_done) struct fmt_elf_facts facts;
        REQUIRE(fmt_elf_read(fd, &facts) == 0);
        CHECK(facts.machine == EM_X86_64);
        CHECK(facts.has_dynamic && facts.interpreter && !facts.soname);
        CHECK(facts.interpreter && strstr(facts.interpreter, "ld-linux"));
        CHECK(facts.has_constructors && !facts.has_record && !facts.has_bitcode);
        CHECK(!facts.executable_stack && facts.has_gnu_hash);
        CHECK(facts.size == (uint64_t)size_of(fd));
        bool libc = false;
        for (char **needed = facts.needed; *needed; needed++)
                libc = libc || strcmp(*needed, "libc.so.6") == 0;
        CHECK(libc);
}

static void test_what_is_no_elf(void)
{
        _cleanup_close_ int fd = memory_file();
        _cleanup_(fmt_elf_facts_done) struct fmt_elf_facts facts;
        CHECK(fmt_elf_read(fd, &facts) == -ENOEXEC);
        REQUIRE(write(fd, "#!/bin/sh\n", 10) == 10);
        CHECK(fmt_elf_read(fd, &facts) == -ENOEXEC);
        REQUIRE(pwrite(fd, "\177ELF\1\1\1", 7, 0) == 7);
        CHECK(fmt_elf_read(fd, &facts) == -ENOEXEC);
}

static void test_a_section_comes_and_goes(void)
{
        _cleanup_close_ int fd = own_file(), with = memory_file(), other = memory_file(),
                            without = memory_file();
        uint64_t offset = 0, size = 0;
        char data[1001];
        memset(data, 'x', sizeof(data));
        CHECK(fmt_elf_find_section(fd, ".xaas.test", &offset, &size) == -ENOENT);
        REQUIRE(fmt_elf_with_section(fd, ".xaas.test", data, sizeof(data), with) == 0);
        REQUIRE(fmt_elf_find_section(with, ".xaas.test", &offset, &size) == 0);
        CHECK(size == sizeof(data) && offset % 8 == 0);
        char back[1001];
        CHECK(pread(with, back, sizeof(back), (off_t)offset) == (ssize_t)sizeof(back));
        CHECK(memcmp(back, data, sizeof(back)) == 0);
        CHECK(runs(with));
        /* Replaced, not added; the old bytes do not stay. */
        REQUIRE(fmt_elf_with_section(with, ".xaas.test", "ab", 2, other) == 0);
        REQUIRE(fmt_elf_find_section(other, ".xaas.test", &offset, &size) == 0);
        CHECK(size == 2 && size_of(other) < size_of(with) - 900);
        CHECK(runs(other));
        REQUIRE(fmt_elf_without_section(other, ".xaas.test", false, without) == 0);
        CHECK(fmt_elf_find_section(without, ".xaas.test", &offset, &size) == -ENOENT);
        CHECK(runs(without));
}

static void test_stripping_debug_information(void)
{
        _cleanup_close_ int fd = own_file(), stripped = memory_file(), same = memory_file();
        uint64_t offset = 0, size = 0;
        REQUIRE(fmt_elf_without_section(fd, ".nowhere", false, same) == 0);
        CHECK(size_of(same) == size_of(fd));
        REQUIRE(fmt_elf_without_section(fd, ".nowhere", true, stripped) == 0);
        CHECK(fmt_elf_find_section(stripped, ".debug_info", &offset, &size) == -ENOENT);
        CHECK(fmt_elf_find_section(stripped, ".text", &offset, &size) == 0);
        CHECK(runs(stripped));
        if (fmt_elf_find_section(fd, ".debug_info", &offset, &size) == 0)
                CHECK(size_of(stripped) < size_of(fd));
}

/* A loader must find every byte of every segment where it was. */
static void test_segments_stay_in_place(void)
{
        _cleanup_close_ int fd = own_file(), with = memory_file();
        Elf64_Ehdr header;
        REQUIRE(fmt_elf_with_section(fd, ".xaas.test", "data", 4, with) == 0);
        REQUIRE(pread(fd, &header, sizeof(header), 0) == sizeof(header));
        for (unsigned i = 0; i < header.e_phnum; i++) {
                Elf64_Phdr a, b;
                off_t at = (off_t)(header.e_phoff + i * sizeof(a));
                REQUIRE(pread(fd, &a, sizeof(a), at) == sizeof(a));
                REQUIRE(pread(with, &b, sizeof(b), at) == sizeof(b));
                CHECK(memcmp(&a, &b, sizeof(a)) == 0);
                _cleanup_free_ char *before = malloc(a.p_filesz + 1);
                _cleanup_free_ char *after = malloc(a.p_filesz + 1);
                REQUIRE(before && after);
                size_t skip = a.p_offset == 0 ? sizeof(header) : 0; /* e_shoff changes */
                if (a.p_filesz <= skip)
                        continue;
                size_t size = a.p_filesz - skip;
                REQUIRE(pread(fd, before, size, (off_t)(a.p_offset + skip)) == (ssize_t)size);
                REQUIRE(pread(with, after, size, (off_t)(a.p_offset + skip)) == (ssize_t)size);
                CHECK(memcmp(before, after, size) == 0);
        }
}

static bool lists(char *const *names, const char *wanted)
{
        for (; *names; names++)
                if (strcmp(*names, wanted) == 0)
                        return true;
        return false;
}

/* Copies of libc's variables and what the linker makes up are nobody's exports. */
static void test_exports_of_a_program(void)
{
        _cleanup_close_ int fd = own_file();
        char **names = NULL;
        REQUIRE(fmt_elf_exports(fd, true, &names) == 0);
        for (char **name = names; *name; name++)
                CHECK(strncmp(*name, "stderr", 6) != 0 && strcmp(*name, "_end") != 0 &&
                        strcmp(*name, "__bss_start") != 0);
        fmt_strings_free(names);
}

static void test_stub_of_libc(void)
{
        Dl_info libc;
        REQUIRE(dladdr((void *)(uintptr_t)&gnu_get_libc_version, &libc) != 0);
        _cleanup_close_ int fd = open(libc.dli_fname, O_RDONLY | O_CLOEXEC);
        _cleanup_close_ int again = memory_file();
        _cleanup_free_ void *data = NULL, *second = NULL;
        size_t size = 0, second_size = 0;
        REQUIRE(fmt_elf_stub(fd, NULL, &data, &size) == 0);
        REQUIRE(fmt_elf_stub(fd, NULL, &second, &second_size) == 0);
        CHECK(size == second_size && memcmp(data, second, size) == 0);
        CHECK((off_t)size < size_of(fd) / 4);
        REQUIRE(write(again, data, size) == (ssize_t)size);
        char **real = NULL, **stub = NULL;
        REQUIRE(fmt_elf_exports(fd, true, &real) == 0);
        REQUIRE(fmt_elf_exports(again, true, &stub) == 0);
        CHECK(fmt_strings_count(real) == fmt_strings_count(stub));
        CHECK(fmt_strings_count(stub) > 1000);
        CHECK(lists(stub, "printf@@GLIBC_2.2.5") && lists(stub, "memcpy@@GLIBC_2.14") &&
                lists(stub, "memcpy@GLIBC_2.2.5") && !lists(stub, "memcpy@@GLIBC_2.2.5"));
        for (size_t i = 0; real[i] && stub[i]; i++)
                CHECK(strcmp(real[i], stub[i]) == 0);
        fmt_strings_free(real);
        fmt_strings_free(stub);
        free(second);
        second = NULL;
        CHECK(fmt_elf_stub(again, "other.so", &second, &second_size) == 0);
        _cleanup_close_ int own = own_file();
        _cleanup_free_ void *of_object = NULL;
        CHECK(fmt_elf_with_section(own, "x", "y", 1, again) == 0);
}

/* Whatever a damaged file says, no function crashes (or reads out of bounds: sanitizers look). */
static void test_damage(uint64_t seed)
{
        _cleanup_close_ int fd = own_file();
        off_t size = size_of(fd);
        _cleanup_free_ char *bytes = malloc((size_t)size);
        REQUIRE(bytes && pread(fd, bytes, (size_t)size, 0) == size);
        Elf64_Ehdr header;
        memcpy(&header, bytes, sizeof(header));
        for (unsigned round = 0; round < 60; round++) {
                _cleanup_close_ int damaged = memory_file(), out = memory_file();
                REQUIRE(write(damaged, bytes, (size_t)size) == size);
                for (unsigned i = 0; i < 1 + round % 8; i++) {
                        uint64_t random = unit_random(&seed);
                        uint64_t table = header.e_shnum * sizeof(Elf64_Shdr);
                        off_t at = random % 3 == 0 ? (off_t)(unit_random(&seed) % 0x800)
                                   : random % 3 == 1
                                           ? (off_t)(header.e_shoff + unit_random(&seed) % table)
                                           : (off_t)(unit_random(&seed) % (uint64_t)size);
                        unsigned char byte = (unsigned char)unit_random(&seed);
                        REQUIRE(pwrite(damaged, &byte, 1, at) == 1);
                }
                struct fmt_elf_facts facts;
                _cleanup_free_ void *stub = NULL;
                size_t stub_size = 0;
                char **names = NULL;
                if (fmt_elf_read(damaged, &facts) == 0)
                        fmt_elf_facts_done(&facts);
                if (fmt_elf_exports(damaged, true, &names) == 0)
                        fmt_strings_free(names);
                fmt_elf_stub(damaged, "x.so", &stub, &stub_size);
                fmt_elf_with_section(damaged, ".xaas.test", "data", 4, out);
                fmt_elf_without_section(damaged, ".comment", true, out);
        }
}

int main(int argc, char **argv)
{
        if (argc > 1 && strcmp(argv[1], "--end") == 0)
                return 7;
        test_facts();
        test_what_is_no_elf();
        test_a_section_comes_and_goes();
        test_stripping_debug_information();
        test_segments_stay_in_place();
        test_exports_of_a_program();
        test_stub_of_libc();
        test_damage(unit_seed());
        return unit_report();
}
