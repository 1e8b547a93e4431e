/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_link_options.h"

#include <string.h>

#define SCRIPT "linker scripts and fixed addresses cannot be repeated"
#define AUDIT "ld.lld cannot write audit entries"
#define FOREIGN "its result depends on another linker's plug-in or mode"

/* GNU ld: binutils 2.40, ld(1). ld.lld: LLVM 19, ELF/Options.td. Sorted by meaning, then name. */
static const struct jit_link_option options[] = {
        /* Part of the result. */
        {"Bsymbolic", JIT_FLAG, JIT_KEEP, NULL},
        {"Bsymbolic-functions", JIT_FLAG, JIT_KEEP, NULL},
        {"Bsymbolic-non-weak", JIT_FLAG, JIT_KEEP, NULL},
        {"Bsymbolic-non-weak-functions", JIT_FLAG, JIT_KEEP, NULL},
        {"Bno-symbolic", JIT_FLAG, JIT_KEEP, NULL},
        {"E", JIT_FLAG, JIT_KEEP, "export-dynamic"},
        {"F", JIT_JOINED, JIT_KEEP, "filter"},
        {"N", JIT_FLAG, JIT_KEEP, "omagic"},
        {"O", JIT_JOINED_ONLY, JIT_KEEP, "O"},
        {"S", JIT_FLAG, JIT_KEEP, "strip-debug"},
        {"X", JIT_FLAG, JIT_KEEP, "discard-locals"},
        {"allow-multiple-definition", JIT_FLAG, JIT_KEEP, NULL},
        {"apply-dynamic-relocs", JIT_FLAG, JIT_KEEP, NULL},
        {"auxiliary", JIT_VALUE, JIT_KEEP, NULL},
        {"build-id", JIT_OPTIONAL, JIT_KEEP, NULL},
        {"check-sections", JIT_FLAG, JIT_DROP, NULL},
        {"defsym", JIT_VALUE, JIT_KEEP, NULL},
        {"discard-all", JIT_FLAG, JIT_KEEP, NULL},
        {"discard-locals", JIT_FLAG, JIT_KEEP, NULL},
        {"discard-none", JIT_FLAG, JIT_KEEP, NULL},
        {"e", JIT_JOINED, JIT_KEEP, "entry"},
        {"eh-frame-hdr", JIT_FLAG, JIT_KEEP, NULL},
        {"emit-relocs", JIT_FLAG, JIT_KEEP, NULL},
        {"entry", JIT_VALUE, JIT_KEEP, NULL},
        {"export-dynamic", JIT_FLAG, JIT_KEEP, NULL},
        {"export-dynamic-symbol", JIT_VALUE, JIT_KEEP, NULL},
        {"f", JIT_JOINED, JIT_KEEP, "auxiliary"},
        {"filter", JIT_VALUE, JIT_KEEP, NULL},
        {"fini", JIT_VALUE, JIT_KEEP, NULL},
        {"gc-sections", JIT_FLAG, JIT_KEEP, NULL},
        {"hash-style", JIT_VALUE, JIT_KEEP, NULL},
        {"icf", JIT_VALUE, JIT_KEEP, NULL},
        {"image-base", JIT_VALUE, JIT_KEEP, NULL},
        {"init", JIT_VALUE, JIT_KEEP, NULL},
        {"keep-unique", JIT_VALUE, JIT_KEEP, NULL},
        {"n", JIT_FLAG, JIT_KEEP, "nmagic"},
        {"nmagic", JIT_FLAG, JIT_KEEP, NULL},
        {"no-apply-dynamic-relocs", JIT_FLAG, JIT_KEEP, NULL},
        {"no-eh-frame-hdr", JIT_FLAG, JIT_KEEP, NULL},
        {"no-export-dynamic", JIT_FLAG, JIT_KEEP, NULL},
        {"no-gc-sections", JIT_FLAG, JIT_KEEP, NULL},
        {"no-gnu-unique", JIT_FLAG, JIT_KEEP, NULL},
        {"no-relax", JIT_FLAG, JIT_KEEP, NULL},
        {"no-rosegment", JIT_FLAG, JIT_KEEP, NULL},
        {"noinhibit-exec", JIT_FLAG, JIT_KEEP, NULL},
        {"omagic", JIT_FLAG, JIT_KEEP, NULL},
        {"pack-dyn-relocs", JIT_VALUE, JIT_KEEP, NULL},
        {"package-metadata", JIT_VALUE, JIT_KEEP, NULL},
        {"q", JIT_FLAG, JIT_KEEP, "emit-relocs"},
        {"relax", JIT_FLAG, JIT_KEEP, NULL},
        {"require-defined", JIT_VALUE, JIT_KEEP, "undefined"},
        {"rosegment", JIT_FLAG, JIT_KEEP, NULL},
        {"s", JIT_FLAG, JIT_KEEP, "strip-all"},
        {"strip-all", JIT_FLAG, JIT_KEEP, NULL},
        {"strip-debug", JIT_FLAG, JIT_KEEP, NULL},
        {"u", JIT_JOINED, JIT_KEEP, "undefined"},
        {"undefined", JIT_VALUE, JIT_KEEP, NULL},
        {"unresolved-symbols", JIT_VALUE, JIT_KEEP, NULL},
        {"warn-unresolved-symbols", JIT_FLAG, JIT_KEEP, NULL},
        {"wrap", JIT_VALUE, JIT_KEEP, NULL},
        {"x", JIT_FLAG, JIT_KEEP, "discard-all"},
        {"dynamic-list", JIT_VALUE, JIT_KEEP_FILE, NULL},
        {"export-dynamic-symbol-list", JIT_VALUE, JIT_KEEP_FILE, NULL},
        {"retain-symbols-file", JIT_VALUE, JIT_KEEP_FILE, NULL},
        {"symbol-ordering-file", JIT_VALUE, JIT_KEEP_FILE, NULL},
        {"version-script", JIT_VALUE, JIT_KEEP_FILE, NULL},

        /* Files, places, what the finished ELF says itself: jit_link_line.c knows them by name. */
        {"(", JIT_FLAG, JIT_DROP, NULL},
        {")", JIT_FLAG, JIT_DROP, NULL},
        {"Bdynamic", JIT_FLAG, JIT_STATE, NULL},
        {"Bshareable", JIT_FLAG, JIT_STATE, NULL},
        {"Bstatic", JIT_FLAG, JIT_STATE, NULL},
        {"I", JIT_JOINED, JIT_DROP, NULL},
        {"L", JIT_JOINED, JIT_STATE, NULL},
        {"R", JIT_JOINED, JIT_STATE, NULL},
        {"as-needed", JIT_FLAG, JIT_STATE, NULL},
        {"call_shared", JIT_FLAG, JIT_STATE, NULL},
        {"dn", JIT_FLAG, JIT_STATE, NULL},
        {"dy", JIT_FLAG, JIT_STATE, NULL},
        {"dynamic-linker", JIT_VALUE, JIT_DROP, NULL},
        {"exclude-libs", JIT_VALUE, JIT_STATE, NULL},
        {"h", JIT_JOINED, JIT_DROP, NULL},
        {"just-symbols", JIT_VALUE, JIT_NATIVE, SCRIPT},
        {"l", JIT_JOINED, JIT_STATE, NULL},
        {"library", JIT_VALUE, JIT_STATE, NULL},
        {"library-path", JIT_VALUE, JIT_STATE, NULL},
        {"m", JIT_JOINED, JIT_STATE, NULL},
        {"no-as-needed", JIT_FLAG, JIT_STATE, NULL},
        {"no-dynamic-linker", JIT_FLAG, JIT_STATE, NULL},
        {"no-pie", JIT_FLAG, JIT_STATE, NULL},
        {"no-whole-archive", JIT_FLAG, JIT_STATE, NULL},
        {"non_shared", JIT_FLAG, JIT_STATE, NULL},
        {"o", JIT_JOINED, JIT_STATE, NULL},
        {"output", JIT_VALUE, JIT_STATE, NULL},
        {"pic-executable", JIT_FLAG, JIT_STATE, NULL},
        {"pie", JIT_FLAG, JIT_STATE, NULL},
        {"plugin", JIT_VALUE, JIT_STATE, NULL},
        {"pop-state", JIT_FLAG, JIT_STATE, NULL},
        {"push-state", JIT_FLAG, JIT_STATE, NULL},
        {"r", JIT_FLAG, JIT_STATE, NULL},
        {"relocatable", JIT_FLAG, JIT_STATE, NULL},
        {"shared", JIT_FLAG, JIT_STATE, NULL},
        {"static", JIT_FLAG, JIT_STATE, NULL},
        {"sysroot", JIT_VALUE, JIT_STATE, NULL},
        {"whole-archive", JIT_FLAG, JIT_STATE, NULL},
        {"z", JIT_JOINED, JIT_STATE, NULL},

        /* Cannot be made again. */
        {"A", JIT_JOINED, JIT_NATIVE, FOREIGN},
        {"Bgroup", JIT_FLAG, JIT_NATIVE, "ld.lld has no -Bgroup"},
        {"EB", JIT_FLAG, JIT_NATIVE, FOREIGN},
        {"P", JIT_JOINED, JIT_NATIVE, AUDIT},
        {"T", JIT_JOINED, JIT_NATIVE, SCRIPT},
        {"Tbss", JIT_VALUE, JIT_NATIVE, SCRIPT},
        {"Tdata", JIT_VALUE, JIT_NATIVE, SCRIPT},
        {"Tldata-segment", JIT_VALUE, JIT_NATIVE, SCRIPT},
        {"Trodata-segment", JIT_VALUE, JIT_NATIVE, SCRIPT},
        {"Ttext", JIT_VALUE, JIT_NATIVE, SCRIPT},
        {"Ttext-segment", JIT_VALUE, JIT_NATIVE, SCRIPT},
        {"Ur", JIT_FLAG, JIT_NATIVE, SCRIPT},
        {"architecture", JIT_VALUE, JIT_NATIVE, FOREIGN},
        {"audit", JIT_VALUE, JIT_NATIVE, AUDIT},
        {"b", JIT_JOINED, JIT_STATE, NULL},
        {"c", JIT_JOINED, JIT_NATIVE, SCRIPT},
        {"dT", JIT_JOINED, JIT_NATIVE, SCRIPT},
        {"default-imported-symver", JIT_FLAG, JIT_NATIVE, "ld.lld has no default symbol versions"},
        {"default-script", JIT_VALUE, JIT_NATIVE, SCRIPT},
        {"default-symver", JIT_FLAG, JIT_NATIVE, "ld.lld has no default symbol versions"},
        {"depaudit", JIT_VALUE, JIT_NATIVE, AUDIT},
        {"dynamic-list-cpp-new", JIT_FLAG, JIT_NATIVE, "ld.lld has no built-in symbol lists"},
        {"dynamic-list-cpp-typeinfo", JIT_FLAG, JIT_NATIVE, "ld.lld has no built-in symbol lists"},
        {"dynamic-list-data", JIT_FLAG, JIT_NATIVE, "ld.lld has no built-in symbol lists"},
        {"format", JIT_VALUE, JIT_STATE, NULL},
        {"ignore-unresolved-symbol", JIT_VALUE, JIT_NATIVE,
                "ld.lld cannot leave single symbols out"},
        {"mri-script", JIT_VALUE, JIT_NATIVE, SCRIPT},
        {"oformat", JIT_VALUE, JIT_STATE, NULL},
        {"overlay", JIT_FLAG, JIT_NATIVE, SCRIPT},
        {"remap-inputs", JIT_VALUE, JIT_NATIVE, FOREIGN},
        {"remap-inputs-file", JIT_VALUE, JIT_NATIVE, FOREIGN},
        {"script", JIT_VALUE, JIT_NATIVE, SCRIPT},
        {"section-start", JIT_VALUE, JIT_NATIVE, SCRIPT},
        {"task-link", JIT_VALUE, JIT_NATIVE, SCRIPT},

        /* Checks, messages, searching, speed and layout: nothing that a program can observe. */
        {"EL", JIT_FLAG, JIT_DROP, NULL},
        {"G", JIT_JOINED, JIT_DROP, NULL},
        {"M", JIT_FLAG, JIT_DROP, NULL},
        {"Map", JIT_VALUE, JIT_DROP, NULL},
        {"Qy", JIT_FLAG, JIT_DROP, NULL},
        {"V", JIT_FLAG, JIT_DROP, NULL},
        {"Y", JIT_JOINED, JIT_DROP, NULL},
        {"accept-unknown-input-arch", JIT_FLAG, JIT_DROP, NULL},
        {"add-needed", JIT_FLAG, JIT_DROP, NULL},
        {"allow-shlib-undefined", JIT_FLAG, JIT_DROP, NULL},
        {"as-needed-libs", JIT_FLAG, JIT_DROP, NULL},
        {"assert", JIT_VALUE, JIT_DROP, NULL},
        {"call-graph-profile-sort", JIT_OPTIONAL, JIT_DROP, NULL},
        {"color-diagnostics", JIT_OPTIONAL, JIT_DROP, NULL},
        {"compress-debug-sections", JIT_OPTIONAL, JIT_DROP, NULL},
        {"copy-dt-needed-entries", JIT_FLAG, JIT_DROP, NULL},
        {"cref", JIT_FLAG, JIT_DROP, NULL},
        {"ctf-share-types", JIT_VALUE, JIT_DROP, NULL},
        {"ctf-variables", JIT_FLAG, JIT_DROP, NULL},
        {"d", JIT_FLAG, JIT_DROP, NULL},
        {"dc", JIT_FLAG, JIT_DROP, NULL},
        {"define-common", JIT_FLAG, JIT_DROP, NULL},
        {"demangle", JIT_OPTIONAL, JIT_DROP, NULL},
        {"dependency-file", JIT_VALUE, JIT_DROP, NULL},
        {"disable-multiple-abs-defs", JIT_FLAG, JIT_DROP, NULL},
        {"disable-new-dtags", JIT_FLAG, JIT_DROP, NULL},
        {"dp", JIT_FLAG, JIT_DROP, NULL},
        {"embedded-relocs", JIT_FLAG, JIT_DROP, NULL},
        {"emit-stub-syms", JIT_FLAG, JIT_DROP, NULL},
        {"enable-new-dtags", JIT_FLAG, JIT_DROP, NULL},
        {"end-group", JIT_FLAG, JIT_DROP, NULL},
        {"end-lib", JIT_FLAG, JIT_DROP, NULL},
        {"error-handling-script", JIT_VALUE, JIT_DROP, NULL},
        {"error-limit", JIT_VALUE, JIT_DROP, NULL},
        {"error-unresolved-symbols", JIT_FLAG, JIT_DROP, NULL},
        {"fat-lto-objects", JIT_FLAG, JIT_DROP, NULL},
        {"fatal-warnings", JIT_FLAG, JIT_DROP, NULL},
        {"flto", JIT_OPTIONAL, JIT_DROP, NULL},
        {"flto-partition", JIT_VALUE, JIT_DROP, NULL},
        {"force-exe-suffix", JIT_FLAG, JIT_DROP, NULL},
        {"force-group-allocation", JIT_FLAG, JIT_DROP, NULL},
        {"fuse-ld", JIT_VALUE, JIT_DROP, NULL},
        {"g", JIT_FLAG, JIT_DROP, NULL},
        {"gdb-index", JIT_FLAG, JIT_DROP, NULL},
        {"gpsize", JIT_VALUE, JIT_DROP, NULL},
        {"hash-size", JIT_VALUE, JIT_DROP, NULL},
        {"i", JIT_FLAG, JIT_STATE, NULL},
        {"map-whole-files", JIT_FLAG, JIT_DROP, NULL},
        {"max-cache-size", JIT_VALUE, JIT_DROP, NULL},
        {"mllvm", JIT_VALUE, JIT_DROP, NULL},
        {"mmap-output-file", JIT_FLAG, JIT_DROP, NULL},
        {"nostdlib", JIT_FLAG, JIT_DROP, NULL},
        {"opt-remarks-filename", JIT_VALUE, JIT_DROP, NULL},
        {"optimize-bb-jumps", JIT_FLAG, JIT_DROP, NULL},
        {"orphan-handling", JIT_VALUE, JIT_STATE, NULL},
        {"out-implib", JIT_VALUE, JIT_DROP, NULL},
        {"plugin-opt", JIT_JOINED, JIT_DROP, NULL},
        {"pass-exit-codes", JIT_FLAG, JIT_DROP, NULL},
        {"qmagic", JIT_FLAG, JIT_DROP, NULL},
        {"reduce-memory-overheads", JIT_FLAG, JIT_DROP, NULL},
        {"reproduce", JIT_VALUE, JIT_DROP, NULL},
        {"rpath", JIT_VALUE, JIT_DROP, NULL},
        {"rpath-link", JIT_VALUE, JIT_DROP, NULL},
        {"save-temps", JIT_OPTIONAL, JIT_DROP, NULL},
        {"soname", JIT_VALUE, JIT_DROP, NULL},
        {"sort-common", JIT_OPTIONAL, JIT_DROP, NULL},
        {"sort-section", JIT_VALUE, JIT_DROP, NULL},
        {"spare-dynamic-tags", JIT_VALUE, JIT_DROP, NULL},
        {"split-by-file", JIT_OPTIONAL, JIT_DROP, NULL},
        {"split-by-reloc", JIT_OPTIONAL, JIT_DROP, NULL},
        {"start-group", JIT_FLAG, JIT_DROP, NULL},
        {"start-lib", JIT_FLAG, JIT_DROP, NULL},
        {"stats", JIT_FLAG, JIT_DROP, NULL},
        {"t", JIT_FLAG, JIT_DROP, NULL},
        {"target-help", JIT_FLAG, JIT_DROP, NULL},
        {"threads", JIT_OPTIONAL, JIT_DROP, NULL},
        {"time-trace", JIT_OPTIONAL, JIT_DROP, NULL},
        {"time-trace-granularity", JIT_VALUE, JIT_DROP, NULL},
        {"trace", JIT_FLAG, JIT_DROP, NULL},
        {"trace-symbol", JIT_VALUE, JIT_DROP, NULL},
        {"traditional-format", JIT_FLAG, JIT_DROP, NULL},
        {"undefined-glob", JIT_VALUE, JIT_KEEP, NULL},
        {"undefined-version", JIT_FLAG, JIT_DROP, NULL},
        {"unique", JIT_OPTIONAL, JIT_DROP, NULL},
        {"v", JIT_FLAG, JIT_DROP, NULL},
        {"verbose", JIT_OPTIONAL, JIT_DROP, NULL},
        {"version", JIT_FLAG, JIT_DROP, NULL},
        {"w", JIT_FLAG, JIT_DROP, NULL},
        {"why-extract", JIT_VALUE, JIT_DROP, NULL},
        {"y", JIT_JOINED, JIT_DROP, NULL},
};

/* Families in which every member only checks, warns, prints or tunes the linker. */
static const struct jit_link_option families[] = {
        {"warn-", JIT_FLAG, JIT_DROP, NULL},
        {"no-warn", JIT_FLAG, JIT_DROP, NULL},
        {"no-error-", JIT_FLAG, JIT_DROP, NULL},
        {"error-", JIT_FLAG, JIT_DROP, NULL},
        {"print-", JIT_FLAG, JIT_DROP, NULL},
        {"no-print-", JIT_FLAG, JIT_DROP, NULL},
        {"lto-", JIT_FLAG, JIT_DROP, NULL},
        {"no-lto-", JIT_FLAG, JIT_DROP, NULL},
        {"thinlto-", JIT_FLAG, JIT_DROP, NULL},
        {"plugin-opt=", JIT_FLAG, JIT_DROP, NULL},
        {"plugin-save-temps", JIT_FLAG, JIT_DROP, NULL},
        {"vs-diagnostics", JIT_FLAG, JIT_DROP, NULL},
};

/* "--no-X" of an option that has no effect has none either. */
static const char *const harmless_negatives[] = {"accept-unknown-input-arch", "add-needed",
        "allow-shlib-undefined", "call-graph-profile-sort", "check-sections", "color-diagnostics",
        "copy-dt-needed-entries", "ctf-variables", "define-common", "demangle", "fat-lto-objects",
        "fatal-warnings", "gdb-index", "keep-memory", "ld-generated-unwind-info", "map-whole-files",
        "mmap-output-file", "omagic", "optimize-bb-jumps", "threads", "undefined-version",
        "allow-multiple-definition", "fortran-common", "cref", "disable-multiple-abs-defs",
        "nmagic"};

static const struct jit_link_option drop_flag = {"", JIT_FLAG, JIT_DROP, NULL};
static const struct jit_link_option demand_defined = {
        "no-undefined", JIT_FLAG, JIT_KEEP, "no-undefined"};

static const struct jit_link_option keywords[] = {
        {"combreloc", JIT_FLAG, JIT_KEEP, NULL},
        {"common-page-size", JIT_VALUE, JIT_KEEP, NULL},
        {"copyreloc", JIT_FLAG, JIT_KEEP, NULL},
        {"defs", JIT_FLAG, JIT_KEEP, NULL},
        {"execstack", JIT_FLAG, JIT_KEEP, NULL},
        {"force-ibt", JIT_FLAG, JIT_KEEP, NULL},
        {"global", JIT_FLAG, JIT_KEEP, NULL},
        {"hazardplt", JIT_FLAG, JIT_KEEP, NULL},
        {"ifunc-noplt", JIT_FLAG, JIT_KEEP, NULL},
        {"initfirst", JIT_FLAG, JIT_KEEP, NULL},
        {"interpose", JIT_FLAG, JIT_KEEP, NULL},
        {"keep-text-section-prefix", JIT_FLAG, JIT_KEEP, NULL},
        {"lazy", JIT_FLAG, JIT_KEEP, NULL},
        {"max-page-size", JIT_VALUE, JIT_KEEP, NULL},
        {"muldefs", JIT_FLAG, JIT_KEEP, NULL},
        {"nocombreloc", JIT_FLAG, JIT_KEEP, NULL},
        {"nocopyreloc", JIT_FLAG, JIT_KEEP, NULL},
        {"nodefaultlib", JIT_FLAG, JIT_KEEP, NULL},
        {"nodelete", JIT_FLAG, JIT_KEEP, NULL},
        {"nodlopen", JIT_FLAG, JIT_KEEP, NULL},
        {"noexecstack", JIT_FLAG, JIT_KEEP, NULL},
        {"nognustack", JIT_FLAG, JIT_KEEP, NULL},
        {"norelro", JIT_FLAG, JIT_KEEP, NULL},
        {"noseparate-code", JIT_FLAG, JIT_KEEP, NULL},
        {"nostart-stop-gc", JIT_FLAG, JIT_KEEP, NULL},
        {"notext", JIT_FLAG, JIT_KEEP, NULL},
        {"now", JIT_FLAG, JIT_KEEP, NULL},
        {"origin", JIT_FLAG, JIT_KEEP, NULL},
        {"pack-relative-relocs", JIT_FLAG, JIT_KEEP, NULL},
        {"rela", JIT_FLAG, JIT_KEEP, NULL},
        {"relro", JIT_FLAG, JIT_KEEP, NULL},
        {"retpolineplt", JIT_FLAG, JIT_KEEP, NULL},
        {"rodynamic", JIT_FLAG, JIT_KEEP, NULL},
        {"separate-code", JIT_FLAG, JIT_KEEP, NULL},
        {"separate-loadable-segments", JIT_FLAG, JIT_KEEP, NULL},
        {"shstk", JIT_FLAG, JIT_KEEP, NULL},
        {"stack-size", JIT_VALUE, JIT_KEEP, NULL},
        {"start-stop-gc", JIT_FLAG, JIT_KEEP, NULL},
        {"start-stop-visibility", JIT_VALUE, JIT_KEEP, NULL},
        {"text", JIT_FLAG, JIT_KEEP, NULL},
        {"undefs", JIT_FLAG, JIT_KEEP, NULL},
        {"wxneeded", JIT_FLAG, JIT_KEEP, NULL},
        /* Marks and checks that only GNU ld knows, and properties that come from the objects. */
        {"bndplt", JIT_FLAG, JIT_DROP, NULL},
        {"bti-report", JIT_VALUE, JIT_DROP, NULL},
        {"call-nop", JIT_VALUE, JIT_DROP, NULL},
        {"cet-report", JIT_VALUE, JIT_DROP, NULL},
        {"common", JIT_FLAG, JIT_DROP, NULL},
        {"dead-reloc-in-nonalloc", JIT_VALUE, JIT_DROP, NULL},
        {"dynamic-undefined-weak", JIT_FLAG, JIT_DROP, NULL},
        {"extern-protected-data", JIT_FLAG, JIT_DROP, NULL},
        {"gcs-report", JIT_VALUE, JIT_DROP, NULL},
        {"ibt", JIT_FLAG, JIT_KEEP, "force-ibt"},
        {"ibtplt", JIT_FLAG, JIT_DROP, NULL},
        {"lam-u48", JIT_FLAG, JIT_DROP, NULL},
        {"lam-u48-report", JIT_VALUE, JIT_DROP, NULL},
        {"lam-u57", JIT_FLAG, JIT_DROP, NULL},
        {"lam-u57-report", JIT_VALUE, JIT_DROP, NULL},
        {"loadfltr", JIT_FLAG, JIT_DROP, NULL},
        {"mark-plt", JIT_FLAG, JIT_DROP, NULL},
        {"memory-seal", JIT_FLAG, JIT_DROP, NULL},
        {"nocommon", JIT_FLAG, JIT_DROP, NULL},
        {"nodump", JIT_FLAG, JIT_DROP, NULL},
        {"nodynamic-undefined-weak", JIT_FLAG, JIT_DROP, NULL},
        {"noextern-protected-data", JIT_FLAG, JIT_DROP, NULL},
        {"noindirect-extern-access", JIT_FLAG, JIT_DROP, NULL},
        {"nomark-plt", JIT_FLAG, JIT_DROP, NULL},
        {"nomemory-seal", JIT_FLAG, JIT_DROP, NULL},
        {"nopack-relative-relocs", JIT_FLAG, JIT_DROP, NULL},
        {"noreloc-overflow", JIT_FLAG, JIT_DROP, NULL},
        {"nosectionheader", JIT_FLAG, JIT_NATIVE, "a record needs section headers"},
        {"nounique-symbol", JIT_FLAG, JIT_DROP, NULL},
        {"report-relative-reloc", JIT_FLAG, JIT_DROP, NULL},
        {"sectionheader", JIT_FLAG, JIT_DROP, NULL},
        {"unique-symbol", JIT_FLAG, JIT_DROP, NULL},
        {"x86-64-baseline", JIT_FLAG, JIT_DROP, NULL},
        {"x86-64-v2", JIT_FLAG, JIT_DROP, NULL},
        {"x86-64-v3", JIT_FLAG, JIT_DROP, NULL},
        {"x86-64-v4", JIT_FLAG, JIT_DROP, NULL},
};

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static const struct jit_link_option *by_name(
        const struct jit_link_option *table, size_t n, const char *name, size_t length)
{
        for (size_t i = 0; i < n; i++)
                if (strlen(table[i].name) == length && memcmp(table[i].name, name, length) == 0)
                        return &table[i];
        return NULL;
}

static const struct jit_link_option *negative(const char *name, size_t length)
{
        if (length == 12 && memcmp(name, "no-undefined", 12) == 0)
                return &demand_defined;
        if (length < 4 || memcmp(name, "no-", 3) != 0)
                return NULL;
        for (size_t i = 0; i < COUNT(harmless_negatives); i++)
                if (strlen(harmless_negatives[i]) == length - 3 &&
                        memcmp(harmless_negatives[i], name + 3, length - 3) == 0)
                        return &drop_flag;
        return NULL;
}

/* "-lfoo", "-O2", "-znow": one letter and its value in one word. */
static const struct jit_link_option *joined(const char *name, const char **ret_value)
{
        if (strncmp(name, "plugin-opt=", 11) == 0 || name[1] == 0)
                return NULL;
        const struct jit_link_option *option = by_name(options, COUNT(options), name, 1);
        if (!option || (option->arity != JIT_JOINED && option->arity != JIT_JOINED_ONLY))
                return NULL;
        *ret_value = name + 1;
        return option;
}

const struct jit_link_option *jit_link_option_find(const char *text, const char **ret_value)
{
        *ret_value = NULL;
        bool two_dashes = strncmp(text, "--", 2) == 0;
        const char *name = text + (two_dashes ? 2 : 1);
        size_t length = strcspn(name, "=");
        /* ld reads "-omagic" as "-o magic", and so for every one-dash word that begins with o. */
        const struct jit_link_option *option = NULL;
        if (!two_dashes && name[0] == 'o' && name[1] != 0)
                return joined(name, ret_value);
        option = by_name(options, COUNT(options), name, length);
        if (option && name[length] == '=' && length == 1 && !two_dashes)
                option = NULL; /* "-l=x" is library "=x" */
        if (!option)
                option = negative(name, length);
        if (option) {
                if (name[length] == '=' && option->arity != JIT_FLAG)
                        *ret_value = name + length + 1;
                return option;
        }
        for (size_t i = 0; i < COUNT(families); i++)
                if (strncmp(name, families[i].name, strlen(families[i].name)) == 0)
                        return &families[i];
        return two_dashes ? NULL : joined(name, ret_value);
}

const struct jit_link_option *jit_link_keyword_find(const char *text)
{
        size_t length = strcspn(text, "=");
        const struct jit_link_option *keyword = by_name(keywords, COUNT(keywords), text, length);
        if (keyword && (keyword->arity == JIT_VALUE) != (text[length] == '='))
                return NULL;
        return keyword;
}

bool jit_link_option_may_stand(const char *text, bool has_file)
{
        if (strncmp(text, "-z ", 3) == 0) {
                const struct jit_link_option *keyword = jit_link_keyword_find(text + 3);
                return keyword && keyword->meaning == JIT_KEEP && !has_file;
        }
        if (strncmp(text, "-O", 2) == 0)
                return !has_file && text[2] >= '0' && text[2] <= '3' && text[3] == 0;
        if (strncmp(text, "--", 2) != 0)
                return false;
        const char *value = NULL;
        const struct jit_link_option *option = jit_link_option_find(text, &value);
        if (!option || option->meaning == JIT_NATIVE || strlen(option->name) < 2 ||
                (option->meaning == JIT_KEEP && option->canonical &&
                        strcmp(option->canonical, option->name) != 0))
                return false;
        if (has_file)
                return option->meaning == JIT_KEEP_FILE && value && value[0] == 0;
        if (option->meaning != JIT_KEEP)
                return false;
        if (option->arity == JIT_VALUE)
                return value != NULL;
        return option->arity == JIT_OPTIONAL || text[2 + strlen(option->name)] == 0;
}
