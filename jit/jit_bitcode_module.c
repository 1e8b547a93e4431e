/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_bitcode_module.h"

#include "fmt_cleanup.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/BitReader.h>
#include <llvm-c/BitWriter.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdbool.h>
#include <string.h>

/* What the pass embed-bitcode puts its result into. */
#define EMBEDDED "llvm.embedded.object"

static int refuse(char **ret_reason, const char *text, const char *detail)
{
        if (asprintf(ret_reason, "%s%s%s", text, detail ? ": " : "", detail ? detail : "") < 0)
                *ret_reason = NULL;
        return -EBADMSG;
}

/* LLVM's own handler ends the process at the first error. */
static void remember(LLVMDiagnosticInfoRef diagnostic, void *context)
{
        struct jit_bitcode_module *module = context;
        const LLVMDiagnosticSeverity severity = LLVMGetDiagInfoSeverity(diagnostic);

        module->warnings += severity == LLVMDSWarning;
        if (severity != LLVMDSError || module->complaint)
                return;
        char *text = LLVMGetDiagInfoDescription(diagnostic);
        module->complaint = strdup(text);
        LLVMDisposeMessage(text);
}

static int check_machine(LLVMModuleRef module, char **ret_reason)
{
        const char *triple = LLVMGetTarget(module);

        if (strncmp(triple, "x86_64-", 7) || !strstr(triple, "linux"))
                return refuse(ret_reason, "it is bitcode for another machine", triple);
        if (LLVMGetNamedGlobal(module, EMBEDDED))
                return refuse(ret_reason, "it brings embedded bitcode of its own", NULL);
        return 0;
}

static int verify(LLVMModuleRef module, char **ret_reason)
{
        char *message = NULL;
        int r = 0;

        if (LLVMVerifyModule(module, LLVMReturnStatusAction, &message)) {
                message[strcspn(message, "\n")] = 0;
                r = refuse(ret_reason, "it is not valid LLVM IR", message);
        }
        LLVMDisposeMessage(message);
        return r;
}

int jit_bitcode_module_read(
        const void *data, size_t size, struct jit_bitcode_module *ret, char **ret_reason)
{
        memset(ret, 0, sizeof(*ret));
        ret->context = LLVMContextCreate();
        LLVMContextSetDiagnosticHandler(ret->context, remember, ret);
        LLVMContextSetDiscardValueNames(ret->context, 1);
        LLVMMemoryBufferRef buffer = LLVMCreateMemoryBufferWithMemoryRange(data, size, "module", 0);
        LLVMBool failed = LLVMParseBitcodeInContext2(ret->context, buffer, &ret->module);
        LLVMDisposeMemoryBuffer(buffer);
        if (failed) {
                ret->module = NULL;
                return refuse(ret_reason, "LLVM cannot read its bitcode",
                        ret->complaint ? ret->complaint : "invalid");
        }
        int r = check_machine(ret->module, ret_reason);
        return r < 0 ? r : verify(ret->module, ret_reason);
}

void jit_bitcode_module_done(struct jit_bitcode_module *module)
{
        if (module->plain)
                LLVMDisposeMemoryBuffer(module->plain);
        if (module->module)
                LLVMDisposeModule(module->module);
        if (module->context)
                LLVMContextDispose(module->context);
        free(module->complaint);
        memset(module, 0, sizeof(*module));
}

static bool flag_value(LLVMModuleRef module, const char *name, unsigned long long *ret)
{
        LLVMMetadataRef flag = LLVMGetModuleFlag(module, name, strlen(name));

        if (!flag)
                return false;
        LLVMValueRef value = LLVMMetadataAsValue(LLVMGetModuleContext(module), flag);
        LLVMValueRef constant = LLVMIsAValueAsMetadata(value) ? value : NULL;
        *ret = 0;
        /* A constant wrapped as metadata is its only operand. */
        if (constant && LLVMGetNumOperands(constant) > 0)
                constant = LLVMGetOperand(constant, 0);
        if (constant && LLVMIsAConstantInt(constant))
                *ret = LLVMConstIntGetZExtValue(constant);
        return true;
}

int jit_bitcode_module_check_thin(LLVMModuleRef module, char **ret_reason)
{
        unsigned long long value;

        if (flag_value(module, "ThinLTO", &value) && value == 0)
                return refuse(ret_reason,
                        "it was compiled for full LTO (-flto), which is specialised already; "
                        "compile it with -flto=thin as the last LTO option",
                        NULL);
        if (!flag_value(module, "EnableSplitLTOUnit", &value))
                return refuse(ret_reason,
                        "its bitcode was not made by -flto=thin (no ThinLTO summary); compile it "
                        "with -flto=thin",
                        NULL);
        return 0;
}

int jit_bitcode_module_write(
        struct jit_bitcode_module *module, const void **ret, size_t *ret_size, char **ret_reason)
{
        LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
        LLVMErrorRef error = LLVMRunPasses(module->module, "embed-bitcode<thinlto>", NULL, options);

        LLVMDisposePassBuilderOptions(options);
        if (error) {
                char *message = LLVMGetErrorMessage(error);
                int r = refuse(ret_reason, "LLVM cannot summarise it", message);
                LLVMDisposeErrorMessage(message);
                return r;
        }
        LLVMValueRef holder = LLVMGetNamedGlobal(module->module, EMBEDDED);
        LLVMValueRef bytes = holder ? LLVMGetInitializer(holder) : NULL;
        if (!bytes || !LLVMIsAConstantDataSequential(bytes))
                return refuse(ret_reason, "LLVM cannot write its bitcode", module->complaint);
        *ret = LLVMGetAsString(bytes, ret_size);
        return 0;
}

int jit_bitcode_module_write_plain(
        struct jit_bitcode_module *module, const void **ret, size_t *ret_size, char **ret_reason)
{
        module->plain = LLVMWriteBitcodeToMemoryBuffer(module->module);
        if (!module->plain)
                return refuse(ret_reason, "LLVM cannot write its bitcode", module->complaint);
        *ret = LLVMGetBufferStart(module->plain);
        *ret_size = LLVMGetBufferSize(module->plain);
        return 0;
}

const char *jit_bitcode_attribute(LLVMValueRef function, const char *name, size_t *ret_size)
{
        unsigned size = 0;
        LLVMAttributeRef attribute = LLVMGetStringAttributeAtIndex(
                function, LLVMAttributeFunctionIndex, name, (unsigned)strlen(name));

        if (!attribute)
                return NULL;
        const char *value = LLVMGetStringAttributeValue(attribute, &size);
        *ret_size = size;
        return value;
}

void jit_bitcode_set_attribute(LLVMValueRef function, const char *name, const char *value)
{
        LLVMContextRef context = LLVMGetModuleContext(LLVMGetGlobalParent(function));

        LLVMAddAttributeAtIndex(function, LLVMAttributeFunctionIndex,
                LLVMCreateStringAttribute(
                        context, name, (unsigned)strlen(name), value, (unsigned)strlen(value)));
}

void jit_bitcode_drop_attribute(LLVMValueRef function, const char *name)
{
        LLVMRemoveStringAttributeAtIndex(
                function, LLVMAttributeFunctionIndex, name, (unsigned)strlen(name));
}
