/* SPDX-License-Identifier: Apache-2.0 */
#include "cc_flags.h"

#include <stddef.h>
#include <string.h>

/* A pattern that ends in '*' stands for every flag that begins so. */
static bool matches(const char *flag, const char *pattern)
{
        size_t length = strlen(pattern);
        if (pattern[length - 1] == '*')
                return strncmp(flag, pattern, length - 1) == 0;
        return strcmp(flag, pattern) == 0;
}

static bool matches_any(const char *flag, const char *const *patterns)
{
        for (; *patterns; patterns++)
                if (matches(flag, *patterns))
                        return true;
        return false;
}

/* clang 19 --help-hidden, flang 19 --help, gcc 12 --help=common. */
bool cc_flag_takes_value(const char *flag)
{
        static const char *const with_value[] = {"-o", "-x", "-I", "-D", "-U", "-L", "-l", "-F",
                "-T", "-u", "-z", "-e", "-B", "-A", "-G", "-h", "-include", "-imacros", "-isystem",
                "-idirafter", "-iquote", "-iprefix", "-iwithprefix", "-iwithprefixbefore",
                "-isysroot", "-imultilib", "-include-pch", "-cxx-isystem", "-c-isystem", "-MF",
                "-MT", "-MQ", "-MJ", "-Xclang", "-Xlinker", "-Xassembler", "-Xpreprocessor",
                "-Xanalyzer", "-Xopenmp-target", "-Xcuda-ptxas", "-arch", "-target", "--target",
                "-mllvm", "-framework", "-rpath", "--param", "-aux-info", "-dumpbase", "-dumpdir",
                "-dumpbase-ext", "-working-directory", "--sysroot", "-wrapper", "-specs",
                "--include", "--define-macro", "--undefine-macro", "--include-directory",
                "--library-directory", "--output", "--language", "--serialize-diagnostics",
                "-serialize-diagnostics", "-undef-symbol", "-soname", "-dynamic-linker",
                "-mthread-model", "-gcc-toolchain", "--gcc-toolchain-dir", "-fplugin-arg",
                "-install_name", "-ftrapv-handler", "-stdlib++-isystem", "-J", "-module-dir",
                "-fintrinsic-modules-path", "-mmlir", "-Xflang", NULL};
        return matches_any(flag, with_value) || strncmp(flag, "-Xarch_", 7) == 0;
}

/* Found by giving every flag of `gcc-12 --help=common,target,optimizers,c,c++` and its negative
 * to clang 19 with -Werror; what changes the meaning of a program or its ABI is not here. */
static const char *const understood[] = {"-ftree-vectorize", "-fno-tree-vectorize",
        "-ftree-slp-vectorize", "-fno-tree-slp-vectorize", "-ftree-ter", "-fno-tree-ter",
        "-ftree-vrp", "-fno-tree-vrp", "-ftree-dce", "-fno-tree-dce", "-finline-functions",
        "-fno-inline-functions", "-fno-inline", "-finline-hint-functions", "-finstrument-functions",
        "-fprofile-use=*", NULL};
static const char *const gcc_only[] = {"--param=*", "-faggressive-loop-optimizations",
        "-fabi-compat-version=*", "-fabi-version=*", "-fallocation-dce", "-fallow-store-data-races",
        "-fanalyzer*", "-fno-analyzer*", "-fauto-inc-dec", "-fauto-profile*", "-fbit-tests",
        "-fbranch-count-reg", "-fbranch-probabilities", "-fbranch-target-load-optimize*",
        "-fcaller-saves", "-fcallgraph-info*", "-fcanonical-system-headers", "-fchecking*",
        "-fcode-hoisting", "-fcombine-stack-adjustments", "-fcompare-debug*", "-fcompare-elim",
        "-fconserve-stack", "-fcprop-registers", "-fcrossjumping", "-fcse-*", "-fcx-fortran-rules",
        "-fdce", "-fdeclone-ctor-dtor", "-fdefer-pop", "-fdelayed-branch",
        "-fdelete-dead-exceptions", "-fdevirtualize*", "-fdiagnostics-column-*",
        "-fdiagnostics-escape-format=*", "-fdiagnostics-format=*", "-fdiagnostics-generate-patch",
        "-fdiagnostics-minimum-margin-width=*", "-fdiagnostics-path-format=*",
        "-fdiagnostics-plain-output", "-fdiagnostics-show-caret", "-fdiagnostics-show-cwe",
        "-fdiagnostics-show-labels", "-fdiagnostics-show-location=*",
        "-fdiagnostics-show-path-depths", "-fdiagnostics-urls=*", "-fdse", "-fdump-*",
        "-fearly-inlining", "-feliminate-dwarf2-dups", "-femit-class-debug-always",
        "-femit-struct-debug-*", "-fexpensive-optimizations", "-fextended-identifiers",
        "-fextern-tls-init", "-ffat-lto-objects", "-ffloat-store", "-ffold-simple-inlines",
        "-fforward-propagate", "-ffp-int-builtin-inexact", "-ffunction-cse", "-fgcse*",
        "-fgnu-unique", "-fgraphite*", "-fguess-branch-probability", "-fharden-*", "-fhardened",
        "-fhoist-adjacent-loads", "-fif-conversion*", "-fimplicit-inline-templates",
        "-findirect-inlining", "-finline-atomics", "-finline-functions-called-once",
        "-finline-limit*", "-finline-small-functions", "-fipa-*", "-fira-*",
        "-fisolate-erroneous-paths-*", "-fivopts", "-fkeep-inline-functions",
        "-fkeep-gc-roots-live", "-fleading-underscore", "-freg-struct-return",
        "-fprofile-info-section*", "-ftime-report-details", "-ftrampolines", "-mfancy-math-387",
        "-fkeep-static-functions", "-flarge-source-files", "-flifetime-dse*",
        "-flimit-function-alignment", "-flive-patching*", "-flive-range-shrinkage", "-floop-*",
        "-flra-*", "-fmem-report*", "-fmerge-constants", "-fmerge-debug-strings", "-fmodulo-sched*",
        "-fmove-loop-*", "-fnew-inheriting-ctors", "-fnew-ttp-matching", "-fnonansi-builtins",
        "-fnothrow-opt", "-fopt-info*", "-foptimize-strlen", "-foptimize-register-move",
        "-fpartial-inlining", "-fpch-deps", "-fpeel-loops", "-fpeephole*", "-fplugin-arg-*",
        "-fplugin=*", "-fpost-ipa-mem-report", "-fpre-ipa-mem-report", "-fpredictive-commoning",
        "-fprefetch-loop-arrays", "-fpretty-templates", "-fprintf-return-value",
        "-fprofile-abs-path", "-fprofile-correction", "-fprofile-note=*",
        "-fprofile-partial-training", "-fprofile-prefix-*", "-fprofile-reorder-functions",
        "-fprofile-report", "-fprofile-reproducible=*", "-fprofile-use", "-fprofile-values",
        "-free", "-fregmove", "-frename-registers", "-freorder-*", "-freport-bug", "-frerun-*",
        "-freschedule-modulo-scheduled-loops", "-fsched*", "-fschedule-*", "-fsection-anchors",
        "-fsel-sched*", "-fselective-scheduling*", "-fshrink-wrap*", "-fsimd-cost-model=*",
        "-fsplit-ivs-in-unroller", "-fsplit-loops", "-fsplit-paths", "-fsplit-wide-types*",
        "-fssa-*", "-fstack-check*", "-fstack-reuse=*", "-fstats", "-fstdarg-opt",
        "-fstore-merging", "-fstrict-volatile-bitfields", "-fstrong-eval-order*", "-fthread-jumps",
        "-ftoplevel-reorder", "-ftracer", "-ftrack-macro-expansion*", "-ftree-*",
        "-funconstrained-commons", "-funroll-all-loops", "-funswitch-loops", "-fuse-linker-plugin",
        "-fvar-tracking*", "-fvariable-expansion-in-unroller", "-fvect-cost-model*",
        "-fversion-loops-for-strides", "-fvpt", "-fvtable-verify=*", "-fweb", "-fwhole-program",
        "-fworking-directory", "-fzee", "-gas-loc-support", "-gas-locview-support", "-gbtf",
        "-gctf*", "-gdescribe-dies", "-ginline-points", "-ginternal-reset-location-views",
        "-gno-as-loc*", "-gno-describe-dies", "-gno-inline-points",
        "-gno-internal-reset-location-views", "-gno-statement-frontiers",
        "-gno-variable-location-views*", "-gstabs*", "-gstatement-frontiers",
        "-gvariable-location-views*", "-gvms", "-m128bit-long-double", "-m8bit-idiv",
        "-maccumulate-outgoing-args", "-malign-data=*", "-malign-stringops", "-mavx256-split-*",
        "-mbranch-cost=*", "-mcall-ms2sysv-xlogues", "-mcld", "-mdispatch-scheduler",
        "-mdump-tune-features", "-mforce-drap", "-mincoming-stack-boundary=*",
        "-minline-all-stringops", "-minline-stringops-dynamically", "-mlarge-data-threshold=*",
        "-mmemcpy-strategy=*", "-mmemset-strategy=*", "-mmove-max=*", "-mmpx", "-mmwait",
        "-mneeded", "-mpreferred-stack-boundary=*", "-mpush-args", "-mrecord-mcount",
        "-mrelax-cmpxchg-loop", "-mstore-max=*", "-mstringop-strategy=*", "-mstv",
        "-mtls-dialect=gnu", "-mtune-ctrl=*", "-mveclibabi=*", "-shared-libgfortran",
        "-static-libgfortran", "-pass-exit-codes", "-time", "-specs=*", NULL};

bool cc_flag_is_gcc_only(const char *flag)
{
        if (matches_any(flag, understood))
                return false;
        if (matches_any(flag, gcc_only))
                return true;
        /* "-fno-X" and "-mno-X" of a flag that only gcc knows. */
        if (strncmp(flag, "-fno-", 5) != 0 && strncmp(flag, "-mno-", 5) != 0)
                return false;
        char positive[64] = {'-', flag[1]};
        size_t length = strlen(flag + 5);
        if (length + 3 > sizeof(positive))
                return false;
        memcpy(positive + 2, flag + 5, length);
        return !matches_any(positive, understood) && matches_any(positive, gcc_only);
}

bool cc_flag_is_lto(const char *flag)
{
        static const char *const lto[] = {"-flto", "-flto=*", "-flto-*", "-fno-lto",
                "-ffat-lto-objects", "-fno-fat-lto-objects", "-fuse-linker-plugin",
                "-fno-use-linker-plugin", "-fwhole-program-vtables", "-fno-whole-program-vtables",
                "-fsplit-lto-unit", "-fno-split-lto-unit", "-funified-lto", "-fno-unified-lto",
                "-fvirtual-function-elimination", "-fno-virtual-function-elimination",
                "-fembed-bitcode*", "-fno-embed-bitcode", NULL};
        return matches_any(flag, lto);
}

const char *cc_flag_forbids_bitcode(const char *flag)
{
        static const char *const profiling[] = {"--coverage", "-coverage", "-fprofile-arcs",
                "-ftest-coverage", "-fprofile-generate*", "-fprofile-instr-generate*",
                "-fcs-profile-generate*", "-fcoverage-mapping", NULL};
        static const char *const foreign[] = {"-m32", "-mx32", "-m16", NULL};
        if (strncmp(flag, "-fsanitize=", 11) == 0)
                return "sanitizers do not survive another link";
        if (matches_any(flag, profiling))
                return "profiling and coverage belong to one build";
        if (matches_any(flag, foreign))
                return "only 64-bit x86 ELF is compiled for the host";
        if (strcmp(flag, "-fno-integrated-as") == 0)
                return "bitcode needs clang's own assembler";
        return NULL;
}
