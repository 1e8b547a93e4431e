/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_check.h"

#include "fmt_cleanup.h"
#include "fmt_elf.h"

#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#define _cleanup_facts_ _cleanup_(fmt_elf_facts_done)
#define _cleanup_strings_ _cleanup_(fmt_strings_freep)

/* Writes the sentence and says -EBADMSG. */
__attribute__((format(printf, 2, 3))) static int refuse(char **ret_reason, const char *format, ...)
{
        va_list arguments;
        va_start(arguments, format);
        if (vasprintf(ret_reason, format, arguments) < 0)
                *ret_reason = NULL;
        va_end(arguments);
        return -EBADMSG;
}

static bool same_text(const char *a, const char *b)
{
        return a && b ? strcmp(a, b) == 0 : a == b;
}

static const char *shown(const char *text)
{
        return text ? text : "none";
}

static int check_header(
        const struct fmt_elf_facts *facts, const struct fmt_recipe *recipe, char **ret_reason)
{
        bool fixed = recipe->kind == FMT_OUTPUT_EXECUTABLE || recipe->kind == FMT_OUTPUT_STATIC;
        if (facts->machine != EM_X86_64)
                return refuse(
                        ret_reason, "the result is for ELF machine %u, not x86-64", facts->machine);
        if (facts->type != (fixed ? ET_EXEC : ET_DYN))
                return refuse(ret_reason, "the result has ELF type %u, not %u", facts->type,
                        fixed ? ET_EXEC : ET_DYN);
        if (!same_text(facts->interpreter, recipe->interpreter))
                return refuse(ret_reason, "the result asks for interpreter %s, not %s",
                        shown(facts->interpreter), shown(recipe->interpreter));
        if (!same_text(facts->soname, recipe->soname))
                return refuse(ret_reason, "the result has soname %s, not %s", shown(facts->soname),
                        shown(recipe->soname));
        if (!same_text(facts->rpath, recipe->rpath))
                return refuse(ret_reason, "the result has rpath %s, not %s", shown(facts->rpath),
                        shown(recipe->rpath));
        return 0;
}

/* Behind those of the original may stand some that it was linked against in vain. */
static int check_needed(
        char *const *found, const struct fmt_variant *variant, char **ret_reason)
{
        char *const *expected = variant->recipe.needed;
        size_t i = 0;
        for (; expected[i]; i++)
                if (!same_text(found[i], expected[i]))
                        return refuse(ret_reason, "library %zu that the result needs is %s, not %s",
                                i + 1, shown(found[i]), shown(expected[i]));
        for (; found[i]; i++) {
                const struct fmt_stub *stub = fmt_variant_find_stub(variant, found[i]);
                if (!stub || stub->needed)
                        return refuse(ret_reason, "the result needs %s, which the original does not",
                                found[i]);
        }
        return 0;
}

/* The first of the sorted list A that the sorted list B lacks, or NULL. */
static const char *first_missing(char *const *a, char *const *b)
{
        for (; *a; a++) {
                while (*b && strcmp(*b, *a) < 0)
                        b++;
                if (!*b || strcmp(*b, *a) != 0)
                        return *a;
        }
        return NULL;
}

static int check_exports(int fd, const struct fmt_variant *variant, char **ret_reason)
{
        _cleanup_strings_ char **all = NULL, **firm = NULL;
        int r = fmt_elf_exports(fd, true, &all);
        if (r < 0)
                return refuse(ret_reason, "the result's dynamic symbols cannot be read: %s",
                        strerror(-r));
        const char *name = first_missing(variant->exports, all);
        if (name)
                return refuse(ret_reason, "the result does not export %s", name);
        if (variant->recipe.kind != FMT_OUTPUT_SHARED)
                return 0;
        r = fmt_elf_exports(fd, false, &firm);
        if (r < 0)
                return refuse(ret_reason, "the result's dynamic symbols cannot be read: %s",
                        strerror(-r));
        name = first_missing(firm, variant->exports);
        if (name)
                return refuse(
                        ret_reason, "the result exports %s, which the original does not", name);
        return 0;
}

static bool is_segment_sane(const Elf64_Phdr *segment, uint64_t size)
{
        return segment->p_offset <= size && segment->p_filesz <= size - segment->p_offset &&
               segment->p_filesz <= segment->p_memsz &&
               segment->p_vaddr + segment->p_memsz >= segment->p_vaddr;
}

/* What the kernel's loader goes by. */
static int check_segments(
        int fd, uint64_t size, const struct fmt_variant *variant, char **ret_reason)
{
        Elf64_Ehdr header;
        bool entry_is_code = variant->recipe.kind == FMT_OUTPUT_SHARED;
        unsigned loads = 0;
        if (pread(fd, &header, sizeof header, 0) != sizeof header ||
                header.e_phentsize != sizeof(Elf64_Phdr))
                return refuse(ret_reason, "the result's ELF header is damaged");
        for (unsigned i = 0; i < header.e_phnum; i++) {
                Elf64_Phdr segment;
                off_t offset = (off_t)(header.e_phoff + i * sizeof segment);
                if (pread(fd, &segment, sizeof segment, offset) != sizeof segment)
                        return refuse(ret_reason, "the result's program headers are cut off");
                if (!is_segment_sane(&segment, size))
                        return refuse(
                                ret_reason, "segment %u of the result lies outside of the file", i);
                if (segment.p_type != PT_LOAD)
                        continue;
                loads++;
                if ((segment.p_flags & PF_W) && (segment.p_flags & PF_X))
                        return refuse(ret_reason,
                                "segment %u of the result is writable and executable", i);
                if ((segment.p_flags & PF_X) && header.e_entry >= segment.p_vaddr &&
                        header.e_entry - segment.p_vaddr < segment.p_filesz)
                        entry_is_code = true;
        }
        if (loads == 0)
                return refuse(ret_reason, "the result has nothing to load");
        if (!entry_is_code)
                return refuse(ret_reason, "the result's entry point is not in its code");
        return 0;
}

static bool wants_executable_stack(const struct fmt_recipe *recipe)
{
        for (size_t i = 0; i < recipe->n_options; i++)
                if (strstr(recipe->options[i].text, "execstack") &&
                        !strstr(recipe->options[i].text, "noexecstack"))
                        return true;
        return false;
}

int jit_check_file(int fd, const struct fmt_variant *variant, uint64_t promised, uint64_t *ret_size,
        char **ret_reason)
{
        struct stat st;
        _cleanup_facts_ struct fmt_elf_facts facts = {0};
        *ret_reason = NULL;
        if (fstat(fd, &st) < 0)
                return -errno;
        int r = fmt_elf_read(fd, &facts);
        if (r < 0)
                return refuse(ret_reason, "the result is not an ELF file: %s", strerror(-r));
        r = check_header(&facts, &variant->recipe, ret_reason);
        if (r == 0)
                r = check_needed(facts.needed, variant, ret_reason);
        if (r == 0)
                r = check_segments(fd, (uint64_t)st.st_size, variant, ret_reason);
        if (r == 0 && facts.executable_stack && !wants_executable_stack(&variant->recipe))
                r = refuse(ret_reason, "the result asks for an executable stack");
        if (r == 0 && facts.has_dynamic)
                r = check_exports(fd, variant, ret_reason);
        if (r < 0)
                return r;
        if ((uint64_t)st.st_size > promised) {
                refuse(ret_reason, "the result has %jd bytes, more than the %ju promised",
                        (intmax_t)st.st_size, (uintmax_t)promised);
                return -EFBIG;
        }
        *ret_size = (uint64_t)st.st_size;
        return 0;
}
