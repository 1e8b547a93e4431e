/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions beyond a target are found, wherever they hide; those of native inputs and those
 * that a module asked for are not held against it; a damaged file is refused, not followed. */
#include "fmt_cleanup.h"
#include "jit_check_code.h"
#include "jit_link_map.h"
#include "unit_check.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const char baseline[] = "+cx16,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt";

/* Assembles TEXT into a shared library and returns a descriptor of it. */
static int assemble(const char *text)
{
        char folder[] = "/tmp/xaasfs-check-XXXXXX", command[512], path[64];
        REQUIRE(mkdtemp(folder));
        snprintf(path, sizeof path, "%s/x.s", folder);
        FILE *file = fopen(path, "w");
        REQUIRE(file && fputs(text, file) >= 0 && fclose(file) == 0);
        snprintf(command, sizeof command,
                "cd %s && clang-19 -c x.s && ld.lld-19 -shared x.o -o x.so", folder);
        REQUIRE(system(command) == 0);
        snprintf(path, sizeof path, "%s/x.so", folder);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        REQUIRE(fd >= 0);
        snprintf(command, sizeof command, "rm -rf %s", folder);
        REQUIRE(system(command) == 0);
        return fd;
}

/* INSTRUCTION needs FEATURE (NULL: nothing beyond the baseline). */
static void expect_need(const char *instruction, const char *feature)
{
        char text[256];
        struct jit_code_finding finding;
        snprintf(text, sizeof text, ".text\n.globl f\nf:\n nop\n %s\n ret\n", instruction);
        _cleanup_close_ int fd = assemble(text);
        int r = jit_check_code(fd, baseline, NULL, 0, &finding);
        if (r != (feature != NULL) || (feature && strcmp(finding.feature, feature) != 0)) {
                fprintf(stderr, "%s: %d, needs %s, expected %s\n", instruction, r,
                        r ? finding.feature : "nothing", feature ? feature : "nothing");
                exit(1);
        }
        if (!feature)
                return;
        _cleanup_free_ char *allowed = NULL;
        REQUIRE(asprintf(&allowed, "%s,+avx,+avx2,+avx512f,+avx512vl,+%s", baseline, feature) > 0);
        REQUIRE(jit_check_code(fd, allowed, NULL, 0, &finding) == 0);
        REQUIRE(finding.swept > 0 && finding.not_decodable == 0);
        /* What is taken away later in the list is away. */
        _cleanup_free_ char *denied = NULL;
        REQUIRE(asprintf(&denied, "%s,-%s", allowed, feature) > 0);
        REQUIRE(jit_check_code(fd, denied, NULL, 0, &finding) == 1);
}

static void test_instructions(void)
{
        expect_need("addsd %xmm1, %xmm2", NULL);
        expect_need("pshufb %xmm1, %xmm2", NULL);
        expect_need("popcnt %rax, %rcx", NULL);
        expect_need("rep bsf %rax, %rcx", NULL);
        expect_need("rdtsc", NULL);
        expect_need("endbr64", NULL);
        expect_need("vaddpd %ymm0, %ymm1, %ymm2", "avx");
        expect_need("vpaddd %ymm0, %ymm1, %ymm2", "avx2");
        expect_need("vfmadd231pd %ymm0, %ymm1, %ymm2", "fma");
        expect_need("vcvtph2ps %xmm0, %ymm1", "f16c");
        expect_need("andn %rax, %rbx, %rcx", "bmi");
        expect_need("shlx %rax, %rbx, %rcx", "bmi2");
        expect_need("lzcnt %rax, %rcx", "lzcnt");
        expect_need("movbe (%rax), %ecx", "movbe");
        expect_need("vpaddb %zmm0, %zmm1, %zmm2", "avx512bw");
        expect_need("vpopcntq %zmm0, %zmm1", "avx512vpopcntdq");
        expect_need("vpdpbusd %zmm0, %zmm1, %zmm2", "avx512vnni");
        expect_need("gf2p8mulb %xmm0, %xmm1", "gfni");
}

static const char two_functions[] = ".text\n.globl f,g\n"
                                    "f: nop\n ret\n .p2align 4\n"
                                    "g: vpaddd %ymm0, %ymm1, %ymm2\n ret\n";

/* Where g begins: the second half of .text, which is 16 bytes behind its start. */
static uint64_t text_address(int fd)
{
        struct stat st;
        REQUIRE(fstat(fd, &st) == 0);
        char *image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        REQUIRE(image != MAP_FAILED);
        const Elf64_Ehdr *header = (const void *)image;
        const Elf64_Shdr *sections = (const void *)(image + header->e_shoff);
        uint64_t address = 0;
        for (size_t i = 0; i < header->e_shnum; i++)
                if (sections[i].sh_flags & SHF_EXECINSTR)
                        address = sections[i].sh_addr;
        munmap(image, (size_t)st.st_size);
        return address;
}

static void test_ranges(void)
{
        _cleanup_close_ int fd = assemble(two_functions);
        uint64_t text = text_address(fd);
        struct jit_code_range ranges[] = {{.start = text, .end = text + 16, .origin = "f.c"},
                {.start = text + 16, .end = text + 64, .origin = "g.c"}};
        struct jit_code_finding finding;
        REQUIRE(jit_check_code(fd, baseline, ranges, 2, &finding) == 1);
        REQUIRE(strcmp(finding.origin, "g.c") == 0 && finding.address == text + 16);
        ranges[1].features = "+avx,+avx2";
        REQUIRE(jit_check_code(fd, baseline, ranges, 2, &finding) == 0);
        ranges[1].features = NULL;
        ranges[1].is_native = true;
        REQUIRE(jit_check_code(fd, baseline, ranges, 2, &finding) == 0);
        ranges[1].is_native = false;
        ranges[0].is_native = true;
        REQUIRE(jit_check_code(fd, baseline, ranges, 2, &finding) == 1);
        REQUIRE(jit_check_code(fd, baseline, ranges, 1, &finding) == 1 && !finding.origin);
}

/* Every header byte changed, every truncation: an answer, and no access outside of the file. */
static void test_damage(void)
{
        _cleanup_close_ int fd = assemble(two_functions);
        struct stat st;
        struct jit_code_finding finding;
        REQUIRE(fstat(fd, &st) == 0);
        for (off_t i = 0; i < st.st_size; i++) {
                uint8_t byte, changed;
                REQUIRE(pread(fd, &byte, 1, i) == 1);
                for (unsigned bit = 0; bit < 8; bit += 7) {
                        changed = byte ^ (uint8_t)(1u << bit);
                        REQUIRE(pwrite(fd, &changed, 1, i) == 1);
                        (void)jit_check_code(fd, baseline, NULL, 0, &finding);
                }
                REQUIRE(pwrite(fd, &byte, 1, i) == 1);
        }
        for (off_t size = st.st_size - 1; size >= 0; size--) {
                REQUIRE(ftruncate(fd, size) == 0);
                REQUIRE(jit_check_code(fd, baseline, NULL, 0, &finding) == -EBADMSG);
        }
}

static void test_map(void)
{
        char text[] =
                "             VMA              LMA     Size Align Out     In      Symbol\n"
                "            16b0             16b0       7d    16 .text\n"
                "            16b0             16b0       22    16         "
                "/proc/self/fd/4(crt1.o):(.text)\n"
                "            16b0             16b0       22     1                 _start\n"
                "            16e0             16e0       10    16         "
                "/proc/self/fd/-.lto.4(src\1wide.c at 5636).o:(.text.f)\n"
                "            16f0             16f0        8    16         "
                "/proc/self/fd/-.lto.4(plain.c at 9208).o:(.text.g)\n"
                "            1700             1700        8    16         "
                "/proc/self/fd/-.lto.4(libx.a(wide.o) at 12000).o:(.text.h)\n"
                "            1710             1710        8    16         "
                "/proc/self/fd/9(libx.a(asm.o)):(.text)\n"
                "            1720             1720        8    16         <internal>:(.plt)\n";
        struct fmt_input inputs[] = {{.kind = FMT_INPUT_MODULE, .name = (char *)"src/wide.c"},
                {.kind = FMT_INPUT_MODULE, .name = (char *)"libx.a(wide.o)"},
                {.kind = FMT_INPUT_MODULE, .name = (char *)"plain.c"}};
        inputs[0].module.extras = (char *)"+avx2";
        inputs[1].module.extras = (char *)"+fma";
        struct fmt_variant variant = {.inputs = inputs, .n_inputs = 3};
        struct jit_link_map map;
        REQUIRE(jit_link_map_parse(text, strlen(text), &variant, &map) == 0);
        REQUIRE(map.n == 6);
        const struct jit_code_range *range = map.ranges;
        REQUIRE(range[0].is_native && range[0].start == 0x16b0 && range[0].end == 0x16d2);
        REQUIRE(strcmp(range[0].origin, "crt1.o") == 0);
        REQUIRE(!range[1].is_native && strcmp(range[1].origin, "src/wide.c") == 0);
        REQUIRE(range[1].features && strcmp(range[1].features, "+avx2") == 0);
        REQUIRE(!range[2].is_native && !range[2].features);
        REQUIRE(!range[3].is_native && range[3].features && strcmp(range[3].features, "+fma") == 0);
        REQUIRE(strcmp(range[3].origin, "libx.a(wide.o)") == 0);
        REQUIRE(range[4].is_native && strcmp(range[4].origin, "libx.a(asm.o)") == 0);
        REQUIRE(!range[5].is_native && !range[5].features);
        jit_link_map_done(&map);
}

int main(void)
{
        if (system("command -v clang-19 ld.lld-19 >/dev/null") != 0) {
                printf("clang-19 and ld.lld-19 are not installed\n");
                return 77;
        }
        test_instructions();
        test_ranges();
        test_damage();
        test_map();
        return 0;
}
