/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_bitcode_profile.h"

#include "jit_bitcode_loops.h"

#include <errno.h>
#include <llvm-c/Error.h>
#include <llvm-c/Support.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int run_passes(LLVMModuleRef module, const char *passes, char **ret_reason)
{
        LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
        LLVMErrorRef error = LLVMRunPasses(module, passes, NULL, options);

        LLVMDisposePassBuilderOptions(options);
        if (!error)
                return 0;
        char *message = LLVMGetErrorMessage(error);
        *ret_reason = strdup(message);
        LLVMDisposeErrorMessage(message);
        return -EBADMSG;
}

int jit_bitcode_count(struct jit_bitcode_module *module, char **ret_reason)
{
        return run_passes(module->module, "pgo-instr-gen,instrprof", ret_reason);
}

/* There is no call for it in the C interface; the option is what the pass itself reads. */
void jit_bitcode_profile_open(const char *path)
{
        char option[64];
        const char *const argv[] = {"xaas-bitcode", option};

        snprintf(option, sizeof option, "-pgo-test-profile-file=%s", path);
        LLVMParseCommandLineOptions(2, argv, NULL);
}

static bool has_counts(LLVMValueRef function, unsigned kind)
{
        size_t n;
        LLVMValueMetadataEntry *entries = LLVMGlobalCopyAllMetadata(function, &n);
        bool found = false;

        for (unsigned i = 0; i < n; i++)
                found |= LLVMValueMetadataEntriesGetKind(entries, i) == kind;
        LLVMDisposeValueMetadataEntries(entries);
        return found;
}

static void count_functions(LLVMModuleRef module, struct jit_bitcode_profiled *ret)
{
        const unsigned kind = LLVMGetMDKindIDInContext(LLVMGetModuleContext(module), "prof", 4);

        for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
                if (LLVMIsDeclaration(f))
                        continue;
                ret->functions++;
                ret->profiled += has_counts(f, kind);
        }
}

int jit_bitcode_use_profile(
        struct jit_bitcode_module *module, struct jit_bitcode_profiled *ret, char **ret_reason)
{
        const unsigned warned = module->warnings;
        char *complaint = module->complaint;

        /* What LLVM says of a profile that it cannot read is an error for it, and none for us. */
        module->complaint = NULL;
        int r = run_passes(module->module, "pgo-instr-use", ret_reason);
        *ret = (struct jit_bitcode_profiled){
                .changed = module->warnings - warned, .unreadable = module->complaint != NULL};
        free(module->complaint);
        module->complaint = complaint;
        count_functions(module->module, ret);
        return r < 0 ? r : jit_bitcode_keep_long_loops(module->module);
}
