/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_host_aarch64.h"

#include "fmt_cleanup.h"

#include <string.h>

static bool shows(const struct jit_aarch64_raw *raw, const char *word, size_t size)
{
        for (unsigned i = 0; i < JIT_AARCH64_HWCAPS; i++) {
                for (unsigned bit = 0; bit < 64; bit++) {
                        const char *name = jit_aarch64_hwcap_name(i, bit);
                        if (raw->hwcaps[i] >> bit & 1 && name && strlen(name) == size &&
                                !memcmp(name, word, size))
                                return true;
                }
        }
        return false;
}

static void look_at(
        const struct jit_aarch64_raw *raw, size_t number, struct jit_detection *detection)
{
        const char *kernel = jit_aarch64_features[number].kernel;
        const char *at = kernel;
        const char *word;
        size_t size;
        enum jit_why why = *kernel ? JIT_WHY_HERE : JIT_WHY_NEVER;

        while (jit_word_next(&at, &word, &size)) {
                if (!shows(raw, word, size))
                        why = JIT_WHY_NOT_SHOWN;
        }
        jit_detection_set(detection, number, why, why == JIT_WHY_NOT_SHOWN ? kernel : NULL);
}

static size_t count_features(uint64_t midr)
{
        const char *model = jit_aarch64_model_of(midr);
        struct jit_feature_set set;

        return model && jit_model_features(&jit_aarch64, model, &set) ? jit_features_count(&set)
                                                                      : 0;
}

/* Where there are as many big cores as small ones, what is worth compiling for runs on the big
 * ones; they seldom have fewer features. */
static const char *choose_model(const struct jit_aarch64_raw *raw)
{
        const struct jit_aarch64_kind *chosen = raw->kinds;

        for (size_t i = 1; i < raw->n_kinds; i++) {
                const struct jit_aarch64_kind *kind = &raw->kinds[i];
                if (kind->n > chosen->n ||
                        (kind->n == chosen->n &&
                                count_features(kind->midr) > count_features(chosen->midr)))
                        chosen = kind;
        }
        return raw->n_kinds ? jit_aarch64_model_of(chosen->midr) : NULL;
}

void jit_aarch64_detect(const struct jit_aarch64_raw *raw, struct jit_detection *ret)
{
        jit_detection_start(&jit_aarch64, ret);
        ret->vendor = VENDOR_ARM;
        for (size_t i = 0; i < jit_aarch64.n_features; i++)
                look_at(raw, i, ret);
        jit_detection_finish(ret, choose_model(raw));
}

/* Implementer and part: what is left is the stepping. */
#define KIND 0xff00fff0U

void jit_aarch64_add_core(struct jit_aarch64_raw *raw, uint64_t midr)
{
        for (size_t i = 0; i < raw->n_kinds; i++) {
                if ((raw->kinds[i].midr & KIND) == (midr & KIND)) {
                        raw->kinds[i].n++;
                        return;
                }
        }
        if (raw->n_kinds < JIT_AARCH64_KINDS)
                raw->kinds[raw->n_kinds++] = (struct jit_aarch64_kind){.midr = midr, .n = 1};
}

/* The value behind "KEY : ". */
static bool has_value(const char *line, const char *key, uint64_t *ret)
{
        const char *colon = strchr(line, ':');

        if (strncmp(line, key, strlen(key)) || !colon)
                return false;
        *ret = strtoull(colon + 1, NULL, 0);
        return true;
}

/* Each core says in this order: implementer, architecture, variant, part, revision. The field
 * "architecture" of the register says since ARMv7 that the others are to be asked; it is 15. */
void jit_aarch64_read_cpuinfo(FILE *cpuinfo, struct jit_aarch64_raw *raw)
{
        _cleanup_free_ char *line = NULL;
        size_t size = 0;
        uint64_t midr = 0, value;

        while (getline(&line, &size, cpuinfo) > 0) {
                if (has_value(line, "CPU implementer", &value))
                        midr = value << 24 | 0xfU << 16;
                else if (has_value(line, "CPU variant", &value))
                        midr |= value << 20;
                else if (has_value(line, "CPU part", &value))
                        midr |= value << 4;
                else if (has_value(line, "CPU revision", &value) && midr)
                        jit_aarch64_add_core(raw, midr | value);
        }
}

/* ---- this machine ---- */

#ifdef __aarch64__
#include <asm/hwcap.h>
#include <sys/auxv.h>

#define MIDR_FILE "/sys/devices/system/cpu/cpu%ld/regs/identification/midr_el1"

/* Cores that are offline have no such file. */
static void read_registers(struct jit_aarch64_raw *raw)
{
        long n = sysconf(_SC_NPROCESSORS_CONF);

        for (long cpu = 0; cpu < n; cpu++) {
                char path[sizeof(MIDR_FILE) + 24];
                unsigned long long midr;
                snprintf(path, sizeof(path), MIDR_FILE, cpu);
                _cleanup_fclose_ FILE *file = fopen(path, "re");
                if (file && fscanf(file, "%llx", &midr) == 1)
                        jit_aarch64_add_core(raw, midr);
        }
}

/* Linux answers for the core that we happen to run on. */
static uint64_t read_own_register(void)
{
        uint64_t midr;

        __asm__ volatile("mrs %0, midr_el1" : "=r"(midr));
        return midr;
}

int jit_aarch64_read(struct jit_aarch64_raw *ret)
{
        memset(ret, 0, sizeof(*ret));
        ret->hwcaps[0] = getauxval(AT_HWCAP);
        ret->hwcaps[1] = getauxval(AT_HWCAP2);
        read_registers(ret);
        if (ret->n_kinds == 0) { /* before Linux 4.7, or /sys is not there */
                _cleanup_fclose_ FILE *cpuinfo = fopen("/proc/cpuinfo", "re");
                if (cpuinfo)
                        jit_aarch64_read_cpuinfo(cpuinfo, ret);
        }
        if (ret->n_kinds == 0 && ret->hwcaps[0] & HWCAP_CPUID) /* nor is /proc */
                jit_aarch64_add_core(ret, read_own_register());
        return 0;
}
#else
int jit_aarch64_read(struct jit_aarch64_raw *ret)
{
        memset(ret, 0, sizeof(*ret));
        return -ENOTSUP;
}
#endif
