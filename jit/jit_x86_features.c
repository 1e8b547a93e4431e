/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_x86_features.h"

#include <stdlib.h>
#include <string.h>

/* Names and implications are those of clang 19 (test_host compares them with the compiler itself);
 * features that only some microcode or hypervisor takes back after cpuid have a kernel name, so
 * that the kernel's list can deny them. ermsb and fsrm are never written by clang, but CPU names
 * imply them: they are in here so that a complete feature string gives the same whatever name it
 * stands beside, or LLVM would not inline a function without attributes into one with. */
const struct jit_x86_feature jit_x86_features[] = {
        {"64bit", EXTENDED_1_EDX, 29, STATE_NONE, "lm", false, ""},
        {"adx", LEAF_7_EBX, 19, STATE_NONE, "adx", false, ""},
        {"aes", LEAF_1_ECX, 25, STATE_NONE, "aes", false, "sse2"},
        {"amx-bf16", LEAF_7_EDX, 22, STATE_AMX, "amx_bf16", true, "amx-tile"},
        {"amx-complex", LEAF_7_1_EDX, 8, STATE_AMX, NULL, true, "amx-tile"},
        {"amx-fp16", LEAF_7_1_EAX, 21, STATE_AMX, NULL, true, "amx-tile"},
        {"amx-int8", LEAF_7_EDX, 25, STATE_AMX, "amx_int8", true, "amx-tile"},
        {"amx-tile", LEAF_7_EDX, 24, STATE_AMX, "amx_tile", true, ""},
        {"avx", LEAF_1_ECX, 28, STATE_AVX, "avx", false, "sse4.2 xsave"},
        {"avx10.1-256", NOWHERE, 0, STATE_NONE, NULL, false, ""},
        {"avx10.1-512", NOWHERE, 0, STATE_NONE, NULL, false, "avx10.1-256"},
        {"avx2", LEAF_7_EBX, 5, STATE_AVX, "avx2", false, "avx"},
        {"avx512bf16", LEAF_7_1_EAX, 5, STATE_AVX512, "avx512_bf16", false, "avx512bw"},
        {"avx512bitalg", LEAF_7_ECX, 12, STATE_AVX512, "avx512_bitalg", false, "avx512bw"},
        {"avx512bw", LEAF_7_EBX, 30, STATE_AVX512, "avx512bw", false, "avx512f"},
        {"avx512cd", LEAF_7_EBX, 28, STATE_AVX512, "avx512cd", false, "avx512f"},
        {"avx512dq", LEAF_7_EBX, 17, STATE_AVX512, "avx512dq", false, "avx512f"},
        {"avx512f", LEAF_7_EBX, 16, STATE_AVX512, "avx512f", false, "avx2 evex512 f16c fma"},
        {"avx512fp16", LEAF_7_EDX, 23, STATE_AVX512, "avx512_fp16", false,
                "avx512bw avx512dq avx512vl"},
        {"avx512ifma", LEAF_7_EBX, 21, STATE_AVX512, "avx512ifma", false, "avx512f"},
        {"avx512vbmi", LEAF_7_ECX, 1, STATE_AVX512, "avx512vbmi", false, "avx512bw"},
        {"avx512vbmi2", LEAF_7_ECX, 6, STATE_AVX512, "avx512_vbmi2", false, "avx512bw"},
        {"avx512vl", LEAF_7_EBX, 31, STATE_AVX512, "avx512vl", false, "avx512f"},
        {"avx512vnni", LEAF_7_ECX, 11, STATE_AVX512, "avx512_vnni", false, "avx512f"},
        {"avx512vp2intersect", LEAF_7_EDX, 8, STATE_AVX512, "avx512_vp2intersect", false,
                "avx512f"},
        {"avx512vpopcntdq", LEAF_7_ECX, 14, STATE_AVX512, "avx512_vpopcntdq", false, "avx512f"},
        {"avxifma", LEAF_7_1_EAX, 23, STATE_AVX, NULL, false, "avx2"},
        {"avxneconvert", LEAF_7_1_EDX, 5, STATE_AVX, NULL, false, "avx2"},
        {"avxvnni", LEAF_7_1_EAX, 4, STATE_AVX, "avx_vnni", false, "avx2"},
        {"avxvnniint16", LEAF_7_1_EDX, 10, STATE_AVX, NULL, false, "avx2"},
        {"avxvnniint8", LEAF_7_1_EDX, 4, STATE_AVX, NULL, false, "avx2"},
        {"bmi", LEAF_7_EBX, 3, STATE_NONE, "bmi1", false, ""},
        {"bmi2", LEAF_7_EBX, 8, STATE_NONE, "bmi2", false, ""},
        {"ccmp", NOWHERE, 0, STATE_NONE, NULL, false, ""},
        {"cf", NOWHERE, 0, STATE_NONE, NULL, false, ""},
        {"cldemote", LEAF_7_ECX, 25, STATE_NONE, "cldemote", true, ""},
        {"clflushopt", LEAF_7_EBX, 23, STATE_NONE, "clflushopt", true, ""},
        {"clwb", LEAF_7_EBX, 24, STATE_NONE, "clwb", true, ""},
        {"clzero", EXTENDED_8_EBX, 0, STATE_NONE, "clzero", true, ""},
        {"cmov", LEAF_1_EDX, 15, STATE_NONE, "cmov", false, ""},
        {"cmpccxadd", LEAF_7_1_EAX, 7, STATE_NONE, NULL, false, ""},
        {"crc32", LEAF_1_ECX, 20, STATE_NONE, "sse4_2", false, ""},
        {"cx16", LEAF_1_ECX, 13, STATE_NONE, "cx16", false, ""},
        {"cx8", LEAF_1_EDX, 8, STATE_NONE, "cx8", false, ""},
        {"egpr", NOWHERE, 0, STATE_NONE, NULL, false, ""},
        {"enqcmd", LEAF_7_ECX, 29, STATE_NONE, "enqcmd", true, ""},
        {"ermsb", LEAF_7_EBX, 9, STATE_NONE, "erms", true, ""},
        {"evex512", LEAF_7_EBX, 16, STATE_AVX512, "avx512f", false, ""},
        {"f16c", LEAF_1_ECX, 29, STATE_AVX, "f16c", false, "avx"},
        {"fma", LEAF_1_ECX, 12, STATE_AVX, "fma", false, "avx"},
        {"fma4", EXTENDED_1_ECX, 16, STATE_AVX, "fma4", false, "avx sse4a"},
        {"fsgsbase", LEAF_7_EBX, 0, STATE_NONE, "fsgsbase", true, ""},
        {"fsrm", LEAF_7_EDX, 4, STATE_NONE, "fsrm", true, ""},
        {"fxsr", LEAF_1_EDX, 24, STATE_NONE, "fxsr", false, ""},
        {"gfni", LEAF_7_ECX, 8, STATE_NONE, "gfni", false, "sse2"},
        {"hreset", LEAF_7_1_EAX, 22, STATE_NONE, NULL, true, ""},
        {"invpcid", LEAF_7_EBX, 10, STATE_NONE, "invpcid", true, ""},
        {"kl", LEAF_7_ECX, 23, STATE_NONE, NULL, true, ""},
        {"lwp", EXTENDED_1_ECX, 15, STATE_NONE, "lwp", true, ""},
        {"lzcnt", EXTENDED_1_ECX, 5, STATE_NONE, "abm", false, ""},
        {"mmx", LEAF_1_EDX, 23, STATE_NONE, "mmx", false, ""},
        {"movbe", LEAF_1_ECX, 22, STATE_NONE, "movbe", false, ""},
        {"movdir64b", LEAF_7_ECX, 28, STATE_NONE, "movdir64b", true, ""},
        {"movdiri", LEAF_7_ECX, 27, STATE_NONE, "movdiri", true, ""},
        {"mwaitx", EXTENDED_1_ECX, 29, STATE_NONE, "mwaitx", true, ""},
        {"ndd", NOWHERE, 0, STATE_NONE, NULL, false, ""},
        {"pclmul", LEAF_1_ECX, 1, STATE_NONE, "pclmulqdq", false, "sse2"},
        {"pconfig", LEAF_7_EDX, 18, STATE_NONE, "pconfig", true, ""},
        {"pku", LEAF_7_ECX, 4, STATE_NONE, "ospke", true, ""},
        {"popcnt", LEAF_1_ECX, 23, STATE_NONE, "popcnt", false, ""},
        {"ppx", NOWHERE, 0, STATE_NONE, NULL, false, ""},
        {"prefetchi", LEAF_7_1_EDX, 14, STATE_NONE, NULL, true, ""},
        {"prfchw", EXTENDED_1_ECX, 8, STATE_NONE, "3dnowprefetch", false, ""},
        {"ptwrite", LEAF_14_EBX, 4, STATE_NONE, NULL, true, ""},
        {"push2pop2", NOWHERE, 0, STATE_NONE, NULL, false, ""},
        {"raoint", LEAF_7_1_EAX, 3, STATE_NONE, NULL, false, ""},
        {"rdpid", LEAF_7_ECX, 22, STATE_NONE, "rdpid", true, ""},
        {"rdpru", EXTENDED_8_EBX, 4, STATE_NONE, "rdpru", true, ""},
        {"rdrnd", LEAF_1_ECX, 30, STATE_NONE, "rdrand", true, ""},
        {"rdseed", LEAF_7_EBX, 18, STATE_NONE, "rdseed", true, ""},
        {"rtm", LEAF_7_EBX, 11, STATE_NONE, "rtm", true, ""},
        {"sahf", EXTENDED_1_ECX, 0, STATE_NONE, "lahf_lm", false, ""},
        {"serialize", LEAF_7_EDX, 14, STATE_NONE, "serialize", true, ""},
        {"sgx", LEAF_7_EBX, 2, STATE_NONE, "sgx", true, ""},
        {"sha", LEAF_7_EBX, 29, STATE_NONE, "sha_ni", false, "sse2"},
        {"sha512", LEAF_7_1_EAX, 0, STATE_AVX, NULL, false, "avx2"},
        {"shstk", LEAF_7_ECX, 7, STATE_NONE, "user_shstk", true, ""},
        {"sm3", LEAF_7_1_EAX, 1, STATE_AVX, NULL, false, "avx"},
        {"sm4", LEAF_7_1_EAX, 2, STATE_AVX, NULL, false, "avx2"},
        {"sse", LEAF_1_EDX, 25, STATE_NONE, "sse", false, ""},
        {"sse2", LEAF_1_EDX, 26, STATE_NONE, "sse2", false, "sse"},
        {"sse3", LEAF_1_ECX, 0, STATE_NONE, "pni", false, "sse2"},
        {"sse4.1", LEAF_1_ECX, 19, STATE_NONE, "sse4_1", false, "ssse3"},
        {"sse4.2", LEAF_1_ECX, 20, STATE_NONE, "sse4_2", false, "crc32 popcnt sse4.1"},
        {"sse4a", EXTENDED_1_ECX, 6, STATE_NONE, "sse4a", false, "sse3"},
        {"ssse3", LEAF_1_ECX, 9, STATE_NONE, "ssse3", false, "sse3"},
        {"tbm", EXTENDED_1_ECX, 21, STATE_NONE, "tbm", false, ""},
        {"tsxldtrk", LEAF_7_EDX, 16, STATE_NONE, "tsxldtrk", true, ""},
        {"uintr", LEAF_7_EDX, 5, STATE_NONE, NULL, true, ""},
        {"usermsr", LEAF_7_1_EDX, 15, STATE_NONE, NULL, true, ""},
        {"vaes", LEAF_7_ECX, 9, STATE_AVX, "vaes", false, "aes avx2"},
        {"vpclmulqdq", LEAF_7_ECX, 10, STATE_AVX, "vpclmulqdq", false, "avx pclmul"},
        {"waitpkg", LEAF_7_ECX, 5, STATE_NONE, "waitpkg", true, ""},
        {"wbnoinvd", EXTENDED_8_EBX, 9, STATE_NONE, "wbnoinvd", true, ""},
        {"widekl", LEAF_19_EBX, 2, STATE_NONE, NULL, true, "kl"},
        {"x87", LEAF_1_EDX, 0, STATE_NONE, "fpu", false, ""},
        {"xop", EXTENDED_1_ECX, 11, STATE_AVX, "xop", false, "fma4"},
        {"xsave", LEAF_1_ECX, 26, STATE_AVX, "xsave", true, ""},
        {"xsavec", LEAF_D_1_EAX, 1, STATE_AVX, "xsavec", true, "xsave"},
        {"xsaveopt", LEAF_D_1_EAX, 0, STATE_AVX, "xsaveopt", true, "xsave"},
        {"xsaves", LEAF_D_1_EAX, 3, STATE_AVX, "xsaves", true, "xsave"},
};

const size_t jit_x86_n_features = sizeof(jit_x86_features) / sizeof(jit_x86_features[0]);

_Static_assert(sizeof(jit_x86_features) / sizeof(jit_x86_features[0]) <= JIT_X86_MAX_FEATURES,
        "a set has too few bits");

static int compare(const char *name, size_t size, const char *other)
{
        int r = strncmp(name, other, size);
        return r ? r : -(int)(unsigned char)other[size];
}

int jit_x86_find(const char *name, size_t size)
{
        size_t low = 0;
        size_t high = jit_x86_n_features;

        while (low < high) {
                size_t middle = (low + high) / 2;
                int r = compare(name, size, jit_x86_features[middle].name);
                if (r == 0)
                        return (int)middle;
                if (r < 0)
                        high = middle;
                else
                        low = middle + 1;
        }
        return -1;
}

static bool has_all_implied(const struct jit_x86_set *set, size_t feature)
{
        const char *at = jit_x86_features[feature].implies;

        while (*at) {
                size_t size = strcspn(at, " ");
                int implied = jit_x86_find(at, size);
                if (implied >= 0 && !jit_x86_in(set, (size_t)implied))
                        return false;
                at += size + (at[size] == ' ');
        }
        return true;
}

void jit_x86_settle(struct jit_x86_set *set)
{
        bool changed = true;

        while (changed) {
                changed = false;
                for (size_t i = 0; i < jit_x86_n_features; i++) {
                        if (!jit_x86_in(set, i) || has_all_implied(set, i))
                                continue;
                        jit_x86_put(set, i, false);
                        changed = true;
                }
        }
}

size_t jit_x86_count(const struct jit_x86_set *set)
{
        size_t n = 0;

        for (size_t i = 0; i < sizeof(set->words) / sizeof(set->words[0]); i++)
                n += (size_t)__builtin_popcountll(set->words[i]);
        return n;
}

struct jit_x86_set jit_x86_minus(const struct jit_x86_set *a, const struct jit_x86_set *b)
{
        struct jit_x86_set result;

        for (size_t i = 0; i < sizeof(result.words) / sizeof(result.words[0]); i++)
                result.words[i] = a->words[i] & ~b->words[i];
        return result;
}

struct jit_x86_set jit_x86_union(const struct jit_x86_set *a, const struct jit_x86_set *b)
{
        struct jit_x86_set result;

        for (size_t i = 0; i < sizeof(result.words) / sizeof(result.words[0]); i++)
                result.words[i] = a->words[i] | b->words[i];
        return result;
}

char *jit_x86_format(const struct jit_x86_set *set, bool complete)
{
        size_t size = 1;

        for (size_t i = 0; i < jit_x86_n_features; i++)
                size += strlen(jit_x86_features[i].name) + 2;
        char *text = malloc(size);
        char *at = text;
        if (!text)
                return NULL;
        for (size_t i = 0; i < jit_x86_n_features; i++) {
                bool in = jit_x86_in(set, i);
                if (!in && !complete)
                        continue;
                if (at != text)
                        *at++ = ',';
                *at++ = in ? '+' : '-';
                at = stpcpy(at, jit_x86_features[i].name);
        }
        *at = 0;
        return text;
}

bool jit_x86_next(const char **at, char *ret_sign, const char **ret_name, size_t *ret_size)
{
        while (**at) {
                const char *entry = *at;
                size_t size = strcspn(entry, ",");
                *at = entry + size + (entry[size] == ',');
                if (size < 2 || (*entry != '+' && *entry != '-'))
                        continue;
                *ret_sign = *entry;
                *ret_name = entry + 1;
                *ret_size = size - 1;
                return true;
        }
        return false;
}
