/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_check_code.h"

#include "fmt_cleanup.h"

#include <Zydis/Zydis.h>
#include <elf.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define N_SETS (ZYDIS_ISA_SET_MAX_VALUE + 1)

/* What LLVM may select by itself once it is told of a feature, in LLVM's names. Sets that are
 * not here are either part of every x86-64 or never chosen by a compiler. */
static const struct {
        ZydisISASet set;
        const char *needs[2];
} gates[] = {
        {ZYDIS_ISA_SET_SSE3, {"sse3"}},
        {ZYDIS_ISA_SET_SSE3X87, {"sse3"}},
        {ZYDIS_ISA_SET_SSSE3, {"ssse3"}},
        {ZYDIS_ISA_SET_SSSE3MMX, {"ssse3"}},
        {ZYDIS_ISA_SET_SSE4, {"sse4.1"}},
        {ZYDIS_ISA_SET_SSE42, {"sse4.2"}},
        {ZYDIS_ISA_SET_SSE4A, {"sse4a"}},
        {ZYDIS_ISA_SET_POPCNT, {"popcnt"}},
        {ZYDIS_ISA_SET_CMPXCHG16B, {"cx16"}},
        {ZYDIS_ISA_SET_MOVBE, {"movbe"}},
        {ZYDIS_ISA_SET_MOVDIR, {"movdiri"}},
        {ZYDIS_ISA_SET_ADOX_ADCX, {"adx"}},
        {ZYDIS_ISA_SET_AES, {"aes"}},
        {ZYDIS_ISA_SET_PCLMULQDQ, {"pclmul"}},
        {ZYDIS_ISA_SET_SHA, {"sha"}},
        {ZYDIS_ISA_SET_GFNI, {"gfni"}},
        {ZYDIS_ISA_SET_LZCNT, {"lzcnt"}},
        {ZYDIS_ISA_SET_BMI1, {"bmi"}},
        {ZYDIS_ISA_SET_BMI2, {"bmi2"}},
        {ZYDIS_ISA_SET_TBM, {"tbm"}},
        {ZYDIS_ISA_SET_LWP, {"lwp"}},
        {ZYDIS_ISA_SET_XOP, {"xop"}},
        {ZYDIS_ISA_SET_FMA4, {"fma4"}},
        {ZYDIS_ISA_SET_AVX, {"avx"}},
        {ZYDIS_ISA_SET_AVXAES, {"aes", "avx"}},
        {ZYDIS_ISA_SET_AVX_GFNI, {"gfni", "avx"}},
        {ZYDIS_ISA_SET_AVX_VNNI, {"avxvnni"}},
        {ZYDIS_ISA_SET_F16C, {"f16c"}},
        {ZYDIS_ISA_SET_FMA, {"fma"}},
        {ZYDIS_ISA_SET_AVX2, {"avx2"}},
        {ZYDIS_ISA_SET_AVX2GATHER, {"avx2"}},
        {ZYDIS_ISA_SET_VAES, {"vaes"}},
        {ZYDIS_ISA_SET_VPCLMULQDQ, {"vpclmulqdq"}},
        {ZYDIS_ISA_SET_AMX_TILE, {"amx-tile"}},
        {ZYDIS_ISA_SET_AMX_BF16, {"amx-bf16"}},
        {ZYDIS_ISA_SET_AMX_INT8, {"amx-int8"}},
        {ZYDIS_ISA_SET_AVX512F_512, {"avx512f"}},
        {ZYDIS_ISA_SET_AVX512F_SCALAR, {"avx512f"}},
        {ZYDIS_ISA_SET_AVX512F_KOP, {"avx512f"}},
        {ZYDIS_ISA_SET_AVX512F_128N, {"avx512f"}},
        {ZYDIS_ISA_SET_AVX512F_128, {"avx512f", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512F_256, {"avx512f", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512BW_512, {"avx512bw"}},
        {ZYDIS_ISA_SET_AVX512BW_KOP, {"avx512bw"}},
        {ZYDIS_ISA_SET_AVX512BW_128N, {"avx512bw"}},
        {ZYDIS_ISA_SET_AVX512BW_128, {"avx512bw", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512BW_256, {"avx512bw", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512DQ_512, {"avx512dq"}},
        {ZYDIS_ISA_SET_AVX512DQ_KOP, {"avx512dq"}},
        {ZYDIS_ISA_SET_AVX512DQ_SCALAR, {"avx512dq"}},
        {ZYDIS_ISA_SET_AVX512DQ_128N, {"avx512dq"}},
        {ZYDIS_ISA_SET_AVX512DQ_128, {"avx512dq", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512DQ_256, {"avx512dq", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512CD_512, {"avx512cd"}},
        {ZYDIS_ISA_SET_AVX512CD_128, {"avx512cd", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512CD_256, {"avx512cd", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512ER_512, {"avx512er"}},
        {ZYDIS_ISA_SET_AVX512ER_SCALAR, {"avx512er"}},
        {ZYDIS_ISA_SET_AVX512PF_512, {"avx512pf"}},
        {ZYDIS_ISA_SET_AVX512_4FMAPS_512, {"avx5124fmaps"}},
        {ZYDIS_ISA_SET_AVX512_4FMAPS_SCALAR, {"avx5124fmaps"}},
        {ZYDIS_ISA_SET_AVX512_4VNNIW_512, {"avx5124vnniw"}},
        {ZYDIS_ISA_SET_AVX512_BF16_512, {"avx512bf16"}},
        {ZYDIS_ISA_SET_AVX512_BF16_128, {"avx512bf16", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_BF16_256, {"avx512bf16", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_BITALG_512, {"avx512bitalg"}},
        {ZYDIS_ISA_SET_AVX512_BITALG_128, {"avx512bitalg", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_BITALG_256, {"avx512bitalg", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_FP16_512, {"avx512fp16"}},
        {ZYDIS_ISA_SET_AVX512_FP16_SCALAR, {"avx512fp16"}},
        {ZYDIS_ISA_SET_AVX512_FP16_128N, {"avx512fp16"}},
        {ZYDIS_ISA_SET_AVX512_FP16_128, {"avx512fp16", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_FP16_256, {"avx512fp16", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_GFNI_512, {"gfni", "avx512f"}},
        {ZYDIS_ISA_SET_AVX512_GFNI_128, {"gfni", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_GFNI_256, {"gfni", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_IFMA_512, {"avx512ifma"}},
        {ZYDIS_ISA_SET_AVX512_IFMA_128, {"avx512ifma", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_IFMA_256, {"avx512ifma", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_VAES_512, {"vaes", "avx512f"}},
        {ZYDIS_ISA_SET_AVX512_VAES_128, {"vaes", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_VAES_256, {"vaes", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_VBMI_512, {"avx512vbmi"}},
        {ZYDIS_ISA_SET_AVX512_VBMI_128, {"avx512vbmi", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_VBMI_256, {"avx512vbmi", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_VBMI2_512, {"avx512vbmi2"}},
        {ZYDIS_ISA_SET_AVX512_VBMI2_128, {"avx512vbmi2", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_VBMI2_256, {"avx512vbmi2", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_VNNI_512, {"avx512vnni"}},
        {ZYDIS_ISA_SET_AVX512_VNNI_128, {"avx512vnni", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_VNNI_256, {"avx512vnni", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_VP2INTERSECT_512, {"avx512vp2intersect"}},
        {ZYDIS_ISA_SET_AVX512_VP2INTERSECT_128, {"avx512vp2intersect", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_VP2INTERSECT_256, {"avx512vp2intersect", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_512, {"vpclmulqdq", "avx512f"}},
        {ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_128, {"vpclmulqdq", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_256, {"vpclmulqdq", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_512, {"avx512vpopcntdq"}},
        {ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_128, {"avx512vpopcntdq", "avx512vl"}},
        {ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_256, {"avx512vpopcntdq", "avx512vl"}},
};

/* For each set the missing feature, or NULL where it may be used. */
struct denials {
        const char *missing[N_SETS];
};

struct sweep {
        ZydisDecoder decoder;
        struct denials target;    /* what nothing but the target allows */
        struct denials own;       /* of the range with features of its own swept last */
        const char *own_features; /* which `own` was made from */
        const char *target_features;
};

/* Whether the list says "+FEATURE" (its last word on it counts). */
static bool list_has(const char *list, const char *feature)
{
        size_t length = strlen(feature);
        bool has = false;
        for (const char *c = list; c && *c;) {
                size_t item = strcspn(c, ",");
                if (item == length + 1 && memcmp(c + 1, feature, length) == 0)
                        has = *c == '+';
                c += item + (c[item] == ',');
        }
        return has;
}

static void deny(struct denials *denials, const char *features, const char *more)
{
        memset(denials, 0, sizeof *denials);
        for (size_t i = 0; i < sizeof gates / sizeof gates[0]; i++)
                for (size_t j = 0; j < 2 && gates[i].needs[j]; j++)
                        if (!list_has(features, gates[i].needs[j]) &&
                                !list_has(more, gates[i].needs[j]))
                                denials->missing[gates[i].set] = gates[i].needs[j];
}

static const struct denials *denials_for(struct sweep *sweep, const struct jit_code_range *range)
{
        if (!range || !range->features)
                return &sweep->target;
        if (sweep->own_features != range->features) {
                deny(&sweep->own, sweep->target_features, range->features);
                sweep->own_features = range->features;
        }
        return &sweep->own;
}

/* [ADDRESS, ADDRESS + SIZE) of one origin. 1 if something was found. */
static int sweep_code(struct sweep *sweep, const uint8_t *code, uint64_t address, size_t size,
        const struct jit_code_range *range, struct jit_code_finding *ret)
{
        const struct denials *denials = denials_for(sweep, range);
        ZydisDecodedInstruction instruction;
        ret->swept += size;
        for (size_t at = 0; at < size;) {
                if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(
                            &sweep->decoder, NULL, code + at, size - at, &instruction))) {
                        ret->not_decodable++;
                        at++;
                        continue;
                }
                const char *missing = denials->missing[instruction.meta.isa_set];
                if (missing) {
                        ret->address = address + at;
                        ret->mnemonic = ZydisMnemonicGetString(instruction.mnemonic);
                        ret->feature = missing;
                        ret->origin = range ? range->origin : NULL;
                        return 1;
                }
                at += instruction.length;
        }
        return 0;
}

/* Cuts one section into its ranges and the gaps between them. */
static int sweep_section(struct sweep *sweep, const uint8_t *code, const Elf64_Shdr *section,
        const struct jit_code_range *ranges, size_t n, struct jit_code_finding *ret)
{
        uint64_t at = section->sh_addr, end = section->sh_addr + section->sh_size;
        for (size_t i = 0; i < n && at < end; i++) {
                const struct jit_code_range *range = &ranges[i];
                if (range->end <= at || range->start >= end)
                        continue;
                if (range->start > at) {
                        int r = sweep_code(sweep, code + (at - section->sh_addr), at,
                                range->start - at, NULL, ret);
                        if (r)
                                return r;
                        at = range->start;
                }
                uint64_t stop = range->end < end ? range->end : end;
                if (!range->is_native) {
                        int r = sweep_code(
                                sweep, code + (at - section->sh_addr), at, stop - at, range, ret);
                        if (r)
                                return r;
                }
                at = stop;
        }
        if (at >= end)
                return 0;
        return sweep_code(sweep, code + (at - section->sh_addr), at, end - at, NULL, ret);
}

static int sweep_image(struct sweep *sweep, const uint8_t *image, size_t size,
        const struct jit_code_range *ranges, size_t n, struct jit_code_finding *ret)
{
        const Elf64_Ehdr *header = (const void *)image;
        if (size < sizeof *header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
                header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shoff % 8 != 0 ||
                header->e_shoff > size ||
                (size - header->e_shoff) / sizeof(Elf64_Shdr) < header->e_shnum ||
                header->e_shnum == 0)
                return -EBADMSG;
        const Elf64_Shdr *sections = (const void *)(image + header->e_shoff);
        for (size_t i = 0; i < header->e_shnum; i++) {
                const Elf64_Shdr *section = &sections[i];
                if (!(section->sh_flags & SHF_EXECINSTR) || section->sh_type == SHT_NOBITS)
                        continue;
                if (section->sh_offset > size || section->sh_size > size - section->sh_offset ||
                        section->sh_addr + section->sh_size < section->sh_addr)
                        return -EBADMSG;
                int r = sweep_section(sweep, image + section->sh_offset, section, ranges, n, ret);
                if (r)
                        return r;
        }
        return 0;
}

int jit_check_code(int fd, const char *features, const struct jit_code_range *ranges, size_t n,
        struct jit_code_finding *ret)
{
        memset(ret, 0, sizeof *ret);
        struct stat st;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size < (off_t)sizeof(Elf64_Ehdr))
                return -EBADMSG;
        struct sweep *sweep = calloc(1, sizeof *sweep);
        if (!sweep)
                return -ENOMEM;
        ZydisDecoderInit(&sweep->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
        ZydisDecoderEnableMode(&sweep->decoder, ZYDIS_DECODER_MODE_TZCNT, ZYAN_FALSE);
        sweep->target_features = features;
        deny(&sweep->target, features, NULL);
        void *image = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        int r = image == MAP_FAILED ? -errno
                                    : sweep_image(sweep, image, (size_t)st.st_size, ranges, n, ret);
        if (image != MAP_FAILED)
                munmap(image, (size_t)st.st_size);
        free(sweep);
        return r;
}
