/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_host_x86.h"

#include "fmt_cleanup.h"
#include "jit_x86_features.h"

#include <string.h>

/* XCR0 (Intel SDM volume 1, 13.3): SSE and AVX; opmask and both halves of ZMM; tiles. */
#define XCR0_AVX 0x6U
#define XCR0_AVX512 (XCR0_AVX | 0xe0U)
#define XCR0_AMX (XCR0_AVX | 0x60000U)
#define OSXSAVE (1U << 27)
#define HYPERVISOR (1U << 31)
#define BRAND_LEAF 0x80000002U /* and the two after it */

static const struct jit_cpuid *leaf_of(
        const struct jit_x86_raw *raw, uint32_t leaf, uint32_t subleaf)
{
        static const struct jit_cpuid absent;

        for (size_t i = 0; i < raw->n_leaves; i++) {
                if (raw->leaves[i].leaf == leaf && raw->leaves[i].subleaf == subleaf)
                        return &raw->leaves[i];
        }
        return &absent;
}

static uint32_t value_of(const struct jit_x86_raw *raw, enum jit_x86_register where)
{
        switch (where) {
        case LEAF_1_ECX:
                return leaf_of(raw, 1, 0)->ecx;
        case LEAF_1_EDX:
                return leaf_of(raw, 1, 0)->edx;
        case LEAF_7_EBX:
                return leaf_of(raw, 7, 0)->ebx;
        case LEAF_7_ECX:
                return leaf_of(raw, 7, 0)->ecx;
        case LEAF_7_EDX:
                return leaf_of(raw, 7, 0)->edx;
        case LEAF_7_1_EAX:
                return leaf_of(raw, 7, 1)->eax;
        case LEAF_7_1_EDX:
                return leaf_of(raw, 7, 1)->edx;
        case LEAF_D_1_EAX:
                return leaf_of(raw, 0xd, 1)->eax;
        case LEAF_14_EBX:
                return leaf_of(raw, 0x14, 0)->ebx;
        case LEAF_19_EBX:
                return leaf_of(raw, 0x19, 0)->ebx;
        case EXTENDED_1_ECX:
                return leaf_of(raw, 0x80000001, 0)->ecx;
        case EXTENDED_1_EDX:
                return leaf_of(raw, 0x80000001, 0)->edx;
        case EXTENDED_8_EBX:
                return leaf_of(raw, 0x80000008, 0)->ebx;
        case NOWHERE:
                break;
        }
        return 0;
}

static bool saves(const struct jit_x86_raw *raw, enum jit_x86_state state)
{
        static const uint64_t needed[] = {
                [STATE_NONE] = 0,
                [STATE_AVX] = XCR0_AVX,
                [STATE_AVX512] = XCR0_AVX512,
                [STATE_AMX] = XCR0_AMX,
        };
        bool enabled = leaf_of(raw, 1, 0)->ecx & OSXSAVE;

        return state == STATE_NONE || (enabled && (raw->xcr0 & needed[state]) == needed[state]);
}

/* A word of the kernel's list. */
static bool lists(const char *flags, const char *name)
{
        size_t size = strlen(name);
        const char *at = flags;

        while ((at = strstr(at, name))) {
                if ((at == flags || at[-1] == ' ') && strchr(" \n", at[size]))
                        return true;
                at += size;
        }
        return false;
}

static enum jit_vendor vendor_of(const struct jit_x86_raw *raw)
{
        const struct jit_cpuid *leaf = leaf_of(raw, 0, 0);
        char name[13] = "";

        memcpy(name, &leaf->ebx, 4);
        memcpy(name + 4, &leaf->edx, 4);
        memcpy(name + 8, &leaf->ecx, 4);
        if (!strcmp(name, "GenuineIntel"))
                return VENDOR_INTEL;
        /* Hygon's processors are Zen cores. */
        if (!strcmp(name, "AuthenticAMD") || !strcmp(name, "HygonGenuine"))
                return VENDOR_AMD;
        return VENDOR_ANY;
}

static void look_at(const struct jit_x86_raw *raw, size_t number, struct jit_detection *detection)
{
        const struct jit_x86_feature *feature = &jit_x86_features[number];
        enum jit_why why = JIT_WHY_HERE;

        if (feature->where == NOWHERE)
                why = JIT_WHY_NEVER;
        else if (!(value_of(raw, feature->where) >> feature->bit & 1))
                why = JIT_WHY_NOT_SHOWN;
        else if (!saves(raw, feature->state))
                why = JIT_WHY_NOT_SAVED;
        else if (raw->kernel_flags && feature->kernel && !lists(raw->kernel_flags, feature->kernel))
                why = JIT_WHY_DENIED;
        jit_detection_set(detection, number, why, why == JIT_WHY_DENIED ? feature->kernel : NULL);
}

void jit_x86_detect(const struct jit_x86_raw *raw, struct jit_detection *ret)
{
        jit_detection_start(&jit_x86, ret);
        ret->vendor = vendor_of(raw);
        for (size_t i = 0; i < jit_x86.n_features; i++)
                look_at(raw, i, ret);
        jit_detection_finish(ret, NULL);
}

char *jit_x86_name(const struct jit_x86_raw *raw)
{
        char name[3 * 16 + 1] = "";

        for (uint32_t i = 0; i < 3; i++) {
                const struct jit_cpuid *leaf = leaf_of(raw, BRAND_LEAF + i, 0);
                memcpy(name + (size_t)i * 16, &leaf->eax, 16); /* eax to edx, in order */
        }
        /* A hypervisor may show anything. */
        for (char *at = name; *at; at++)
                *at = *at >= ' ' && *at <= '~' ? *at : '?';
        /* Old processors pad it in front, others behind. */
        char *start = name + strspn(name, " ");
        size_t size = strlen(start);
        while (size > 0 && start[size - 1] == ' ')
                size--;
        return size ? strndup(start, size) : NULL;
}

bool jit_x86_is_guest(const struct jit_x86_raw *raw)
{
        return leaf_of(raw, 1, 0)->ecx & HYPERVISOR;
}

/* Intel SDM volume 2A, CPUID: the extended fields count for the families that have them. */
void jit_x86_number(const struct jit_x86_raw *raw, unsigned *ret_family, unsigned *ret_model)
{
        uint32_t signature = leaf_of(raw, 1, 0)->eax;
        unsigned family = signature >> 8 & 0xf;
        unsigned model = signature >> 4 & 0xf;

        if (family == 6 || family == 15)
                model |= (signature >> 16 & 0xf) << 4;
        if (family == 15)
                family += signature >> 20 & 0xff;
        *ret_family = family;
        *ret_model = model;
}

/* ---- this machine ---- */

#ifdef __x86_64__
#include <cpuid.h>

static void add_leaf(struct jit_x86_raw *raw, uint32_t leaf, uint32_t subleaf)
{
        struct jit_cpuid *slot = &raw->leaves[raw->n_leaves];

        if (leaf > __get_cpuid_max(leaf & 0x80000000U, NULL))
                return;
        slot->leaf = leaf;
        slot->subleaf = subleaf;
        __cpuid_count(leaf, subleaf, slot->eax, slot->ebx, slot->ecx, slot->edx);
        raw->n_leaves++;
}

static uint64_t read_xcr0(void)
{
        uint32_t low;
        uint32_t high;

        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
        return (uint64_t)high << 32 | low;
}

/* The first "flags" line: xaasfs compiles for the boot CPU, and Linux offers programs only what
 * all CPUs of a machine have. */
static char *read_kernel_flags(void)
{
        _cleanup_fclose_ FILE *file = fopen("/proc/cpuinfo", "re");
        _cleanup_free_ char *line = NULL;
        size_t size = 0;

        while (file && getline(&line, &size, file) > 0) {
                if (!strncmp(line, "flags", 5) && strchr(line, ':'))
                        return strdup(strchr(line, ':') + 1);
        }
        return NULL;
}

int jit_x86_read(struct jit_x86_raw *ret)
{
        memset(ret, 0, sizeof(*ret));
        add_leaf(ret, 0, 0);
        add_leaf(ret, 1, 0);
        add_leaf(ret, 7, 0);
        if (leaf_of(ret, 7, 0)->eax >= 1) /* the number of its subleaves */
                add_leaf(ret, 7, 1);
        add_leaf(ret, 0xd, 1);
        if (leaf_of(ret, 7, 0)->ebx >> 25 & 1) /* processor trace */
                add_leaf(ret, 0x14, 0);
        if (leaf_of(ret, 7, 0)->ecx >> 23 & 1) /* key locker */
                add_leaf(ret, 0x19, 0);
        add_leaf(ret, 0x80000001, 0);
        for (uint32_t i = 0; i < 3; i++)
                add_leaf(ret, BRAND_LEAF + i, 0);
        add_leaf(ret, 0x80000008, 0);
        if (leaf_of(ret, 1, 0)->ecx & OSXSAVE)
                ret->xcr0 = read_xcr0();
        ret->kernel_flags = read_kernel_flags();
        return 0;
}
#else
int jit_x86_read(struct jit_x86_raw *ret)
{
        memset(ret, 0, sizeof(*ret));
        return -ENOTSUP;
}
#endif
