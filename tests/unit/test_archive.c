/* SPDX-License-Identifier: Apache-2.0 */
/* Archives come back as they were written, llvm-ar reads them too, and damaged ones are refused. */
#include "fmt_cleanup.h"
#include "jit_archive.h"
#include "unit_check.h"

#include <string.h>
#include <sys/mman.h>

static const char *const names[] = {"crt1.o", "a name of more than fifteen bytes.c", "src/force.c",
        "libfoo.a(bar.o)", "exactly15bytes.", "sixteen bytes...", "two\nlines"};
static const char *const contents[] = {"one", "", "odd", "even", "x", "yy", "zzz"};
#define N_MEMBERS (sizeof names / sizeof names[0])

static size_t write_archive(int fd)
{
        struct jit_archive_writer *writer;
        REQUIRE(jit_archive_begin(fd, names, N_MEMBERS, &writer) == 0);
        for (size_t i = 0; i < N_MEMBERS; i++)
                REQUIRE(jit_archive_append(writer, contents[i], strlen(contents[i])) == 0);
        REQUIRE(jit_archive_append(writer, "", 0) == -EINVAL);
        REQUIRE(jit_archive_end(writer) == 0);
        return (size_t)lseek(fd, 0, SEEK_CUR);
}

static void test_round_trip(const char *archive, size_t size)
{
        struct jit_archive_member member;
        size_t cursor = 0;
        for (size_t i = 0; i < N_MEMBERS; i++) {
                _cleanup_free_ char *expected = strdup(names[i]);
                for (char *c = expected; (c = strchr(c, '\n'));)
                        *c = '?';
                REQUIRE(jit_archive_next(archive, size, &cursor, &member) == 1);
                _cleanup_free_ char *name = strndup(member.name, member.name_size);
                REQUIRE(!strchr(name, '/'));
                jit_archive_restore_slashes(name);
                REQUIRE(strcmp(name, expected) == 0);
                REQUIRE(member.size == strlen(contents[i]));
                REQUIRE(memcmp(member.data, contents[i], member.size) == 0);
        }
        REQUIRE(jit_archive_next(archive, size, &cursor, &member) == 0);
}

static void test_llvm_reads_it(int fd)
{
        char command[128], line[256];
        size_t n = 0;
        snprintf(command, sizeof command, "llvm-ar-19 t /proc/%d/fd/%d", (int)getpid(), fd);
        FILE *pipe = popen(command, "r");
        REQUIRE(pipe);
        while (fgets(line, sizeof line, pipe)) {
                line[strcspn(line, "\n")] = '\0';
                jit_archive_restore_slashes(line);
                REQUIRE(n < N_MEMBERS && (strcmp(line, names[n]) == 0 || strchr(names[n], '\n')));
                n++;
        }
        REQUIRE(pclose(pipe) == 0 && n == N_MEMBERS);
}

/* Every truncation and every single changed byte either reads as something or is refused; what
 * is returned lies inside. */
static void test_damage(const char *archive, size_t size)
{
        _cleanup_free_ char *copy = malloc(size);
        for (size_t i = 0; i < 2 * size; i++) {
                struct jit_archive_member member;
                size_t length = i < size ? i : size, cursor = 0;
                memcpy(copy, archive, size);
                if (i >= size)
                        copy[i - size] ^= 0x15;
                while (jit_archive_next(copy, length, &cursor, &member) > 0) {
                        const char *data = member.data;
                        REQUIRE(data >= copy && member.size <= (size_t)(copy + length - data));
                        REQUIRE(member.name >= copy &&
                                member.name_size <= (size_t)(copy + length - member.name));
                        REQUIRE(cursor <= length);
                }
        }
}

int main(void)
{
        int fd = memfd_create("archive", 0);
        size_t size = write_archive(fd);
        char *archive = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
        REQUIRE(archive != MAP_FAILED);
        test_round_trip(archive, size);
        test_llvm_reads_it(fd);
        test_damage(archive, size);
        struct jit_archive_writer *writer;
        REQUIRE(jit_archive_begin(fd, names, N_MEMBERS, &writer) == 0);
        REQUIRE(jit_archive_end(writer) == -EINVAL);
        return 0;
}
