/* SPDX-License-Identifier: Apache-2.0 */
#include "jit_bitcode_loops.h"

#include "fmt_cleanup.h"

#include <errno.h>
#include <llvm-c/DebugInfo.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* LLVM 19's -unroll-peel-max-count: neither are more rounds peeled, nor a loop of which as many
 * were. */
#define MOST_PEELED 7
#define PEELED "llvm.loop.peeled.count"

struct place {
        LLVMBasicBlockRef block;
        size_t index; /* in its function */
};

/* A function's blocks, to be found by their address. */
struct places {
        struct place *all;
        size_t n;
        unsigned loop_kind, profile_kind; /* of metadata */
};

static int by_address(const void *one, const void *other)
{
        uintptr_t a = (uintptr_t)((const struct place *)one)->block;
        uintptr_t b = (uintptr_t)((const struct place *)other)->block;

        return (a > b) - (a < b);
}

static size_t index_of(const struct places *places, LLVMBasicBlockRef block)
{
        const struct place sought = {.block = block};
        const struct place *found =
                bsearch(&sought, places->all, places->n, sizeof(sought), by_address);

        return found ? found->index : SIZE_MAX;
}

/* Where control is after successor NUMBER of BRANCH, in block INDEX: there, or one block further if
 * that only leads on, as one does that was put into the way back. SIZE_MAX if that is later than
 * BRANCH. */
static size_t way_back(
        const struct places *places, LLVMValueRef branch, size_t index, unsigned number)
{
        LLVMBasicBlockRef block = LLVMGetSuccessor(branch, number);
        size_t at = index_of(places, block);

        if (at > index) {
                LLVMValueRef next = LLVMGetBasicBlockTerminator(block);
                if (next && LLVMGetInstructionOpcode(next) == LLVMBr &&
                        LLVMGetNumSuccessors(next) == 1)
                        at = index_of(places, LLVMGetSuccessor(next, 0));
        }
        return at > index ? SIZE_MAX : at;
}

/* Which successor of BRANCH, in block INDEX, is the way back in its loop: blocks stand in the order
 * in which they were written, so a loop's head comes before its end and what surrounds it before
 * that. Where that does not hold, a loop is not marked or in vain. */
static bool find_way_back(
        const struct places *places, LLVMValueRef branch, size_t index, unsigned *ret_number)
{
        if (LLVMGetInstructionOpcode(branch) != LLVMBr || LLVMGetNumSuccessors(branch) != 2)
                return false;
        size_t first = way_back(places, branch, index, 0);
        size_t second = way_back(places, branch, index, 1);
        if (first == second)
                return false;
        *ret_number = first == SIZE_MAX || (second != SIZE_MAX && second > first);
        return true;
}

/* By what was counted at its last BRANCH a loop went round more often than LLVM peels, on average
 * as LLVM takes it. BACK is the way back. */
static bool was_long(const struct places *places, LLVMValueRef branch, unsigned back)
{
        LLVMValueRef profile = LLVMGetMetadata(branch, places->profile_kind);
        LLVMValueRef words[3]; /* "branch_weights", one for each successor */

        if (!profile || LLVMGetMDNodeNumOperands(profile) != 3)
                return false;
        LLVMGetMDNodeOperands(profile, words);
        if (!words[1] || !words[2] || !LLVMIsAConstantInt(words[1]) ||
                !LLVMIsAConstantInt(words[2]))
                return false;
        uint64_t again = LLVMConstIntGetZExtValue(words[1 + back]);
        uint64_t out = LLVMConstIntGetZExtValue(words[2 - back]);
        return out > 0 && (again + out / 2) / out + 1 > MOST_PEELED;
}

/* What is known of a loop, and that it must not be peeled. LOOP may be NULL: nothing is known. A
 * loop's node names itself first, so that no two are taken for one. */
static LLVMMetadataRef describe(LLVMContextRef context, LLVMValueRef loop)
{
        const unsigned told = loop ? LLVMGetMDNodeNumOperands(loop) : 0;
        const unsigned known = told > 0 ? told : 1;
        _cleanup_free_ LLVMValueRef *old = calloc(known, sizeof(*old));
        _cleanup_free_ LLVMMetadataRef *new = calloc(known + 1, sizeof(*new));

        if (!old || !new)
                return NULL;
        if (told > 0)
                LLVMGetMDNodeOperands(loop, old);
        for (unsigned i = 1; i < known; i++)
                new[i] = old[i] ? LLVMValueAsMetadata(old[i]) : NULL;
        LLVMTypeRef int32 = LLVMInt32TypeInContext(context);
        LLVMMetadataRef peeled[] = {LLVMMDStringInContext2(context, PEELED, strlen(PEELED)),
                LLVMValueAsMetadata(LLVMConstInt(int32, MOST_PEELED, false))};
        LLVMMetadataRef self = LLVMTemporaryMDNode(context, NULL, 0);
        new[0] = self;
        new[known] = LLVMMDNodeInContext2(context, peeled, 2);
        LLVMMetadataRef node = LLVMMDNodeInContext2(context, new, known + 1);
        LLVMMetadataReplaceAllUsesWith(self, node);
        return node;
}

/* All branches that lead back to a loop's head have to name it alike. */
static int mark(LLVMValueRef function, const struct places *places, LLVMValueRef branch)
{
        LLVMContextRef context = LLVMGetModuleContext(LLVMGetGlobalParent(function));
        LLVMValueRef loop = LLVMGetMetadata(branch, places->loop_kind);
        LLVMMetadataRef described = describe(context, loop);

        if (!described)
                return -ENOMEM;
        LLVMValueRef node = LLVMMetadataAsValue(context, described);
        for (size_t i = 0; loop && i < places->n; i++) {
                LLVMValueRef other = LLVMGetBasicBlockTerminator(places->all[i].block);
                if (other && LLVMGetMetadata(other, places->loop_kind) == loop)
                        LLVMSetMetadata(other, places->loop_kind, node);
        }
        LLVMSetMetadata(branch, places->loop_kind, node);
        return 0;
}

static int keep_in(LLVMValueRef function, struct places *places)
{
        _cleanup_free_ struct place *all = NULL;
        size_t index = 0;
        unsigned back;
        int r = 0;

        places->n = LLVMCountBasicBlocks(function);
        places->all = all = calloc(places->n + 1, sizeof(*all));
        if (!all)
                return -ENOMEM;
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b;
                b = LLVMGetNextBasicBlock(b), index++)
                all[index] = (struct place){b, index};
        qsort(all, places->n, sizeof(*all), by_address);
        /* Not by address, which would differ from run to run. */
        index = 0;
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b && r == 0;
                b = LLVMGetNextBasicBlock(b), index++) {
                LLVMValueRef branch = LLVMGetBasicBlockTerminator(b);
                if (branch && find_way_back(places, branch, index, &back) &&
                        was_long(places, branch, back))
                        r = mark(function, places, branch);
        }
        return r;
}

int jit_bitcode_keep_long_loops(LLVMModuleRef module)
{
        LLVMContextRef context = LLVMGetModuleContext(module);
        struct places places = {.loop_kind = LLVMGetMDKindIDInContext(context, "llvm.loop", 9),
                .profile_kind = LLVMGetMDKindIDInContext(context, "prof", 4)};
        int r = 0;

        for (LLVMValueRef f = LLVMGetFirstFunction(module); f && r == 0; f = LLVMGetNextFunction(f))
                if (!LLVMIsDeclaration(f))
                        r = keep_in(f, &places);
        return r;
}
