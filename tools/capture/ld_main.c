/* SPDX-License-Identifier: Apache-2.0 */
/* xaas-ld and all the linker names it stands in for.
 *
 * It runs the real linker as it was asked to, then writes down what the link was: the program
 * record goes into section .xaas.record of the output. Whatever goes wrong in that leaves the
 * ordinary output as it is; the exit status is always the linker's. */
#include "capture_log.h"
#include "capture_programs.h"
#include "fmt_cleanup.h"
#include "fmt_log.h"
#include "ld_environment.h"
#include "ld_openmp.h"
#include "ld_output.h"
#include "ld_record.h"
#include "ld_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct link {
        char *linker;
        char **words; /* of the command line, @files expanded */
        struct jit_link_line *line;
        struct ld_taken_list taken;
};

static void link_done(struct link *link)
{
        free(link->linker);
        fmt_strings_free(link->words);
        jit_link_line_free(link->line);
        ld_taken_done(&link->taken);
}

static bool is_elf_output(const char *path)
{
        char magic[4];
        struct stat st;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
               pread(fd, magic, 4, 0) == 4 && memcmp(magic, "\177ELF", 4) == 0;
}

/* ---- programs ---- */

static int add_reasons(const struct link *link, struct ld_record *record, int error)
{
        const char *off = getenv(LD_OFF_VARIABLE);
        int r = 0;
        for (char **reason = link->line->native_reasons; *reason && r == 0; reason++)
                r = ld_record_keep_native(record, *reason);
        if (r == 0 && off && *off)
                r = ld_record_keep_native(record, off);
        if (r == 0 && error == -ENOTSUP)
                r = ld_record_keep_native(
                        record, "linked by another linker than GNU ld and ld.lld");
        else if (r == 0 && error < 0)
                r = ld_record_keep_native(record, "the linker did not say what it took");
        return r;
}

static size_t count_reasons(const struct ld_record *record)
{
        return fmt_strings_count(record->record->kept_native);
}

/* Fills RECORD from the finished link. */
static int describe(const struct link *link, struct ld_record *record,
        const struct fmt_elf_facts *facts, int fd)
{
        enum fmt_linker linker =
                ld_brand_of(link->linker) == LD_LLD ? FMT_LINKER_LLD : FMT_LINKER_BFD;
        int r = ld_record_add_taken(record, &link->taken);
        if (r == 0 && record->n_modules == 0)
                return ld_record_keep_native(record, "no input carries bitcode");
        if (r == 0)
                r = ld_record_add_libcalls(record, &link->taken);
        if (r == 0)
                r = ld_record_add_recipe(record, &link->taken, fd, facts, linker);
        return r;
}

/* Libraries of clang's that gcc's run-time packages do not bring. */
static void tell_libraries(const char *output, const struct fmt_elf_facts *facts)
{
        static const char *const rare[] = {"libomp.so", "libc++.so", "libc++abi.so", "libunwind.so",
                "libclang_rt.", "libflang", NULL};
        for (char *const *needed = facts->needed; *needed; needed++)
                for (const char *const *name = rare; *name; name++)
                        if (strncmp(*needed, *name, strlen(*name)) == 0)
                                capture_log_library(output, *needed);
}

static int record_program(const struct link *link, int error)
{
        const char *output = link->line->output;
        _cleanup_(ld_record_done) struct ld_record record;
        _cleanup_(fmt_elf_facts_done) struct fmt_elf_facts facts = {0};
        _cleanup_close_ int fd = open(output, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        int r = ld_record_new(link->line, &record);
        if (r < 0)
                return r;
        r = add_reasons(link, &record, error);
        if (r == 0)
                r = fmt_elf_read(fd, &facts);
        if (r == 0 && count_reasons(&record) == 0) {
                int failed = describe(link, &record, &facts, fd);
                _cleanup_free_ char *sentence = NULL;
                if (failed < 0 && count_reasons(&record) == 0 &&
                        asprintf(&sentence, "recording the link failed: %s", strerror(-failed)) >=
                                0)
                        r = ld_record_keep_native(&record, sentence);
        }
        _cleanup_free_ void *data = NULL;
        size_t size = 0;
        if (r == 0)
                r = ld_record_finish(&record, &data, &size);
        if (r == 0)
                r = ld_output_attach(output, FMT_RECORD_SECTION, data, size);
        if (r < 0)
                return r;
        if (count_reasons(&record) > 0)
                capture_log_native(output, record.record->kept_native[0]);
        else
                capture_log_program(output, record.n_modules, record.n_natives);
        tell_libraries(output, &facts);
        return 0;
}

/* ---- relocatable objects ---- */

static bool has_bitcode(const char *path)
{
        uint64_t offset = 0, size = 0;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd >= 0 && fmt_elf_find_section(fd, FMT_ELF_BITCODE_SECTION, &offset, &size) == 0;
}

/* Options after which the object is more than its parts; compilers pass others out of habit. */
static bool changes_parts(const struct jit_link_line *line)
{
        static const char *const harmless[] = {"--build-id", "--hash-style=", "--eh-frame-hdr",
                "--no-eh-frame-hdr", "-z ", "-O", "--export-dynamic", "--relax", "--no-relax",
                "--strip-debug", "--entry=", "--no-gc-sections", NULL};
        for (size_t i = 0; i < line->n_options; i++) {
                const char *const *known = harmless;
                while (*known && strncmp(line->options[i].text, *known, strlen(*known)) != 0)
                        known++;
                if (!*known)
                        return true;
        }
        return *line->native_reasons != NULL;
}

/* `ld -r` concatenates the bitcode of its inputs into something that is none. Put the list of
 * parts in its place; a later link takes the parts instead of the object. Where the parts say
 * less than the object does (options that rename or hide symbols), the object stays alone. */
static int record_object(const struct link *link, int error)
{
        const char *output = link->line->output;
        if (!has_bitcode(output))
                return 0;
        const char *off = getenv(LD_OFF_VARIABLE);
        bool changed = changes_parts(link->line) || error < 0 || (off && *off);
        _cleanup_(ld_record_done) struct ld_record record = {0};
        _cleanup_free_ void *data = NULL;
        size_t size = 0;
        int r = changed ? -ENOTSUP : ld_record_new(link->line, &record);
        if (r == 0)
                r = ld_record_add_taken(&record, &link->taken);
        if (r == 0 && count_reasons(&record) > 0)
                r = -ENOTSUP;
        if (r == 0)
                r = ld_record_finish(&record, &data, &size);
        if (r < 0) {
                capture_log_native(output, "this ld -r changed more than a list of parts can say");
                size = 0;
        }
        return ld_output_attach(output, FMT_ELF_BITCODE_SECTION, data ? data : "", size);
}

/* ---- */

static int find_linker(const char *name, char **ret)
{
        const char *chosen = getenv(LD_REAL_VARIABLE);
        if (chosen && *chosen)
                return capture_find(chosen, ret);
        return capture_find(strcmp(name, "xaas-ld") == 0 ? "ld" : name, ret);
}

static int run_link(struct link *link, char **argv)
{
        int r = jit_response_expand(argv + 1, &link->words);
        if (r == 0)
                r = jit_link_line_parse(link->words, &link->line);
        if (r < 0)
                return r;
        if (link->line->n_files == 0) {
                argv[0] = link->linker;
                return capture_become(link->linker, argv); /* --version and the like */
        }
        r = ld_openmp_choose(link->line, link->words);
        if (r < 0)
                return r;
        int error = 0;
        int status = ld_run(link->linker, link->words, &link->taken, &error);
        if (status != 0 || !is_elf_output(link->line->output))
                return status;
        r = link->line->relocatable ? record_object(link, error) : record_program(link, error);
        if (r < 0)
                capture_log_native(link->line->output, strerror(-r));
        return 0;
}

int main(int argc, char **argv)
{
        if (argc < 1)
                return 127;
        const char *name = capture_base_name(argv[0]);
        fmt_log_setup(name, FMT_LOG_INFO);
        _cleanup_(link_done) struct link link = {0};
        int r = find_linker(name, &link.linker);
        if (r < 0) {
                fmt_error("cannot find the linker %s on PATH; install binutils or lld-19", name);
                return 127;
        }
        r = run_link(&link, argv);
        if (r < 0) {
                fmt_error("cannot run %s: %s; check its installation", link.linker, strerror(-r));
                return 127;
        }
        return r;
}
