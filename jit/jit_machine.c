/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_machine.h"

#include "fmt_cleanup.h"

#include <inttypes.h>
#include <string.h>

int jit_machine_read(struct jit_machine *ret)
{
        memset(ret, 0, sizeof(*ret));
        if (jit_x86_read(&ret->x86) == 0) {
                ret->architecture = &jit_x86;
                ret->name = jit_x86_name(&ret->x86);
                return 0;
        }
        ret->architecture = &jit_aarch64;
        return jit_aarch64_read(&ret->aarch64);
}

void jit_machine_done(struct jit_machine *machine)
{
        free(machine->name);
        free(machine->x86.kernel_flags);
        memset(machine, 0, sizeof(*machine));
}

void jit_machine_detect(const struct jit_machine *machine, struct jit_detection *ret)
{
        if (machine->architecture == &jit_x86)
                jit_x86_detect(&machine->x86, ret);
        else
                jit_aarch64_detect(&machine->aarch64, ret);
}

/* ---- printing ---- */

static void print_x86(const struct jit_x86_raw *raw, FILE *stream)
{
        for (size_t i = 0; i < raw->n_leaves; i++) {
                const struct jit_cpuid *leaf = &raw->leaves[i];
                fprintf(stream,
                        "cpuid %08" PRIx32 " %" PRIx32 " %08" PRIx32 " %08" PRIx32 " %08" PRIx32
                        " %08" PRIx32 "\n",
                        leaf->leaf, leaf->subleaf, leaf->eax, leaf->ebx, leaf->ecx, leaf->edx);
        }
        fprintf(stream, "xcr0 %" PRIx64 "\n", raw->xcr0);
        if (raw->kernel_flags)
                fprintf(stream, "flags %.*s\n", (int)strcspn(raw->kernel_flags, "\n"),
                        raw->kernel_flags + strspn(raw->kernel_flags, " "));
}

static void print_aarch64(const struct jit_aarch64_raw *raw, FILE *stream)
{
        for (size_t i = 0; i < raw->n_kinds; i++)
                fprintf(stream, "core %u %" PRIx64 "\n", raw->kinds[i].n, raw->kinds[i].midr);
        fprintf(stream, "features");
        for (unsigned word = 0; word < JIT_AARCH64_HWCAPS; word++) {
                for (unsigned bit = 0; bit < 64; bit++) {
                        const char *name = jit_aarch64_hwcap_name(word, bit);
                        if (raw->hwcaps[word] >> bit & 1 && name)
                                fprintf(stream, " %s", name);
                }
        }
        fprintf(stream, "\n");
}

void jit_machine_print(const struct jit_machine *machine, FILE *stream)
{
        fprintf(stream, "machine %s\n", machine->architecture->name);
        if (machine->name)
                fprintf(stream, "name %s\n", machine->name);
        if (machine->architecture == &jit_x86)
                print_x86(&machine->x86, stream);
        else
                print_aarch64(&machine->aarch64, stream);
}

/* ---- reading a record ---- */

static bool read_cpuid(const char *value, struct jit_x86_raw *raw)
{
        struct jit_cpuid leaf;
        int end = 0;

        if (raw->n_leaves == JIT_CPUID_LEAVES ||
                sscanf(value,
                        "%8" SCNx32 " %8" SCNx32 " %8" SCNx32 " %8" SCNx32 " %8" SCNx32 " %8" SCNx32
                        "%n",
                        &leaf.leaf, &leaf.subleaf, &leaf.eax, &leaf.ebx, &leaf.ecx, &leaf.edx,
                        &end) != 6 ||
                value[end])
                return false;
        raw->leaves[raw->n_leaves++] = leaf;
        return true;
}

static bool read_core(const char *value, struct jit_aarch64_raw *raw)
{
        struct jit_aarch64_kind kind;
        int end = 0;

        if (raw->n_kinds == JIT_AARCH64_KINDS ||
                sscanf(value, "%6u %16" SCNx64 "%n", &kind.n, &kind.midr, &end) != 2 || value[end])
                return false;
        raw->kinds[raw->n_kinds++] = kind;
        return true;
}

/* A word that is not known here is newer than this program. */
static void read_features(const char *value, struct jit_aarch64_raw *raw)
{
        const char *word;
        size_t size;

        while (jit_word_next(&value, &word, &size)) {
                for (unsigned bit = 0; bit < 64 * JIT_AARCH64_HWCAPS; bit++) {
                        const char *name = jit_aarch64_hwcap_name(bit / 64, bit % 64);
                        if (name && strlen(name) == size && !memcmp(name, word, size))
                                raw->hwcaps[bit / 64] |= UINT64_C(1) << bit % 64;
                }
        }
}

static bool replace(char **text, const char *value)
{
        free(*text);
        *text = strdup(value);
        return *text != NULL;
}

static bool read_x86_line(const char *key, const char *value, struct jit_x86_raw *raw)
{
        int end = 0;

        if (!strcmp(key, "cpuid"))
                return read_cpuid(value, raw);
        if (!strcmp(key, "xcr0"))
                return sscanf(value, "%16" SCNx64 "%n", &raw->xcr0, &end) == 1 && !value[end];
        return !strcmp(key, "flags") && replace(&raw->kernel_flags, value);
}

static bool read_aarch64_line(const char *key, const char *value, struct jit_aarch64_raw *raw)
{
        if (!strcmp(key, "core"))
                return read_core(value, raw);
        if (strcmp(key, "features"))
                return false;
        read_features(value, raw);
        return true;
}

/* People will see it: it must not be able to drive a terminal. */
static bool is_plain(const char *text)
{
        while (*text >= ' ' && *text <= '~')
                text++;
        return !*text;
}

/* LINE is changed. */
static bool read_line(char *line, struct jit_machine *machine)
{
        size_t size = strcspn(line, " ");
        const char *value = line[size] ? line + size + 1 : "";

        if (*line == '#' || !*line)
                return true;
        line[size] = 0;
        if (!machine->architecture) {
                machine->architecture = !strcmp(value, jit_x86.name)       ? &jit_x86
                                        : !strcmp(value, jit_aarch64.name) ? &jit_aarch64
                                                                           : NULL;
                return machine->architecture && !strcmp(line, "machine");
        }
        if (!strcmp(line, "name"))
                return is_plain(value) && replace(&machine->name, value);
        return machine->architecture == &jit_x86
                       ? read_x86_line(line, value, &machine->x86)
                       : read_aarch64_line(line, value, &machine->aarch64);
}

static int read_lines(char *text, struct jit_machine *machine, char **ret_reason)
{
        unsigned number = 0;
        char *line;

        while ((line = strsep(&text, "\n"))) {
                number++;
                if (read_line(line, machine))
                        continue;
                return asprintf(ret_reason, "line %u is not one of a recorded machine", number) < 0
                               ? -ENOMEM
                               : -EBADMSG;
        }
        if (machine->architecture)
                return 0;
        *ret_reason = strdup("it is empty");
        return *ret_reason ? -EBADMSG : -ENOMEM;
}

/* The path may be of anything, /dev/zero included. */
static int read_text(const char *path, char **ret_text)
{
        _cleanup_fclose_ FILE *file = fopen(path, "re");
        _cleanup_free_ char *text = malloc(JIT_MACHINE_MAX_SIZE + 1);

        if (!file || !text)
                return -errno;
        size_t size = fread(text, 1, JIT_MACHINE_MAX_SIZE + 1, file);
        if (ferror(file))
                return -errno;
        if (size > JIT_MACHINE_MAX_SIZE)
                return -E2BIG;
        text[size] = 0;
        *ret_text = steal_pointer(&text);
        return 0;
}

int jit_machine_load(const char *path, struct jit_machine *ret, char **ret_reason)
{
        struct jit_machine machine = {0};
        _cleanup_free_ char *text = NULL;
        int r = read_text(path, &text);

        *ret_reason = NULL;
        if (r == 0)
                r = read_lines(text, &machine, ret_reason);
        if (r < 0)
                jit_machine_done(&machine);
        else
                *ret = machine;
        return r;
}
