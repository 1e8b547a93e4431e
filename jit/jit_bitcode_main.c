/* SPDX-License-Identifier: Apache-2.0 */
/* xaas-bitcode: rewrites bitcode that nobody vouches for, in a box. jit_bitcode_protocol.h says how
 * it is spoken to. */
#include "fmt_cleanup.h"
#include "fmt_confine.h"
#include "jit_bitcode_normal.h"
#include "jit_bitcode_profile.h"
#include "jit_bitcode_protocol.h"

#include <getopt.h>
#include <llvm-c/ErrorHandling.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <string.h>
#include <sys/mman.h>

/* 240 MB were the most that 19.1 took for one of 387 modules of LAMMPS; a giant file is ten times
 * one of those. */
#define MEMORY_LIMIT (UINT64_C(8) << 30)
#define OUTPUT_LIMIT (UINT64_C(4) << 30)
#define CPU_LIMIT_S 600

struct job {
        bool retarget;
        bool full_lto;
        bool keep_debug;
        bool count;          /* how often code runs */
        const char *profile; /* path, or NULL */
        const char *tune;
        const char *features;
};

static void give_up(const char *reason)
{
        fprintf(stderr, "xaas-bitcode: LLVM gave up: %s\n", reason);
        _exit(JIT_BITCODE_FATAL_STATUS);
}

/* What was found out about a module besides its new form. */
struct findings {
        struct jit_bitcode_facts facts;
        struct jit_bitcode_profiled profiled;
};

/* Counters and what was counted belong to the module as the image has it, before anything that
 * depends on the target. */
static int retarget(const struct job *job, const struct jit_bitcode_question *question,
        struct jit_bitcode_module *module, struct findings *ret, char **ret_reason)
{
        bool captured_only = question->flags & JIT_BITCODE_CAPTURED_ONLY;
        int r = 0;

        if (job->count)
                r = jit_bitcode_count(module, ret_reason);
        else if (job->profile)
                r = jit_bitcode_use_profile(module, &ret->profiled, ret_reason);
        return r < 0 ? r
                     : jit_bitcode_to_host(
                               module->module, job->tune, captured_only ? NULL : job->features);
}

static int rewrite(const struct job *job, const struct jit_bitcode_question *question,
        struct jit_bitcode_module *module, struct findings *ret, char **ret_reason)
{
        if (job->retarget)
                return retarget(job, question, module, ret, ret_reason);
        return jit_bitcode_to_normal_form(module->module, job->keep_debug, &ret->facts, ret_reason);
}

static int reply_with(const struct findings *findings, int error, const char *reason,
        const void *data, size_t size)
{
        const struct jit_bitcode_facts *facts = &findings->facts;
        const struct jit_bitcode_profiled *profiled = &findings->profiled;
        const char *required = facts->required ? facts->required : "";
        const char *extras = facts->extras ? facts->extras : "";
        struct jit_bitcode_answer answer = {.error = error,
                .flags = (facts->has_extras ? JIT_BITCODE_HAS_EXTRAS : 0U) |
                         (facts->captured_only ? JIT_BITCODE_IS_CAPTURED_ONLY : 0U) |
                         (facts->not_optimised ? JIT_BITCODE_NOT_OPTIMISED : 0U) |
                         (profiled->unreadable ? JIT_BITCODE_PROFILE_UNREADABLE : 0U),
                .functions = profiled->functions,
                .profiled = profiled->profiled,
                .changed = profiled->changed,
                .data = data,
                .size = size,
                .reason = reason,
                .reason_size = strlen(reason),
                .required = required,
                .required_size = strlen(required),
                .extras = extras,
                .extras_size = strlen(extras)};

        return jit_bitcode_reply(STDOUT_FILENO, &answer);
}

/* 0 when the answer is written, even if it says that the module cannot be used. */
static int answer(const struct job *job, const struct jit_bitcode_question *question)
{
        struct findings findings = {0};
        struct jit_bitcode_module module;
        _cleanup_free_ char *reason = NULL;
        const void *data = NULL;
        size_t size = 0;
        int r = jit_bitcode_module_read(question->data, question->size, &module, &reason);

        if (r == 0)
                r = rewrite(job, question, &module, &findings, &reason);
        if (r == 0 && job->full_lto)
                r = jit_bitcode_module_write_plain(&module, &data, &size, &reason);
        else if (r == 0)
                r = jit_bitcode_module_write(&module, &data, &size, &reason);
        if (r < 0 && r != -EBADMSG) /* not the module's fault */
                give_up(strerror(-r));
        if (r < 0)
                r = reply_with(
                        &(struct findings){0}, r, reason ? reason : "it cannot be used", NULL, 0);
        else
                r = reply_with(&findings, 0, "", data, size);
        jit_bitcode_facts_done(&findings.facts);
        jit_bitcode_module_done(&module);
        return r;
}

static int work(const struct job *job)
{
        struct jit_bitcode_question question;
        const void *input;
        size_t size;
        size_t offset = 0;
        int more;
        int r = jit_bitcode_map(STDIN_FILENO, &input, &size);

        if (r < 0)
                return JIT_BITCODE_INPUT_STATUS;
        while ((more = jit_bitcode_next_question(input, size, &offset, &question)) > 0) {
                r = answer(job, &question);
                if (r < 0) {
                        fprintf(stderr, "xaas-bitcode: cannot write an answer: %s\n", strerror(-r));
                        return JIT_BITCODE_OUTPUT_STATUS;
                }
        }
        return more < 0 ? JIT_BITCODE_INPUT_STATUS : 0;
}

static int usage(void)
{
        fprintf(stderr, "usage: xaas-bitcode normalise [--keep-debug] <IN >OUT\n"
                        "       xaas-bitcode retarget --tune=MODEL --features=LIST [--full-lto] "
                        "[--count | --profile=FILE] <IN >OUT\n"
                        "       xaas-bitcode host\n"
                        "xaasfs starts this program itself; see jit/jit_bitcode_protocol.h\n");
        return JIT_BITCODE_USAGE_STATUS;
}

static bool parse(int argc, char **argv, struct job *ret)
{
        static const struct option options[] = {{"keep-debug", no_argument, NULL, 'd'},
                {"tune", required_argument, NULL, 't'}, {"features", required_argument, NULL, 'f'},
                {"full-lto", no_argument, NULL, 'l'}, {"count", no_argument, NULL, 'c'},
                {"profile", required_argument, NULL, 'p'}, {0}};
        int option;

        while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (option == 'd')
                        ret->keep_debug = true;
                else if (option == 't')
                        ret->tune = optarg;
                else if (option == 'f')
                        ret->features = optarg;
                else if (option == 'l')
                        ret->full_lto = true;
                else if (option == 'c')
                        ret->count = true;
                else if (option == 'p')
                        ret->profile = optarg;
                else
                        return false;
        }
        if (optind != argc - 1)
                return false;
        ret->retarget = !strcmp(argv[optind], "retarget");
        if (!ret->retarget)
                return !strcmp(argv[optind], "normalise") && !ret->tune && !ret->features &&
                       !ret->full_lto && !ret->count && !ret->profile;
        return ret->tune && ret->features && !ret->keep_debug;
}

/* Outside of the box: nothing is read but what the machine says of itself. */
static int tell_host(void)
{
        char *name = LLVMGetHostCPUName();

        printf("%s\n", name);
        LLVMDisposeMessage(name);
        return fflush(stdout) ? JIT_BITCODE_OUTPUT_STATUS : 0;
}

int main(int argc, char **argv)
{
        struct fmt_confinement box = {.memory_limit = MEMORY_LIMIT,
                .file_limit = OUTPUT_LIMIT,
                .cpu_seconds = CPU_LIMIT_S};
        struct job job = {0};

        if (argc == 2 && !strcmp(argv[1], "host"))
                return tell_host();
        if (!parse(argc, argv, &job))
                return usage();
        /* A box that may open something may open memfds, of which the profile is one; it still has
         * no file to read. */
        static const char *const no_files[] = {NULL};
        if (job.profile)
                box.readable = no_files;
        int r = fmt_confine(&box);
        if (r < 0) {
                fprintf(stderr,
                        "xaas-bitcode: cannot be confined: %s; it needs a kernel with "
                        "Landlock (Linux 5.13 or later)\n",
                        strerror(-r));
                _exit(JIT_BITCODE_BOX_STATUS);
        }
        LLVMInstallFatalErrorHandler(give_up);
        if (job.profile)
                jit_bitcode_profile_open(job.profile);
        /* For assembly outside of functions: symbols that it uses must not be renamed, and only an
         * assembler can tell which those are. */
        LLVMInitializeX86TargetInfo();
        LLVMInitializeX86Target();
        LLVMInitializeX86TargetMC();
        LLVMInitializeX86AsmParser();
        /* Not exit(): LLVM's destructors have nothing left to do for us. */
        _exit(work(&job));
}
