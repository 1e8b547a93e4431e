/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_bitcode_scan.h"

#include <stdlib.h>
#include <string.h>

/* What every x86-64 has, or what does not depend on a feature. */
static bool is_everywhere(const char *intrinsic)
{
        static const char *const prefixes[] = {"llvm.x86.sse.", "llvm.x86.sse2.", "llvm.x86.flags.",
                "llvm.x86.rdtsc", "llvm.x86.seh.", "llvm.x86.int"};

        for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
                if (!strncmp(intrinsic, prefixes[i], strlen(prefixes[i])))
                        return true;
        }
        return false;
}

/* Assembly without instructions, whose operands any register or memory can hold: a compiler
 * barrier, or a value hidden from the optimiser. */
static bool is_barrier(LLVMValueRef inline_asm)
{
        size_t size;
        const char *text = LLVMGetInlineAsmAsmString(inline_asm, &size);

        for (size_t i = 0; i < size; i++) {
                if (!strchr(" \t\n", text[i]))
                        return false;
        }
        const char *constraints = LLVMGetInlineAsmConstraintString(inline_asm, &size);
        for (size_t i = 0; i < size; i++) {
                if (constraints[i] == '{') {
                        const char *end = memchr(constraints + i, '}', size - i);
                        if (!end)
                                return false;
                        i = (size_t)(end - constraints);
                } else if (!strchr("=+&*,~%rmgiXnqQ0123456789", constraints[i])) {
                        return false;
                }
        }
        return true;
}

static bool call_needs_baseline(LLVMValueRef call)
{
        LLVMValueRef callee = LLVMGetCalledValue(call);
        size_t size;

        if (LLVMIsAInlineAsm(callee))
                return !is_barrier(callee);
        if (!LLVMIsAFunction(callee) || !LLVMGetIntrinsicID(callee))
                return false;
        const char *name = LLVMGetValueName2(callee, &size);
        return !strncmp(name, "llvm.x86.", 9) && !is_everywhere(name);
}

static bool is_call(LLVMValueRef instruction)
{
        LLVMOpcode opcode = LLVMGetInstructionOpcode(instruction);
        return opcode == LLVMCall || opcode == LLVMInvoke || opcode == LLVMCallBr;
}

typedef bool call_test(LLVMValueRef call);

static bool any_call(LLVMValueRef function, call_test *test)
{
        for (LLVMBasicBlockRef block = LLVMGetFirstBasicBlock(function); block;
                block = LLVMGetNextBasicBlock(block)) {
                for (LLVMValueRef instruction = LLVMGetFirstInstruction(block); instruction;
                        instruction = LLVMGetNextInstruction(instruction)) {
                        if (is_call(instruction) && test(instruction))
                                return true;
                }
        }
        return false;
}

bool jit_bitcode_needs_baseline(LLVMValueRef function)
{
        return any_call(function, call_needs_baseline);
}

static bool statement_is_directive(const char *at, const char *end)
{
        while (at < end && strchr(" \t\r", *at))
                at++;
        while (end > at && strchr(" \t\r", end[-1]))
                end--;
        return at == end || *at == '.' || *at == '#' || end[-1] == ':';
}

bool jit_bitcode_module_asm_needs_baseline(LLVMModuleRef module)
{
        size_t size;
        const char *text = LLVMGetModuleInlineAsm(module, &size);
        const char *end = text + size;

        for (const char *at = text; at < end;) {
                const char *stop = at;
                while (stop < end && *stop != '\n' && *stop != ';')
                        stop++;
                if (!statement_is_directive(at, stop))
                        return true;
                at = stop + 1;
        }
        return false;
}

static bool names_a_file(const char *text, size_t size)
{
        return memmem(text, size, ".incbin", 7) || memmem(text, size, ".include", 8);
}

static bool call_names_a_file(LLVMValueRef call)
{
        LLVMValueRef callee = LLVMGetCalledValue(call);
        size_t size;

        if (!LLVMIsAInlineAsm(callee))
                return false;
        const char *text = LLVMGetInlineAsmAsmString(callee, &size);
        return names_a_file(text, size);
}

bool jit_bitcode_includes_files(LLVMModuleRef module)
{
        size_t size;
        const char *text = LLVMGetModuleInlineAsm(module, &size);

        if (names_a_file(text, size))
                return true;
        for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f)) {
                if (any_call(f, call_names_a_file))
                        return true;
        }
        return false;
}

/* The one string of a node such as !{!"m"}; NULL if it is something else. */
static const char *string_in(LLVMValueRef node, unsigned *ret_size)
{
        LLVMValueRef operand = NULL;

        if (!LLVMIsAMDNode(node) || LLVMGetMDNodeNumOperands(node) != 1)
                return NULL;
        LLVMGetMDNodeOperands(node, &operand);
        return operand ? LLVMGetMDString(operand, ret_size) : NULL;
}

bool jit_bitcode_names_library_files(LLVMModuleRef module)
{
        static const char name[] = "llvm.dependent-libraries";
        unsigned n = LLVMGetNamedMetadataNumOperands(module, name);
        LLVMValueRef *nodes = calloc(n + 1, sizeof(LLVMValueRef));
        bool found = !nodes;

        if (nodes && n > 0)
                LLVMGetNamedMetadataOperands(module, name, nodes);
        for (unsigned i = 0; nodes && i < n; i++) {
                unsigned size = 0;
                const char *library = string_in(nodes[i], &size);
                found = found || !library || memchr(library, '/', size);
        }
        free(nodes);
        return found;
}

/* ---- wide vectors ---- */

static unsigned scalar_bits(LLVMTypeRef type)
{
        switch (LLVMGetTypeKind(type)) {
        case LLVMHalfTypeKind:
        case LLVMBFloatTypeKind:
                return 16;
        case LLVMFloatTypeKind:
                return 32;
        case LLVMDoubleTypeKind:
        case LLVMPointerTypeKind:
                return 64;
        case LLVMIntegerTypeKind:
                return LLVMGetIntTypeWidth(type);
        default:
                return 128;
        }
}

static bool is_wide(LLVMTypeRef type)
{
        LLVMTypeRef element;

        switch (LLVMGetTypeKind(type)) {
        case LLVMVectorTypeKind:
                element = LLVMGetElementType(type);
                /* Vectors of bits live in mask registers where there are some. */
                return scalar_bits(element) < 8 ||
                       (uint64_t)scalar_bits(element) * LLVMGetVectorSize(type) > 128;
        case LLVMScalableVectorTypeKind:
                return true;
        case LLVMArrayTypeKind:
                return is_wide(LLVMGetElementType(type));
        case LLVMStructTypeKind:
                for (unsigned i = 0; i < LLVMCountStructElementTypes(type); i++) {
                        if (is_wide(LLVMStructGetTypeAtIndex(type, i)))
                                return true;
                }
                return false;
        default:
                return false;
        }
}

static bool call_is_wide(LLVMValueRef call)
{
        LLVMValueRef callee = LLVMGetCalledValue(call);

        /* Neither assembly nor an intrinsic has a calling convention. */
        if (LLVMIsAInlineAsm(callee) || (LLVMIsAFunction(callee) && LLVMGetIntrinsicID(callee)))
                return false;
        if (is_wide(LLVMTypeOf(call)))
                return true;
        for (unsigned i = 0; i < LLVMGetNumArgOperands(call); i++) {
                if (is_wide(LLVMTypeOf(LLVMGetOperand(call, i))))
                        return true;
        }
        return false;
}

bool jit_bitcode_has_wide_vectors(LLVMValueRef function)
{
        if (is_wide(LLVMGetReturnType(LLVMGlobalGetValueType(function))))
                return true;
        for (unsigned i = 0; i < LLVMCountParams(function); i++) {
                if (is_wide(LLVMTypeOf(LLVMGetParam(function, i))))
                        return true;
        }
        return any_call(function, call_is_wide);
}
