/* SPDX-License-Identifier: Apache-2.0 */
/* Archive members that the link did not take but a relink may need.
 *
 * Code generation decides late whether sin and cos become sincos, a fused multiply-add an
 * instruction or fma, a wide shift a function of libgcc. The names are LLVM 19's
 * (IR/RuntimeLibcalls.def for x86-64 Linux, and what SimplifyLibCalls may write in place of
 * another call). */
#include "ld_record.h"

#include "capture_programs.h"
#include "fmt_cleanup.h"
#include "ld_object.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/* Mathematical functions; each also with the suffixes f and l. */
static const char *const math[] = {"fmod", "remainder", "fma", "sqrt", "cbrt", "log", "log2",
        "log10", "log1p", "exp", "exp2", "exp10", "expm1", "sin", "cos", "tan", "asin", "acos",
        "atan", "atan2", "sinh", "cosh", "tanh", "sincos", "pow", "ceil", "trunc", "rint",
        "nearbyint", "round", "roundeven", "floor", "copysign", "fmin", "fmax", "fminimum",
        "fmaximum", "lround", "llround", "lrint", "llrint", "ldexp", "frexp", "fabs", "logb",
        "__exp10", NULL};

static const char *const others[] = {"memcpy", "memmove", "memset", "memcmp", "bcmp", "bzero",
        "memchr", "memrchr", "mempcpy", "memccpy", "strlen", "strnlen", "strcpy", "strncpy",
        "stpcpy", "stpncpy", "strcat", "strchr", "strrchr", "strcmp", "strncmp", "strpbrk",
        "strspn", "strcspn", "strdup", "strndup", "puts", "putchar", "fputc", "fputs", "fwrite",
        "malloc", "calloc", "free", "abort", "__stack_chk_fail", "_Unwind_Resume", "__cxa_atexit",
        "__tls_get_addr", "__emutls_get_address", "__cxa_guard_acquire", "__ashlti3", "__lshrti3",
        "__ashrti3", "__ashldi3", "__lshrdi3", "__ashrdi3", "__multi3", "__mulodi4", "__muloti4",
        "__mulosi4", "__divti3", "__udivti3", "__modti3", "__umodti3", "__divdi3", "__udivdi3",
        "__moddi3", "__umoddi3", "__divmodti4", "__udivmodti4", "__negti2", "__negdi2", "__clzti2",
        "__clzdi2", "__clzsi2", "__ctzti2", "__ctzdi2", "__ctzsi2", "__ffsti2", "__ffsdi2",
        "__popcountti2", "__popcountdi2", "__popcountsi2", "__bswapsi2", "__bswapdi2", "__cmpti2",
        "__ucmpti2", "__addvdi3", "__mulvdi3", "__subvdi3", "__powisf2", "__powidf2", "__powixf2",
        "__powitf2", "__extendhfsf2", "__extendhfdf2", "__extendhfxf2", "__extendhftf2",
        "__truncsfhf2", "__truncdfhf2", "__truncxfhf2", "__trunctfhf2", "__truncsfbf2",
        "__truncdfbf2", "__extendbfsf2", "__gnu_h2f_ieee", "__gnu_f2h_ieee", "__addtf3", "__subtf3",
        "__multf3", "__divtf3", "__extendsftf2", "__extenddftf2", "__extendxftf2", "__trunctfsf2",
        "__trunctfdf2", "__trunctfxf2", "__fixtfsi", "__fixtfdi", "__fixtfti", "__fixunstfsi",
        "__fixunstfdi", "__fixunstfti", "__floatsitf", "__floatditf", "__floattitf",
        "__floatunsitf", "__floatunditf", "__floatuntitf", "__eqtf2", "__netf2", "__getf2",
        "__lttf2", "__letf2", "__gttf2", "__unordtf2", "__fixsfti", "__fixdfti", "__fixxfti",
        "__fixunssfti", "__fixunsdfti", "__fixunsxfti", "__floattisf", "__floattidf", "__floattixf",
        "__floatuntisf", "__floatuntidf", "__floatuntixf", "__fixunsxfdi", "__fixunsxfsi",
        "__mulsc3", "__muldc3", "__mulxc3", "__multc3", "__divsc3", "__divdc3", "__divxc3",
        "__divtc3", "__cpu_model", "__cpu_indicator_init", "__cpu_features2", NULL};

/* What is defined by shared libraries or by members already in the record. */
struct closure {
        struct ld_record *record;
        struct ld_file **archives;
        size_t n_archives;
        bool **in;      /* per archive and member: in the record, taken or added */
        char **wanted;  /* names still to be looked up; NULL-terminated */
        void *provided; /* tsearch tree of names that libraries define */
};

static int compare_names(const void *a, const void *b)
{
        return strcmp(a, b);
}

static void closure_done(struct closure *closure)
{
        for (size_t i = 0; closure->in && i < closure->n_archives; i++)
                free(closure->in[i]);
        free(closure->in);
        free(closure->archives);
        fmt_strings_free(closure->wanted);
        tdestroy(closure->provided, free);
}

static int note_provided(void *context, const char *name, bool defined)
{
        struct closure *closure = context;
        if (!defined || tfind(name, &closure->provided, compare_names))
                return 0;
        char *copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        return tsearch(copy, &closure->provided, compare_names) ? 0 : -ENOMEM;
}

static int note_wanted(void *context, const char *name, bool defined)
{
        struct closure *closure = context;
        return defined ? 0 : fmt_strings_append(&closure->wanted, name);
}

static int add_archive(struct closure *closure, struct ld_file *file)
{
        for (size_t i = 0; i < closure->n_archives; i++)
                if (closure->archives[i] == file)
                        return 0;
        size_t n = closure->n_archives + 1;
        struct ld_file **archives = realloc(closure->archives, n * sizeof(*archives));
        if (!archives)
                return -ENOMEM;
        closure->archives = archives;
        bool **in = realloc(closure->in, n * sizeof(*in));
        if (!in)
                return -ENOMEM;
        closure->in = in;
        in[n - 1] = calloc(file->n_members + 1, sizeof(bool));
        if (!in[n - 1])
                return -ENOMEM;
        archives[n - 1] = file;
        closure->n_archives = n;
        return 0;
}

/* ld.lld does not tell which archives it searched in vain: look where -l would. */
static int add_searched_archives(struct closure *closure)
{
        const struct jit_link_line *line = closure->record->line;
        for (size_t i = 0; i < line->n_files; i++) {
                bool libgcc = strcmp(line->files[i].path, "gcc") == 0;
                if (!line->files[i].is_library || !(line->files[i].prefer_static || libgcc))
                        continue;
                for (size_t k = 0; line->search[k]; k++) {
                        _cleanup_free_ char *path = NULL;
                        struct ld_file *file = NULL;
                        if (asprintf(&path, "%s/lib%s.a", line->search[k], line->files[i].path) < 0)
                                return -ENOMEM;
                        if (access(path, R_OK) < 0 ||
                                ld_record_file(closure->record, path, &file) < 0)
                                continue;
                        int r = file->kind == LD_ARCHIVE ? add_archive(closure, file) : 0;
                        if (r < 0)
                                return r;
                        break;
                }
        }
        return 0;
}

static int read_files(struct closure *closure, const struct ld_taken_list *taken)
{
        for (size_t i = 0; i < taken->n; i++) {
                struct ld_file *file = NULL;
                int r = ld_record_file(closure->record, taken->items[i].path, &file);
                if (r == 0 && file->kind == LD_LIBRARY)
                        r = ld_object_symbols(file->data, file->size, note_provided, closure);
                if (r == 0 && file->kind == LD_ARCHIVE)
                        r = add_archive(closure, file);
                if (r < 0)
                        return r;
        }
        int r = add_searched_archives(closure);
        if (r < 0)
                return r;
        /* Members in the record already; equal names in one archive count as taken. */
        for (size_t i = 0; i < taken->n; i++)
                for (size_t a = 0; a < closure->n_archives && taken->items[i].member; a++)
                        for (size_t m = 0;
                                m < closure->archives[a]->n_members &&
                                strcmp(closure->archives[a]->path, taken->items[i].path) == 0;
                                m++)
                                if (ld_member_is(&closure->archives[a]->members[m],
                                            taken->items[i].member))
                                        closure->in[a][m] = true;
        return 0;
}

/* The first archive's member that defines NAME, as a linker would look for it. */
static int take_definition(struct closure *closure, const char *name)
{
        if (tfind(name, &closure->provided, compare_names))
                return 0;
        for (size_t a = 0; a < closure->n_archives; a++) {
                struct ld_file *archive = closure->archives[a];
                for (size_t s = 0; s < archive->n_symbols; s++) {
                        if (strcmp(archive->symbols[s].name, name) != 0)
                                continue;
                        size_t m = archive->symbols[s].member;
                        if (closure->in[a][m])
                                return 0;
                        closure->in[a][m] = true;
                        const struct ld_member *member = NULL;
                        _cleanup_free_ char *label = NULL;
                        int r = ld_file_member(archive, m, &member);
                        if (r < 0)
                                return r;
                        if (asprintf(&label, "%s(%s)", capture_base_name(archive->path),
                                    member->name) < 0)
                                return -ENOMEM;
                        r = ld_record_add_object(
                                closure->record, label, member->data, member->size, true);
                        return r < 0 ? r
                                     : ld_object_symbols(
                                               member->data, member->size, note_wanted, closure);
                }
        }
        return 0;
}

static int want_names(struct closure *closure)
{
        static const char *const suffixes[] = {"", "f", "l", NULL};
        int r = 0;
        for (const char *const *name = math; *name && r == 0; name++)
                for (const char *const *suffix = suffixes; *suffix && r == 0; suffix++) {
                        _cleanup_free_ char *full = NULL;
                        r = asprintf(&full, "%s%s", *name, *suffix) < 0
                                    ? -ENOMEM
                                    : fmt_strings_append(&closure->wanted, full);
                }
        for (const char *const *name = others; *name && r == 0; name++)
                r = fmt_strings_append(&closure->wanted, *name);
        return r;
}

int ld_record_add_libcalls(struct ld_record *record, const struct ld_taken_list *taken)
{
        _cleanup_(closure_done) struct closure closure = {.record = record};
        size_t modules = record->n_modules, natives = record->n_natives;
        int r = read_files(&closure, taken);
        if (r == 0)
                r = want_names(&closure);
        for (size_t i = 0; r == 0 && closure.wanted[i]; i++) {
                _cleanup_free_ char *name = strdup(closure.wanted[i]);
                r = name ? take_definition(&closure, name) : -ENOMEM;
        }
        record->n_modules = modules; /* what may be needed is not what was linked */
        record->n_natives = natives;
        return r;
}
