/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded machines: what is found on each of them, and why the rest is not. */
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "jit_machine.h"
#include "unit_check.h"

#include <dirent.h>
#include <string.h>

static const struct {
        const char *name;     /* tests/machines/NAME.machine */
        const char *tune;     /* the model that its code is scheduled for */
        const char *expected; /* "+a,-b" */
        const char *lacking;  /* all features of the model that the machine has not */
} machines[] = {
        {"haswell", "haswell",
                "+64bit,+avx2,+fma,+bmi,+bmi2,+lzcnt,+movbe,+crc32,+rdrnd,+f16c,+xsaveopt,+ermsb,-"
                "fsrm,-avx512f,-evex512,-rdseed,-adx,-rtm,-sha,-xsavec,-sse4a,-prfchw,-aes",
                ""},
        {"haswell-guest-no-avx", "haswell",
                "+sse4.2,+bmi2,+lzcnt,+movbe,-avx,-avx2,-fma,-f16c,-xsave,-xsaveopt,-vaes",
                "+avx,+avx2,+f16c,+fma,+xsave,+xsaveopt"},
        {"skylake-x", "skylake-avx512",
                "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd,+evex512,+clwb,+adx,+rtm,-"
                "avx512vnni,-ptwrite,-sgx,-avx512ifma,-xsaves",
                "+pku,+xsaves"},
        {"skylake-x-guest-no-avx512", "skylake",
                "+avx2,+fma,+clwb,-avx512f,-avx512vl,-evex512,-avx512bw", "+sgx"},
        {"skylake-x-not-saved", "skylake",
                "+avx2,+fma,-avx512f,-avx512vl,-evex512,-avx512dq,-avx512cd", "+sgx"},
        {"ice-lake", "icelake-server",
                "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd,+evex512,+avx512vbmi2,+"
                "avx512vnni,+gfni,+vaes,+vpclmulqdq,+sha,-avx512bf16,-avxvnni,-amx-tile",
                "+pku"},
        {"sapphire-rapids", "sapphirerapids",
                "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd,+evex512,+avx512fp16,+avx512bf16,"
                "+avxvnni,+amx-tile,+amx-int8,+serialize,-rtm,-avxifma,-amx-fp16",
                "+pku,+sgx,+shstk"},
        {"sapphire-rapids-guest", "sapphirerapids",
                "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd,+evex512,+avx512fp16,+avx512bf16,"
                "+avxvnni,+amx-tile,+amx-int8,-enqcmd,-ptwrite",
                "+enqcmd,+pconfig,+pku,+ptwrite,+sgx,+shstk,+tsxldtrk,+uintr,+waitpkg"},
        {"knights-landing", "knl", "+avx512f,+avx512cd,+evex512,-avx512vl,-avx512bw,-avx512dq",
                "+invpcid"},
        {"zen2", "znver2",
                "+avx2,+clzero,+rdpru,+wbnoinvd,+sha,+sse4a,+rdpid,+clwb,+mwaitx,+prfchw,-avx512f,-"
                "xop,-fma4,-tbm,-vaes,-invpcid",
                ""},
        {"zen3", "znver3", "+avx2,+vaes,+vpclmulqdq,+invpcid,-avx512f,-rdpru,-fsrm,-gfni",
                "+pku,+rdpru"},
        {"zen4", "znver4",
                "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd,+evex512,+avx512bf16,+"
                "avx512vbmi2,+avx512vpopcntdq,+gfni,+vaes,-avxvnni,-avx512fp16,-avx512vp2intersect",
                "+pku,+rdpru,+shstk"},
        {"zen5", "znver5",
                "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd,+evex512,+avx512vp2intersect,+"
                "avxvnni,+avx512bf16,+movdiri,+shstk,-avx512fp16",
                "+pku,+prefetchi"},
        {"zen5-guest", "znver5",
                "+avx512f,+avx512vl,+avx512bw,+avx512dq,+avx512cd,+evex512,+avx512vp2intersect,+"
                "avxvnni,+avx512bf16,+fsrm,-rdseed,-shstk,-rdpru",
                "+movdir64b,+movdiri,+mwaitx,+pku,+prefetchi,+rdpru,+rdseed,+shstk,+wbnoinvd"},
        {"neoverse-n1", "neoverse-n1", "+lse,+dotprod,+fullfp16,+rcpc,+aes,-sve,-lse2,-bf16", ""},
        {"neoverse-v1", "neoverse-v1", "+sve,+bf16,+i8mm,+lse2,+rand,+pauth,-sve2,-mte,-bti", ""},
        {"grace", "neoverse-v2", "+sve2,+sve2-bitperm,+sve2-aes,+sha3,-pauth,-bti,-mte,-rand",
                "+bti,+mte,+pauth,+rand"},
        {"a64fx", "a64fx", "+sve,+complxnum,+fullfp16,+sha2,-aes,-dotprod,-rcpc,-sve2", "+aes"},
        {"ampere1a", "ampere1a", "+sm4,+bf16,+i8mm,+bti,+rand,-sve,-mte", "+mte"},
        {"thunderx2", "thunderx2t99", "+lse,+rdm,+aes,-fullfp16,-dotprod,-sve", ""},
        {"apple-m1", "apple-a14", "+altnzcv,+fptoint,+sha3,+pauth,-sve,-bti,-bf16", ""},
        {"rk3588", "cortex-a76", "+dotprod,+rcpc,-ssbs,-sve", "+ssbs"},
};

#define N_MACHINES (sizeof(machines) / sizeof(machines[0]))

static const char *path_of(const char *name)
{
        static char path[400];

        snprintf(path, sizeof(path), "%s/tests/machines/%s.machine", getenv("XAASFS_SOURCE"), name);
        return path;
}

static void load(const char *path, struct jit_machine *ret)
{
        _cleanup_free_ char *reason = NULL;
        int r = jit_machine_load(path, ret, &reason);

        if (r < 0)
                fprintf(stderr, "%s: %s\n", path, reason ? reason : strerror(-r));
        REQUIRE(r == 0);
}

static void detect(const char *name, struct jit_detection *ret)
{
        struct jit_machine machine;

        load(path_of(name), &machine);
        jit_machine_detect(&machine, ret);
        jit_machine_done(&machine);
}

static size_t number_of(const struct jit_detection *found, const char *name, size_t size)
{
        int number = jit_feature_find(found->architecture, name, size);

        if (number < 0)
                fprintf(stderr, "there is no feature %.*s\n", (int)size, name);
        REQUIRE(number >= 0);
        return (size_t)number;
}

static void check_machine(
        const char *name, const char *tune, const char *expected, const char *lacking)
{
        struct jit_detection found;
        const char *feature;
        size_t size;
        char sign;

        detect(name, &found);
        while (jit_feature_next(&expected, &sign, &feature, &size)) {
                size_t number = number_of(&found, feature, size);
                if (jit_feature_in(&found.has, number) == (sign == '+'))
                        continue;
                fprintf(stderr, "%s: not %c%.*s\n", name, sign, (int)size, feature);
                CHECK(!"feature");
        }
        _cleanup_free_ char *lacks =
                jit_features_format(found.architecture, &found.tuning.lacking, false);
        if (!strcmp(found.tuning.name, tune) && !strcmp(lacks, lacking))
                return;
        fprintf(stderr, "%s: tuned for %s, of which it has not %s\n", name, found.tuning.name,
                lacks);
        CHECK(!"tuning");
}

static void test_recorded(void)
{
        struct dirent *entry;
        size_t n = 0;

        for (size_t i = 0; i < N_MACHINES; i++)
                check_machine(machines[i].name, machines[i].tune, machines[i].expected,
                        machines[i].lacking);
        /* None is forgotten in the table. */
        char folder[400];
        snprintf(folder, sizeof(folder), "%s/tests/machines", getenv("XAASFS_SOURCE"));
        DIR *dir = opendir(folder);
        REQUIRE(dir);
        while ((entry = readdir(dir)))
                n += strstr(entry->d_name, ".machine") != NULL;
        closedir(dir);
        CHECK(n == N_MACHINES);
}

static void check_why(const char *name, const char *feature, const char *expected)
{
        struct jit_detection found;

        detect(name, &found);
        size_t number = number_of(&found, feature, strlen(feature));
        _cleanup_free_ char *why = jit_detection_why(&found, number);
        if (!strcmp(why, expected))
                return;
        fprintf(stderr, "%s: %s: %s\n", name, feature, why);
        CHECK(!"why");
}

static void test_why(void)
{
        check_why("skylake-x-not-saved", "avx512f",
                "cpuid shows it, but the system does not save its registers (xgetbv)");
        check_why("zen5-guest", "rdseed", "cpuid shows it, but /proc/cpuinfo does not list rdseed");
        check_why("skylake-x-guest-no-avx512", "avx512f", "cpuid does not show it");
        check_why("haswell", "avx2", "it is here");
        check_why("a64fx", "aes", "the kernel does not list aes pmull");
        check_why("grace", "ls64",
                "it is never taken from a machine: LLVM 19 has it as an experiment, or Linux does "
                "not show it");
}

/* FMA without AVX: somebody masked half of what belongs together. */
static void test_half_masked(void)
{
        struct jit_detection found;
        struct jit_machine machine;

        load(path_of("haswell"), &machine);
        for (size_t i = 0; i < machine.x86.n_leaves; i++) {
                if (machine.x86.leaves[i].leaf == 1)
                        machine.x86.leaves[i].ecx &= ~(1U << 28);
        }
        jit_machine_detect(&machine, &found);
        jit_machine_done(&machine);
        size_t fma = number_of(&found, "fma", 3);
        _cleanup_free_ char *why = jit_detection_why(&found, fma);
        CHECK(!jit_feature_in(&found.has, fma) && jit_detection_left_out(&found, fma));
        CHECK(!strcmp(why, "cpuid shows it, but avx, which it implies, is not here"));
}

/* A core that is too new for the table: its features decide. */
static void test_unknown_core(void)
{
        struct jit_detection found;
        struct jit_machine machine;

        load(path_of("neoverse-v1"), &machine);
        machine.aarch64.kinds[0].midr = 0x410fdff0;
        jit_machine_detect(&machine, &found);
        CHECK(!found.is_identified && !strcmp(found.tuning.name, "neoverse-v1"));
        CHECK(found.next.name && strcmp(found.next.name, "neoverse-v1"));
        jit_machine_done(&machine);
}

/* Four small cores and six big ones, as an old kernel shows them. */
static void test_cpuinfo(void)
{
        static const char core[] = "processor\t: 0\nBogoMIPS\t: 48.00\nFeatures\t: fp asimd\n"
                                   "CPU implementer\t: 0x41\nCPU architecture: 8\n"
                                   "CPU variant\t: 0x%d\nCPU part\t: 0x%s\nCPU revision\t: 1\n\n";
        char text[4096];
        size_t size = 0;

        for (int i = 0; i < 10; i++)
                size += (size_t)snprintf(text + size, sizeof(text) - size, core, i < 4 ? 0 : 3,
                        i < 4 ? "d03" : "d0c");
        struct jit_aarch64_raw raw = {0};
        _cleanup_fclose_ FILE *cpuinfo = fmemopen(text, size, "r");
        REQUIRE(cpuinfo);
        jit_aarch64_read_cpuinfo(cpuinfo, &raw);
        CHECK(raw.n_kinds == 2 && raw.kinds[0].n == 4 && raw.kinds[1].n == 6);
        CHECK(raw.kinds[0].midr == 0x410fd031 && raw.kinds[1].midr == 0x413fd0c1);
        struct jit_detection found;
        jit_aarch64_detect(&raw, &found);
        CHECK(found.is_identified && !strcmp(found.tuning.name, "neoverse-n1"));
}

/* ---- the file format ---- */

static void test_printed_and_read_back(void)
{
        for (size_t i = 0; i < N_MACHINES; i++) {
                char path[] = "/tmp/test_machines_XXXXXX";
                struct jit_machine machine, again;
                struct jit_detection found, found_again;
                int fd = mkstemp(path);
                FILE *file = fdopen(fd, "w");
                REQUIRE(file);
                load(path_of(machines[i].name), &machine);
                jit_machine_print(&machine, file);
                REQUIRE(fclose(file) == 0);
                load(path, &again);
                jit_machine_detect(&machine, &found);
                jit_machine_detect(&again, &found_again);
                CHECK(!memcmp(&found.has, &found_again.has, sizeof(found.has)));
                CHECK(!strcmp(found.tuning.name, found_again.tuning.name));
                CHECK(!machine.name == !again.name);
                CHECK(!machine.name || !strcmp(machine.name, again.name));
                jit_machine_done(&machine);
                jit_machine_done(&again);
                remove(path);
        }
}

static void check_refused(const char *text, const char *expected)
{
        char path[] = "/tmp/test_machines_XXXXXX";
        struct jit_machine machine;
        char *reason = NULL;
        int fd = mkstemp(path);
        FILE *file = fdopen(fd, "w");

        REQUIRE(file && fputs(text, file) >= 0 && fclose(file) == 0);
        int r = jit_machine_load(path, &machine, &reason);
        if (r != -EBADMSG || strcmp(reason, expected)) {
                fprintf(stderr, "%s: %d, %s\n", text, r, reason ? reason : "no reason");
                CHECK(!"refused");
        }
        free(reason);
        remove(path);
}

static void test_refused(void)
{
        check_refused("", "it is empty");
        check_refused("# nothing\n\n", "it is empty");
        check_refused("xcr0 7\n", "line 1 is not one of a recorded machine");
        check_refused("machine m68k\n", "line 1 is not one of a recorded machine");
        check_refused("machine x86-64\ncpuid 1 0 2\n", "line 2 is not one of a recorded machine");
        check_refused(
                "machine x86-64\ncpuid 1 0 1 2 3 4 5\n", "line 2 is not one of a recorded machine");
        check_refused("machine x86-64\nxcr0 seven\n", "line 2 is not one of a recorded machine");
        check_refused(
                "machine x86-64\ncore 4 410fd030\n", "line 2 is not one of a recorded machine");
        check_refused("machine AArch64\nflags fpu\n", "line 2 is not one of a recorded machine");
        check_refused("machine AArch64\ncore x\n", "line 2 is not one of a recorded machine");
        check_refused("machine x86-64\nname \033[2J\n", "line 2 is not one of a recorded machine");
        char many[4096] = "machine x86-64\n";
        for (int i = 0; i < JIT_CPUID_LEAVES + 1; i++)
                strcat(many, "cpuid 1 0 1 2 3 4\n");
        check_refused(many, "line 26 is not one of a recorded machine");
        CHECK(JIT_CPUID_LEAVES == 24);
        struct jit_machine machine;
        char *reason = NULL;
        CHECK(jit_machine_load("/dev/zero", &machine, &reason) == -E2BIG);
        CHECK(jit_machine_load("/", &machine, &reason) == -EISDIR);
        free(reason);
}

int main(void)
{
        fmt_log_setup("test_machines", FMT_LOG_ERROR);
        test_recorded();
        test_why();
        test_half_masked();
        test_unknown_core();
        test_cpuinfo();
        test_printed_and_read_back();
        test_refused();
        return unit_report();
}
